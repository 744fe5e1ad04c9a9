"""What the choices of a table cost, from its predictor alone: categories, and ranges of numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from edgenas.errors import PredictorError
from edgenas.predictors import magnitude
from edgenas.predictors.atoms import Atom
from edgenas.predictors.table import TableRegression
from edgenas.predictors.table_report import notes


def explanation(model: TableRegression, confidence: float) -> dict[str, Any]:
    """Return the effects of a table predictor, as one report of `edgenas explain --json`.

    A category is compared with the first of its column; a number's lowest measured value with its
    highest. All else is at its average: products with other columns, which are standardised, add
    nothing, and edges of a cell are used. Effects are in the response's unit, or in percent of it
    where terms add up to its logarithm (`effects_in`).

    Raises
    ------
    PredictorError : the predictor was fitted with a formula.
    """
    if model.fitted.formula:
        raise PredictorError(
            "The effects of a formula are its coefficients.", "Read them: edgenas fit --terms …"
        )
    fitted, texts, differences = model.regression, [], []
    by_name = {atom.name: atom for atom in model.fitted.atoms}
    for text, pair in _pairs(model):
        rows = model.matrix(pair, cut=False)
        known = [_alone(atom, by_name) for atom in model.fitted.atoms]
        difference = rows[1] - rows[0]
        difference[: len(known)] *= known
        if difference.any():
            texts.append(text)
            differences.append(difference)
    for index, atom in enumerate(model.fitted.atoms):
        if atom.kind == "repeat":
            texts.append(f"{atom.name} of the same input")
            differences.append(np.eye(len(fitted.terms))[index])
    found = fitted.contrast(np.array(differences).reshape(-1, len(fitted.terms)), confidence)
    bounds = np.array([found.mean, found.lower, found.upper])
    if model.fitted.logarithm:
        bounds = 100 * (magnitude.measured(bounds) - 1)
    numbers = zip(texts, *bounds.tolist(), strict=True)
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
        "breakdown": [],
    }


def _unit(model: TableRegression) -> str:
    return "ms" if "ms" in re.split("[^a-z]+", model.fitted.response.lower()) else "units"


def _alone(atom: Atom, by_name: Mapping[str, Atom]) -> bool:
    """Return whether the term is of one column alone, or of sums that no graph makes."""
    if atom.kind != "product":
        return atom.kind != "repeat"
    first, second = (by_name[name].columns for name in atom.factors)
    return first == second and len(first) == 1


def _pairs(model: TableRegression) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Return each change in words, with the two rows before and after it."""
    fitted = model.regression
    ends = dict(zip(fitted.terms, zip(fitted.low, fitted.high, strict=True), strict=True))
    numeric = [atom.name for atom in model.fitted.atoms if atom.kind == "column"]
    base = {name: np.full(2, (ends[name][0] + ends[name][1]) / 2) for name in numeric}
    base |= {name: np.array([known[0]] * 2) for name, known in model.fitted.categorical.items()}
    found = []
    for name, (first, *others) in model.fitted.categorical.items():
        for other in others:
            text = f"{name}: {other} instead of {first}"
            found.append((text, {**base, name: np.array([first, other])}))
    for name in numeric:
        low, high = ends[name]
        text = f"{name}: {high:g} instead of {low:g}"
        found.append((text, {**base, name: np.array([low, high])}))
    return found
