"""What explanations need of the rows behind a table predictor, kept in its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.predictors.regression import Regression
from edgenas.predictors.tables import derived_columns
from edgenas.predictors.tables.derived_columns import Derived
from edgenas.predictors.tables.rows import Rows
from edgenas.predictors.tables.terms import Atom

CONFIDENCE, DRAWS = 0.95, 200
DECILES = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class Share:
    """Share of the variance of the predicted means, over the rows, that some columns make: alone if
    it is one, together besides what each makes alone if they are several. Shares add up to 1; a
    column that works against others has a negative one. lower, upper : 95 %, of the posterior."""

    columns: tuple[str, ...]
    share: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Profile:
    """means : float64 [p], of the terms over the rows. deciles : of each number, least to greatest.
    frequent : the commonest category of each column. vif : of each numeric column among the others,
    None: they decide it."""

    means: np.ndarray
    deciles: dict[str, tuple[float, ...]]
    frequent: dict[str, str]
    shares: tuple[Share, ...]
    derived: tuple[Derived, ...]
    vif: dict[str, float | None]


def groups(atoms: Sequence[Atom]) -> dict[tuple[str, ...], list[int]]:
    """Return which terms are of which columns: of one, or of several together."""
    by_name = {atom.name: atom for atom in atoms}
    found: dict[tuple[str, ...], list[int]] = {}
    for index, atom in enumerate(atoms):
        columns: tuple[str, ...] = atom.columns
        if atom.kind == "product":
            columns = tuple(x for name in atom.factors for x in by_name[name].columns)
        found.setdefault(tuple(sorted(set(columns))), []).append(index)
    return found


def of(
    atoms: Sequence[Atom],
    rows: Rows,
    sample: tuple[Rows, np.ndarray],
    means: np.ndarray,
    fitted: Regression,
) -> Profile:
    """Return the profile of the rows.

    sample : rows, all of them or a random part, that shares and relations between columns are of,
    and their terms, float64 [m, p]. means : float64 [p], of the terms over all rows.
    """
    part, matrix = sample
    common = {}
    for name in rows.categorical:
        values, counts = np.unique(rows.columns[name], return_counts=True)
        common[name] = str(values[np.argmax(counts)])
    return Profile(
        means=means,
        deciles={
            name: tuple(np.quantile(rows.columns[name], DECILES).tolist()) for name in rows.numeric
        },
        frequent=common,
        shares=_shares(atoms, matrix, fitted),
        derived=derived_columns.find(part.columns, rows.numeric),
        vif=derived_columns.inflation(part.columns, rows.numeric),
    )


def _shares(atoms: Sequence[Atom], matrix: np.ndarray, fitted: Regression) -> tuple[Share, ...]:
    """Return the covariance of what each group adds with the whole, over the variance of that; its
    interval is of draws of the coefficients."""
    members = groups(atoms)
    varied = (matrix - matrix.mean(axis=0)) / np.sqrt(len(matrix))
    within = varied.T @ varied  # terms' covariance over the rows
    draws = [fitted.params[1:], *_draws(fitted)]
    made = []
    for params in draws:
        pushed = within @ params
        total = params @ pushed
        parts = params * pushed / total if total > 0 else np.zeros(len(params))
        made.append([parts[index].sum() for index in members.values()])
    shares, rest = np.array(made[0]), np.array(made[1:])
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(rest, [tail, 1 - tail], axis=0)
    return tuple(
        Share(columns, float(shares[at]), float(lower[at]), float(upper[at]))
        for at, columns in sorted(enumerate(members), key=lambda x: -shares[x[0]])
    )


def _draws(fitted: Regression) -> np.ndarray:
    """Return draws of the coefficients, float64 [DRAWS, p]."""
    covariance = fitted.scale * fitted.covariance[1:, 1:]
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = np.random.default_rng(0).standard_normal((DRAWS, len(values)))
    return np.asarray(fitted.params[1:] + normal @ root.T)
