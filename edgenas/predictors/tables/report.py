"""What a table predictor's file holds, and what `edgenas fit` says of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from edgenas.core.intervals import EXTRAPOLATION
from edgenas.core.records.fitted import Coefficient
from edgenas.predictors.linear import bootstrap
from edgenas.predictors.regression import Regression
from edgenas.predictors.tables import coded_categories, power_sums, published_layers
from edgenas.predictors.tables.cells import Cell
from edgenas.predictors.tables.encodings import PLAIN, Encoded
from edgenas.predictors.tables.profile import Profile
from edgenas.predictors.tables.terms import Atom


@dataclass(frozen=True)
class Adapted:
    """What came of the priors: `used` "transfer" or "scratch"; errors on rows left out, in the
    response's unit; gain: share of the error from scratch that the priors save; likeness: how far
    each prior, and their mean, is believed to be what the new board is like."""

    used: str
    errors: dict[str, float]
    gain: float
    warning: str
    hardware: str = ""  # what hardware parameters said, or why they are not used
    likeness: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Fitted:
    """What a predictor file holds: how to make terms from columns, and the regression on them."""

    response: str
    terms: str
    formula: str
    atoms: tuple[Atom, ...]
    categorical: dict[str, tuple[str, ...]]  # column -> its categories
    skipped: int
    duplicates: int
    seconds: float
    regression: dict[str, Any]
    inference: bootstrap.Inference | None = None
    constant: dict[str, float] = field(default_factory=dict)  # numeric columns that never varied
    priors: dict[str, dict[str, Any]] = field(default_factory=dict)  # other boards' predictors
    transfer: Adapted | None = None
    labels: tuple[str, ...] = ()  # text columns left out: another text in each row
    left_out: dict[str, str] = field(default_factory=dict)  # columns that are no features, and why
    warnings: tuple[str, ...] = ()  # what is odd about the rows
    runs: int = 0  # of how many runs the rows are means, 0: they are single ones
    read_as: tuple[str, ...] = ()  # what of the file was read otherwise than it stands there
    cell: Cell | None = None  # the graph of which edges that nothing uses are cut off
    logarithm: bool = False  # the regression is of the response's natural logarithm
    encoded: Encoded = PLAIN  # columns that are made of others
    codes: tuple[str, ...] = ()  # columns of numbers that are read as categories
    profile: Profile | None = None  # what explanations need of the rows; older files lack it


# What a fit says of its effects, as `edgenas explain` does; without a profile it says nothing.
EXPLAINED = ("effects_in", "effects", "references", "curves", "together", "doubtful")
CONFIDENCE = 0.95
# What the standard errors of each kind of terms rest on.
POSTERIOR = "of the posterior, under the variances and levels that the rows chose"
RESTS_ON = {
    "auto": POSTERIOR,
    "main": POSTERIOR,
    "annealed": "after selection: the products were picked by their effect on these same rows, so "
    "their errors are too small and their p-values too low; --bootstrap 200 admits the picking",
}


def report(table: Fitted, fitted: Regression) -> dict[str, Any]:
    """Return what `edgenas fit --json` prints."""
    heldout, inference = fitted.heldout, table.inference
    document = {
        "n": table.runs or fitted.n,
        "networks": fitted.n,
        "skipped": table.skipped,
        "duplicates": table.duplicates,
        "labels": list(table.labels),
        "left_out": table.left_out,
        "warnings": list(table.warnings),
        "read_as": list(table.read_as),
        "notes": notes(table),
        "logarithm": table.logarithm,
        "importance": [asdict(x) for x in table.profile.shares] if table.profile else [],
        "derived": [asdict(x) for x in table.profile.derived] if table.profile else [],
        "vif": dict(table.profile.vif) if table.profile else {},
        "terms": [
            _line(inference, at, line)
            for at, line in enumerate(fitted.coefficients(CONFIDENCE))
            if not table.priors
            or line.bse > 0  # a blend of priors leaves the table's own terms out
        ],
        "standard_errors": standard_errors(table),
        "bootstrap": 0 if inference is None else inference.replicates,
        "extrapolation": EXTRAPOLATION,
        "levels": fitted.levels,
        "heldout": None
        if heldout is None
        else {
            "rmse": heldout.rmse,
            "mape": heldout.mape,
            "kendall_tau": heldout.kendall_tau,
            "r2": heldout.r2,
            "coverage90": heldout.coverage,
        },
        "seconds": table.seconds,
    }
    if table.transfer is not None:
        document["transfer"] = {"priors": sorted(table.priors), **asdict(table.transfer)}
    return document


def notes(table: Fitted) -> list[str]:
    """Return what the rows told of the engine and of the response, in words."""
    notes = table.encoded.notes()
    if table.runs:
        notes.append(
            f"{table.runs} rows are runs of {table.regression['n']} networks: those of one are "
            "averaged to fit, and left out together."
        )
    if table.codes:
        notes.append(f"Read as categories, not as amounts: {', '.join(table.codes)}.")
    if table.cell is not None and not table.priors:  # priors are adapted by terms of their own
        forward = " So does an operation on nothing." if table.cell.forward else ""
        notes.append(
            f"An operation whose result nothing uses counts as '{table.cell.nothing}': the engine "
            f"leaves it out.{forward}"
        )
    if light := table.regression.get("light", 0):
        notes.append(
            f"Errors have heavy tails: {light} of {table.regression['n']} rows, which are far off, "
            "count for less than half."
        )
    if coded_categories.LEVEL in table.regression.get("levels", {}) and not table.priors:
        notes.append("Categories count by what their names say (numbers and flags), too.")
    if published_layers.LEVEL in table.regression.get("levels", {}) and not table.priors:
        notes.append(
            "Columns are the layers of a published space (FBNet): what blocks compute there counts."
        )
    if table.profile is not None:
        notes += [column.sentence() for column in table.profile.derived]
    notes += [
        f"One term is the logarithm of a sum of products that the rows show: {table.response} ~ "
        f"{power_sums.sentence(atom)}."
        for atom in table.atoms
        if atom.kind == "powers"
    ]
    if table.logarithm:
        notes.append(
            f"Effects multiply: terms add up to the logarithm of {table.response}, and a "
            "coefficient of 0.01 is 1 %."
        )
    return notes


def standard_errors(table: Fitted) -> str:
    """Return what standard errors, p-values and intervals of coefficients rest on, in words."""
    if table.inference is not None:
        return f"of {table.inference.replicates} repeated fits, selection included"
    return RESTS_ON.get(table.terms, "of least squares; the terms were given, none was selected")


def _line(inference: bootstrap.Inference | None, at: int, line: Coefficient) -> dict[str, Any]:
    """Return line `at` of the coefficient table as JSON; 0 is the intercept."""
    if inference is not None:
        bse = float(inference.bse[at])
        line = replace(
            line,
            bse=bse,
            tvalue=line.coef / bse if bse > 0 else 0.0,
            pvalue=float(inference.pvalues[at]),
            conf_int=(float(inference.lower[at]), float(inference.upper[at])),
        )
    document = {
        "name": line.name,
        "coef": line.coef,
        "se": line.bse,
        "t": line.tvalue,
        "p": line.pvalue,
        "ci95": list(line.conf_int),
        "vif": line.vif,
    }
    return (
        document if inference is None else {**document, "selected": float(inference.selected[at])}
    )
