"""What the user's own synthesis reports make of the formulas of an FPGA: a factor by kind of unit.

The logarithm of what a report says over what the formulas say is fitted by `regression`, with an
indicator of each kind of unit. A unit's upper bound is that of its prediction interval. The bound
of a network is the sum of its units': it holds however much their errors have in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np

from edgenas.core.counted import are, counted
from edgenas.hardware.pipeline import Factors
from edgenas.hardware.reports import Report, UnitReport, read_reports
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData
from edgenas.targets.base import Target
from edgenas.targets.fpga import FpgaTarget

LEAST_UNITS = 10
LEAST_OF_A_KIND = 3
LEAST_SIMULATIONS = 5


@dataclass(frozen=True)
class Factor:
    """Reports over formulas, of one kind of unit: typical, and the bounds of single units.

    kind : "" of the cycles, which are those of whole networks.
    """

    kind: str
    typical: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Fit:
    """One response of the formulas against reports.

    label : the response in words. n, reports : rows, and the reports that they are of.
    error : mean relative error on rows left out of the fit. factors : none with too few rows.
    """

    label: str
    n: int
    reports: int
    error: float
    factors: tuple[Factor, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """What all reports of a target give. confidence : of the bounds."""

    luts: Fit
    bram18: Fit
    cycles: Fit
    confidence: float

    @property
    def factors(self) -> Factors:
        """The formulas' factors at their upper bounds; 1 of what was not calibrated."""
        upper = {"luts": self.luts, "bram18": self.bram18}
        by_kind = {
            f"{name}_of": tuple((factor.kind, factor.upper) for factor in fit.factors)
            for name, fit in upper.items()
        }
        cycles = max((factor.upper for factor in self.cycles.factors), default=1.0)
        return Factors(**by_kind, cycles=cycles)  # type: ignore[arg-type]

    def sentences(self) -> tuple[str, ...]:
        """Return what was calibrated on what, how well, and what was not."""
        return tuple(map(self._sentence, (self.luts, self.bram18, self.cycles)))

    def _sentence(self, fit: Fit) -> str:
        of_units = fit is not self.cycles
        row = "unit" if of_units else "simulation"
        fitted = f"{counted(fit.n, row)} of {counted(fit.reports, 'report')}"
        if not fit.factors:
            least = f"{LEAST_UNITS} units, {LEAST_OF_A_KIND} of a kind," if of_units else (
                f"{LEAST_SIMULATIONS} simulations"
            )  # fmt: skip
            return (
                f"{fit.label}: estimated by formulas, not calibrated: {fitted} "
                f"{are(fit.n)} too few; {least} are needed."
            )
        factors = "; ".join(
            f"{one.kind} {one.typical:.3g} ({one.lower:.3g} to {one.upper:.3g})".lstrip()
            for one in fit.factors
        )
        return (
            f"{fit.label}: estimated, calibrated on {fitted}, error "
            f"{100 * fit.error:.2g} % on {row}s left out, "
            f"counted at the upper bound at {100 * self.confidence:.4g} % confidence. "
            f"{'Reports over formulas' if of_units else 'Cycles over the formula'}: {factors}."
        )


def calibrate(reports: Sequence[Report], confidence: float, seed: int) -> Calibration:
    """Return the factors of the formulas that `reports` give, bounded with `confidence`."""

    def fitted(
        label: str, of: Callable[[UnitReport], float], formula: Callable[[UnitReport], float]
    ) -> Fit:
        rows = [
            (unit.kind, index, float(np.log(of(unit) / formula(unit))))
            for index, report in enumerate(reports)
            for unit in report.units
            if of(unit) > 0 and formula(unit) > 0
        ]
        return _fit(label, rows, LEAST_UNITS, confidence, seed)

    simulated = [
        ("", index, float(np.log(report.cycles)))
        for index, report in enumerate(reports)
        if report.cycles is not None
    ]
    return Calibration(
        fitted("LUTs", lambda unit: unit.luts, lambda unit: unit.formula_luts),
        fitted("Block RAMs", lambda unit: unit.bram18, lambda unit: unit.formula_bram18),
        _fit("Images/s", simulated, LEAST_SIMULATIONS, confidence, seed),
        confidence,
    )


def _fit(
    label: str, rows: Sequence[tuple[str, int, float]], least: int, confidence: float,
    seed: int,
) -> Fit:  # fmt: skip
    """Return the fit of rows: the kind of unit, the report, and the logarithm of its ratio."""
    counts = Counter(kind for kind, *_ in rows)
    kinds = sorted(kind for kind, count in counts.items() if count >= LEAST_OF_A_KIND)
    kept = [row for row in rows if row[0] in kinds]
    reports = np.array([report for _, report, _ in kept])
    if len(kept) < least:
        return Fit(label, len(rows), len({report for _, report, _ in rows}), 0.0)
    ratios = np.array([ratio for *_, ratio in kept])
    n_reports = len(set(reports.tolist()))
    if np.ptp(ratios) < 1e-12:
        same = exp(ratios[0])
        return Fit(
            label, len(kept), n_reports, 0.0, tuple(Factor(k, same, same, same) for k in kinds)
        )
    indicators = np.array([[float(kind == of) for of in kinds[1:]] for kind, *_ in kept])
    data = TrainingData(
        label,
        "",
        tuple(kinds[1:]),
        indicators.reshape(len(kept), len(kinds) - 1),
        ratios,
        plain=True,
        logarithm=True,
        # Units of one network err alike: whole reports are left out where there are enough.
        network=reports if n_reports >= regression.FOLDS else np.arange(len(kept)),
    )
    model = regression.fit(data, seed)
    bounds = model.get_prediction(np.eye(len(kinds))[:, 1:], confidence)
    factors = tuple(
        Factor(kind, exp(bounds.mean[i]), exp(bounds.lower[i]), exp(bounds.upper[i]))
        for i, kind in enumerate(kinds)
    )
    error = model.heldout.mape if model.heldout is not None else 0.0
    return Fit(label, len(kept), n_reports, error, factors)


def calibrated(target: Target, confidence: float, seed: int) -> Target:
    """Return `target`; reports that the file of an FPGA names bound what it estimates.

    Raises
    ------
    EdgeNasError : a report cannot be read, or is of another network.
    """
    if isinstance(target, FpgaTarget) and target.report_paths:
        reports = read_reports(target.report_paths, target.pipeline.style)
        calibration = calibrate(reports, confidence, seed)
        target.calibrate(calibration.factors, calibration.sentences())
    return target
