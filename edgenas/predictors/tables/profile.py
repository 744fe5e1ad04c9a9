"""What explanations need of the rows behind a table predictor, kept in its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgenas.predictors.regression import Regression
from edgenas.predictors.tables import derived_columns
from edgenas.predictors.tables import terms as at
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
    None: they decide it. slopes : of a sum of products, by how much its logarithm grows with that
    of each column, and the mean of that, by least squares over the rows."""

    means: np.ndarray
    deciles: dict[str, tuple[float, ...]]
    frequent: dict[str, str]
    shares: tuple[Share, ...]
    derived: tuple[Derived, ...]
    vif: dict[str, float | None]
    slopes: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, known in self.deciles.items():
            if not known or not np.isfinite(known).all():
                raise ValueError(f"the column '{name[:60]}' has no deciles")


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


@dataclass(frozen=True)
class Parts:
    """What columns add to the terms' sum: terms, and a sum of products taken apart by its columns
    as far as its logarithm is a sum of theirs.

    members : the places of the parts of one column, or of several together. values : float64
    [n, q]. term : int64 [q], whose coefficient each part has. centred : bool [q], whether its mean
    over the rows of the fit is 0, not its term's.
    """

    members: dict[tuple[str, ...], list[int]]
    values: np.ndarray
    term: np.ndarray
    centred: np.ndarray


def parts(
    atoms: Sequence[Atom],
    matrix: np.ndarray,
    table: Mapping[str, np.ndarray],
    slopes: Mapping[str, tuple[float, float]],
) -> Parts:
    """Return the parts of the terms `matrix` [n, p] of the rows of `table`."""
    members = groups(atoms)
    values, term = [matrix], list(range(len(atoms)))
    for place, atom in enumerate(atoms):
        if atom.kind != "powers":
            continue
        rest = matrix[:, place].copy()
        for name, logs in zip(atom.columns, at.logarithms(atom, table), strict=True):
            slope, mean = slopes.get(name, (0.0, 0.0))
            members.setdefault((name,), []).append(len(term))
            values.append((slope * (logs - mean))[:, None])
            rest -= values[-1][:, 0]
            term.append(place)
        values[0] = np.column_stack([matrix[:, :place], rest, matrix[:, place + 1 :]])
    centred = np.arange(len(term)) >= len(atoms)
    return Parts(members, np.hstack(values), np.array(term, int), centred)


def _slopes(
    atoms: Sequence[Atom], matrix: np.ndarray, table: Mapping[str, np.ndarray]
) -> dict[str, tuple[float, float]]:
    """Return `Profile.slopes`."""
    for place, atom in enumerate(atoms):
        if atom.kind == "powers":
            logs = at.logarithms(atom, table).T
            means = logs.mean(axis=0)
            response = matrix[:, place] - matrix[:, place].mean()
            found = np.linalg.lstsq(logs - means, response, rcond=None)[0]
            pairs = zip(found.tolist(), means.tolist(), strict=True)
            return dict(zip(atom.columns, pairs, strict=True))
    return {}


def of(
    atoms: Sequence[Atom],
    rows: Rows,
    sample: tuple[Rows, np.ndarray],
    means: np.ndarray,
    fitted: Regression,
    *,
    derived: Sequence[str] = (),
) -> Profile:
    """Return the profile of the rows.

    sample : rows, all of them or a random part, that shares and relations between columns are of,
    and their terms, float64 [m, p]. means : float64 [p], of the terms over all rows.
    derived : what is said of columns that others decide (`derived_columns.given`).
    """
    part, matrix = sample
    slopes = _slopes(atoms, matrix, part.columns)
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
        shares=_shares(parts(atoms, matrix, part.columns, slopes), fitted),
        derived=derived_columns.find(part.columns, rows.numeric, derived),
        vif=derived_columns.inflation(part.columns, rows.numeric),
        slopes=slopes,
    )


def _shares(made: Parts, fitted: Regression) -> tuple[Share, ...]:
    """Return the covariance of what each group adds with the whole, over the variance of that; its
    interval is of draws of the coefficients."""
    values = made.values
    varied = (values - values.mean(axis=0)) / np.sqrt(len(values))
    within = varied.T @ varied  # the parts' covariance over the rows
    draws = [fitted.params[1:], *_draws(fitted)]
    each = []
    for coefs in draws:
        params = coefs[made.term]
        pushed = within @ params
        total = params @ pushed
        adds = params * pushed / total if total > 0 else np.zeros(len(params))
        each.append([adds[index].sum() for index in made.members.values()])
    shares, rest = np.array(each[0]), np.array(each[1:])
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(rest, [tail, 1 - tail], axis=0)
    return tuple(
        Share(columns, float(shares[at]), float(lower[at]), float(upper[at]))
        for at, columns in sorted(enumerate(made.members), key=lambda x: -shares[x[0]])
    )


def _draws(fitted: Regression) -> np.ndarray:
    """Return draws of the coefficients, float64 [DRAWS, p]."""
    covariance = fitted.scale * fitted.covariance[1:, 1:]
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = np.random.default_rng(0).standard_normal((DRAWS, len(values)))
    return np.asarray(fitted.params[1:] + normal @ root.T)
