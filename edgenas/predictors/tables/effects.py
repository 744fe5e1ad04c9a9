"""What the choices of a table cost, from its predictor alone: categories, and ranges of numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from edgenas.core.errors import PredictorError
from edgenas.core.tables.columns import as_column
from edgenas.predictors.tables import derived_columns, log_response
from edgenas.predictors.tables.cells import NO_OPERATION
from edgenas.predictors.tables.regression import TableRegression
from edgenas.predictors.tables.report import notes
from edgenas.predictors.tables.terms import Atom

# Of a variance inflation factor above this, an effect is hardly told from others' (Kutner et al.
# 2004, 10.5).
DOUBTFUL = 10.0
POINTS, MOST_CURVES = 21, 40
# Of a heat map: values of each column, and maps of the pairs of the greatest shares.
MOST_LEVELS, MOST_MAPS = 8, 6


def explanation(
    model: TableRegression, confidence: float, references: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the effects of a table predictor, as one report of `edgenas explain --json`.

    A category is compared with that of its column in `references`, or with the commonest; a
    number's lowest measured value with its highest, and columns that it decides follow
    (`derived_columns`). All else is at its average: products with other columns, which are
    standardised, add nothing; edges of a cell are used, and slots are there. Effects are in the
    response's unit, or in percent of it where terms add up to its logarithm (`effects_in`).

    importance : shares of the variance of the predictions, by column and by columns together.
    curves : what each number does from its lowest to its highest value. together : what pairs of
    columns do beyond what each does alone, by their values. doubtful : numbers whose
    effects rows can hardly tell apart, with their variance inflation factors.

    Raises
    ------
    PredictorError : the predictor was fitted with a formula.
    """
    if model.fitted.formula:
        raise PredictorError(
            "The effects of a formula are its coefficients.", "Read them: edgenas fit --terms …"
        )
    fitted, texts, differences = model.regression, [], []
    base = _base(model, references or {})
    for text, pair in _pairs(model, base):
        difference = _differences(model, pair)[1]
        if difference.any():
            texts.append(text)
            differences.append(difference)
    for index, atom in enumerate(model.fitted.atoms):
        if atom.kind == "repeat" and not _nothing(model, atom.category):
            texts.append(f"{atom.name} of the same input")
            differences.append(np.eye(len(fitted.terms))[index])
    effects = _effects(model, differences, confidence)
    numbers = zip(texts, *effects.tolist(), strict=True)
    profile = model.fitted.profile
    return {
        "response": model.fitted.response,
        "label": model.fitted.response,
        "unit": (unit := _unit(model)),
        "effects_in": "%" if model.fitted.logarithm else unit,
        "n": fitted.n,
        "confidence": confidence,
        "heldout": None if fitted.heldout is None else asdict(fitted.heldout),
        "notes": notes(model.fitted),
        "effects": [
            {"change": text, "effect": m, "lower": low, "upper": high}
            for text, m, low, high in numbers
        ],
        "references": {name: str(base[name][0]) for name in model.fitted.categorical},
        "importance": [asdict(share) for share in profile.shares] if profile else [],
        "derived": [asdict(column) for column in profile.derived] if profile else [],
        "doubtful": _doubtful(model),
        "curves": [_curve(model, name, confidence) for name in _numbers(model)[:MOST_CURVES]],
        "together": _together(model, base, confidence),
        "breakdown": [],
    }


def with_derived(
    model: TableRegression, table: Mapping[str, Any], said: Sequence[str]
) -> TableRegression:
    """Return `model`, with columns that others decide as is `said` and as complete rows of `table`
    bear out (`derived_columns.find`).

    Raises
    ------
    PredictorError : they do not; the predictor has no profile.
    """
    profile = model.fitted.profile
    if profile is None:
        raise PredictorError(
            "A predictor of a formula, of priors, or of an earlier edgenas has no derived columns.",
            "Fit it again: edgenas fit.",
        )
    kept = model.complete(table)
    read = model.fitted.encoded.read(table)
    columns = {name: as_column(read[name])[kept] for name in profile.deciles if name in read}
    known = derived_columns.find(columns, tuple(columns), said)
    told = copy(model)
    told.fitted = replace(model.fitted, profile=replace(profile, derived=known))
    return told


def _differences(model: TableRegression, table: dict[str, np.ndarray]) -> np.ndarray:
    """Return the terms of each row of `table` less those of the first, float64 [n, p], of columns
    that change: products with others average out."""
    by_name = {atom.name: atom for atom in model.fitted.atoms}
    rows = model.matrix(table, cut=False)
    difference = rows - rows[0]
    changed = {name for name, values in table.items() if (values != values[0]).any()}
    known = [_alone(atom, by_name, changed) for atom in model.fitted.atoms]
    difference[:, : len(known)] *= known
    return np.asarray(difference)


def _effects(
    model: TableRegression, differences: Sequence[np.ndarray], confidence: float
) -> np.ndarray:
    """Return effects and their bounds, float64 [3, n], in units or in percent."""
    width = len(model.regression.terms)
    found = model.regression.contrast(np.array(differences).reshape(-1, width), confidence)
    bounds = np.array([found.mean, found.lower, found.upper])
    return 100 * (log_response.measured(bounds) - 1) if model.fitted.logarithm else bounds


def _nothing(model: TableRegression, category: str) -> bool:
    """Return whether a category is no operation: that it is asked for again costs nothing."""
    cell = model.fitted.cell
    named = category.lower() in NO_OPERATION
    return named or (cell is not None and category == cell.nothing)


def _doubtful(model: TableRegression) -> list[dict[str, Any]]:
    """Return numbers that the others nearly say, but that no few of them decide."""
    profile = model.fitted.profile
    if profile is None:
        return []
    decided = {column.column for column in profile.derived}
    followed = {name for column in profile.derived for name in column.causes}
    return [
        {"column": name, "vif": factor}
        for name, factor in profile.vif.items()
        if (factor is None or factor > DOUBTFUL) and name not in decided | followed
    ]


def _curve(model: TableRegression, name: str, confidence: float) -> dict[str, Any]:
    """Return what a number does, from its lowest measured value on.

    rows : the share of the rows up to each value, None in files that do not have it.
    """
    profile = model.fitted.profile
    low, high = _ends(model)[name]
    known = None if profile is None else profile.deciles.get(name)
    x = np.linspace(low, high, POINTS)
    if known is not None and len(set(known)) < POINTS / 3:
        x = np.unique([low, *known, high])
    base = {key: np.repeat(values[:1], len(x)) for key, values in _base(model, {}).items()}
    table = _following(model, {**base, name: x}, name)
    bounds = _effects(model, list(_differences(model, table)), confidence)
    share = None if known is None else np.interp(x, known, np.linspace(0, 1, len(known))).tolist()
    keys = ("effect", "lower", "upper")
    return {
        "column": name,
        "x": x.tolist(),
        **dict(zip(keys, bounds.tolist(), strict=True)),
        "rows": share,
        "deciles": [] if known is None else list(known),
    }


def _together(
    model: TableRegression, base: Mapping[str, np.ndarray], confidence: float
) -> list[dict[str, Any]]:
    """Return what pairs of columns do beyond what each does alone, in the mean of the other, those
    of the greatest shares first: products of the two, as a grid [first][second] of values."""
    profile = model.fitted.profile
    decided = {column.column for column in profile.derived} if profile else set()
    pairs = [
        share.columns
        for share in (profile.shares if profile else ())
        if len(share.columns) == 2 and set(share.columns) <= base.keys() - decided
    ]
    return [_map(model, base, (first, second), confidence) for first, second in pairs[:MOST_MAPS]]


def _map(
    model: TableRegression,
    base: Mapping[str, np.ndarray],
    pair: tuple[str, str],
    confidence: float,
) -> dict[str, Any]:
    """Return one pair of `_together`."""
    values = [_levels(model, name) for name in pair]
    shape = (len(values[0]), len(values[1]))
    rows = {name: np.repeat(known[:1], shape[0] * shape[1]) for name, known in base.items()}
    rows |= {pair[0]: np.repeat(values[0], shape[1]), pair[1]: np.tile(values[1], shape[0])}
    by_name = {atom.name: atom for atom in model.fitted.atoms}
    of_both = [
        atom.kind == "product"
        and {x for name in atom.factors for x in by_name[name].columns} == set(pair)
        for atom in model.fitted.atoms
    ]
    products = np.where(of_both, model.matrix(rows, cut=False), 0.0)
    grids = [one.reshape(shape).tolist() for one in _effects(model, list(products), confidence)]
    return {
        "columns": list(pair),
        "values": [known.tolist() for known in values],
        **dict(zip(("effect", "lower", "upper"), grids, strict=True)),
    }


def _levels(model: TableRegression, name: str) -> np.ndarray:
    """Return values of a column for a heat map: categories, or quantiles of its rows."""
    if name in model.fitted.categorical:
        return np.array(model.fitted.categorical[name][:MOST_LEVELS])
    profile = model.fitted.profile
    deciles = np.array(profile.deciles[name] if profile else ())
    known = np.unique(deciles)
    return known if len(known) <= MOST_LEVELS else np.unique(deciles[::2])


def _unit(model: TableRegression) -> str:
    return "ms" if "ms" in re.split("[^a-z]+", model.fitted.response.lower()) else "units"


def _alone(atom: Atom, by_name: Mapping[str, Atom], changed: Collection[str]) -> bool:
    """Return whether the term is of columns that change, or of sums that no graph makes."""
    if atom.kind != "product":
        return atom.kind != "repeat"
    return all(
        len(by_name[name].columns) == 1 and by_name[name].columns[0] in changed
        for name in atom.factors
    )


def _numbers(model: TableRegression) -> list[str]:
    """Return the numeric columns that may be chosen, those of the greatest shares first: not those
    that others decide."""
    profile = model.fitted.profile
    decided = {column.column for column in profile.derived} if profile else set()
    names = [atom.name for atom in model.fitted.atoms if atom.kind == "column"]
    shares = {x.columns: -x.share for x in profile.shares} if profile else {}
    names.sort(key=lambda name: shares.get((name,), 0.0))
    return [name for name in names if name not in decided]


def _ends(model: TableRegression) -> dict[str, tuple[float, float]]:
    fitted = model.regression
    ends = zip(fitted.low.tolist(), fitted.high.tolist(), strict=True)
    found = dict(zip(fitted.terms, ends, strict=True))
    profile = model.fitted.profile
    for name, known in profile.deciles.items() if profile else ():
        if name in found:  # a slot that is not there counts as 0, which is no choice
            found[name] = known[0], known[-1]
    return found


def _base(model: TableRegression, references: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return two rows alike, of averages: the categories of `references` or the commonest, numbers
    halfway, all slots."""
    ends, profile = _ends(model), model.fitted.profile
    numeric = [atom.name for atom in model.fitted.atoms if atom.kind == "column"]
    base = {name: np.full(2, sum(ends[name]) / 2) for name in numeric}
    gates = model.fitted.encoded.gates
    for name in {gate for gate, _ in gates.least.values()} if gates else ():
        if name in ends:
            base[name] = np.full(2, ends[name][1])
    for name, known in model.fitted.categorical.items():
        common = known[0] if profile is None else profile.frequent.get(name, known[0])
        given = references.get(name, common)
        base[name] = np.array([given if given in known else common] * 2)
    return base


def _following(
    model: TableRegression, table: dict[str, np.ndarray], changed: str
) -> dict[str, np.ndarray]:
    """Return `table` with the columns that `changed` decides as it decides them."""
    profile = model.fitted.profile
    for column in profile.derived if profile else ():
        if changed in column.causes and set(column.causes) <= table.keys():
            table = {**table, column.column: column.of(table)}
    return table


def _pairs(
    model: TableRegression, base: dict[str, np.ndarray]
) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Return each change in words, with the two rows before and after it."""
    ends, found = _ends(model), []
    for name, known in model.fitted.categorical.items():
        first = str(base[name][0])
        for other in known:
            if other != first:
                text = f"{name}: {other} instead of {first}"
                found.append((text, {**base, name: np.array([first, other])}))
    for name in _numbers(model):
        low, high = ends[name]
        pair = _following(model, {**base, name: np.array([low, high])}, name)
        followers = [x for x in pair if x != name and pair[x][0] != pair[x][1]]
        also = f" ({', '.join(followers)} following)" if followers else ""
        found.append((f"{name}: {high:g} instead of {low:g}{also}", pair))
    return found
