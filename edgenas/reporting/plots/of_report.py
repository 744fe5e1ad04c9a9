"""The plots of one report: what of a `ReportData` goes into which plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from statistics import NormalDist

from edgenas.core.records import Candidate, Interval
from edgenas.core.records.fitted import Coefficient
from edgenas.core.records.goals import SCORE
from edgenas.core.records.intervals import wilson
from edgenas.reporting.document import (
    FittedRow,
    MarginalEffect,
    PredictorReport,
    ReportData,
    VerifiedCandidate,
)
from edgenas.reporting.plots import kinds
from edgenas.reporting.plots.plot import Plot
from edgenas.reporting.words import numbers
from edgenas.reporting.words.bars import stage_first

MOST_EFFECTS = 18
MOST_COEFFICIENTS = 32
LEAST_CALIBRATED = 10  # held-out rows
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
LATENCY_AXIS = "Latency on the target (ms)"


def score_axis(data: ReportData) -> str:
    """Return the title of the axis of the task's score, in percent."""
    return f"{data.score.capitalize()} (%)"


def tradeoff(data: ReportData) -> Plot:
    """Draw accuracy against latency: what was measured, what was predicted, what was verified."""
    frontier = data.search.frontier if data.search else ()
    proposed = data.search.candidates if data.search else ()
    others = tuple(c for c in data.candidates if data.winner is None or not _same(c, data.winner))
    score = data.score
    series = [
        kinds.Series("measured subnet", "known", _measured(data)),
        kinds.Series(f"{score} only predicted", "half_known", _half_measured(data)),
        kinds.Series("proposed (predicted)", "predicted", _predicted(proposed, score)),
        kinds.Series("verified on the target", "verified", _verified(others, score, passed=True)),
        kinds.Series("failed", "failed", _verified(others, score, passed=False)),
    ]
    if data.winner is not None:
        passed = data.status == "pass"
        look: kinds.SeriesLook = "winner" if passed else "failed"
        unverified = data.status == "not verified"
        text = "winner" if passed else "best, then" if unverified else "best, failed"
        marks = _verified((data.winner,), score, passed=data.winner.passed)
        series.append(kinds.Series(text, look, marks, text))
    if data.infeasible is not None:
        least = _predicted((data.infeasible,), score)
        series.append(kinds.Series("least latency", "predicted", least, "fastest there is"))
    return kinds.tradeoff(
        "tradeoff",
        [group for group in series if group.marks],
        rising((point["latency_ms"].mean, 100 * point[SCORE].mean) for point in frontier),
        limit=data.limit_ms if data.limited else None,
        labels=(LATENCY_AXIS, score_axis(data)),
        band=band(data),
        limit_text=f"budget {numbers.milliseconds(data.limit_ms)}",
    )


def band(data: ReportData) -> tuple[float, float] | None:
    """Return the accuracies, percent, that the validation images do not tell from the best."""
    noise = data.networks
    if noise is None or noise.alike < 2:
        return None
    return 100 * noise.lowest, 100 * noise.best


def rising(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that are best in these two responses alone, by rising latency."""
    kept: list[tuple[float, float]] = []
    for latency_ms, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or accuracy > kept[-1][1]:
            kept.append((latency_ms, accuracy))
    return kept


def fit_quality(predictor: PredictorReport) -> Plot | None:
    """Draw predicted against observed: held-out rows where there are any, else all."""
    marks, what = _fitted(predictor)
    if not marks:
        return None
    _, unit = scale_and_unit(predictor)
    label = predictor.label
    axes = (f"Predicted {label} ({unit})", f"Observed {label} ({unit})")
    return kinds.predicted_observed(f"{slug(predictor)}-fit", marks, axes, what)


def residuals(predictor: PredictorReport) -> Plot | None:
    """Draw observed minus predicted against predicted, of the same rows."""
    marks, what = _fitted(predictor)
    if not marks:
        return None
    _, unit = scale_and_unit(predictor)
    axes = (f"Predicted {predictor.label} ({unit})", f"Residual ({_change_unit(predictor)})")
    return kinds.residuals(f"{slug(predictor)}-residuals", marks, axes, what)


def _fitted(predictor: PredictorReport) -> tuple[list[kinds.Mark], str]:
    """Return the held-out rows, or all where there are none, as marks, and what these are."""
    observed = [row for row in predictor.rows if row.observed is not None]
    rows = [row for row in observed if row.held_out] or observed
    scale, unit = scale_and_unit(predictor)
    marks = []
    for row in rows:
        value = row.observed if row.observed is not None else float("nan")
        low, high = row.ci95 or (value, value)
        seen, expected = Interval(value, low, high), row.predicted
        tip = (
            f"{row.architecture}\npredicted {numbers.with_bounds(expected, scale)} {unit}, "
            f"observed {numbers.significant(scale * value)} {unit}"
        )
        known = str(row.architecture)
        marks.append(kinds.Mark(_scaled(expected, scale), _scaled(seen, scale), tip, known))
    held_out = bool(rows) and rows[0].held_out
    return marks, "held-out network" if held_out else "network the predictor was fitted to"


def calibration(predictor: PredictorReport) -> Plot | None:
    """Draw how many held-out observations lie within prediction intervals of each nominal level.

    The intervals of other levels follow from those at the predictor's own, as of a normal
    distribution. The band holds 95 % of what chance gives intervals that are right. None with
    fewer than ten held-out rows.
    """
    rows = [row for row in predictor.rows if row.held_out and row.observed is not None]
    if len(rows) < LEAST_CALIBRATED:
        return None
    own = NormalDist().inv_cdf((1 + predictor.confidence) / 2)
    points, band = [], []
    for level in LEVELS:
        wider = NormalDist().inv_cdf((1 + level) / 2) / own
        inside = sum(_covers(row, wider) for row in rows)
        points.append((100 * level, 100 * inside / len(rows)))
        low, high = wilson(level * len(rows), len(rows))
        band.append({"x": 100 * level, "y_lower": 100 * low, "y_upper": 100 * high})
    return kinds.calibration(
        f"{slug(predictor)}-calibration",
        points,
        band,
        (f"Nominal level of the interval of {predictor.label} (%)", "Observations inside (%)"),
    )


def _covers(row: FittedRow, wider: float) -> bool:
    assert row.observed is not None
    centre = row.predicted.mean
    end = row.predicted.upper if row.observed > centre else row.predicted.lower
    return abs(row.observed - centre) <= wider * abs(end - centre)


def coefficients(predictor: PredictorReport) -> Plot | None:
    """Draw what one standard deviation of each term changes, grouped, with intervals."""
    shown = plotted_coefficients(predictor)
    if not shown:
        return None
    scale, _ = scale_and_unit(predictor)
    rows = [
        kinds.Row(
            row.name.removeprefix(f"{row.group}: "),
            _scaled(_interval(row), scale * (row.term_sd or 0.0)),
            row.group,
        )
        for row in shown
    ]
    unit = _change_unit(predictor)
    label = f"Typical change in {predictor.label} ({unit})"
    return kinds.interval_rows(f"{slug(predictor)}-coefficients", rows, label)


def plotted_coefficients(predictor: PredictorReport) -> list[Coefficient]:
    """Return the terms that the plot shows: the largest, then by group in order of appearance."""
    usable = [row for row in predictor.coefficients if row.term_sd]
    groups = list(dict.fromkeys(row.group for row in usable))
    largest = sorted(usable, key=lambda row: -abs(row.coef * (row.term_sd or 0.0)))
    return sorted(largest[:MOST_COEFFICIENTS], key=lambda row: groups.index(row.group))


def effects(predictor: PredictorReport) -> Plot | None:
    """Draw the marginal effects as bars, the largest on top."""
    shown = plotted_effects(predictor)
    if not shown:
        return None
    scale, _ = scale_and_unit(predictor)
    rows = [
        kinds.Row(
            stage_first(effect.change),
            _scaled(Interval(effect.effect, effect.lower, effect.upper), scale),
        )
        for effect in shown
    ]
    label = f"Change in {predictor.label} ({_change_unit(predictor)})"
    return kinds.interval_rows(f"{slug(predictor)}-effects", rows, label, bars=True)


def plotted_effects(predictor: PredictorReport) -> list[MarginalEffect]:
    """Return the effects that the plot shows: the largest, by falling size."""
    return sorted(predictor.effects, key=lambda effect: -abs(effect.effect))[:MOST_EFFECTS]


def scale_and_unit(predictor: PredictorReport) -> tuple[float, str]:
    """Return what values are multiplied by for display, and the unit that they then have."""
    if predictor.unit == "fraction":
        return 100.0, "%"
    if predictor.unit == "bytes":
        greatest = max((row.predicted.mean for row in predictor.rows), default=0.0)
        return (1e-6, "MB") if greatest >= 1e6 else (1e-3, "kB")
    return 1.0, predictor.unit


def slug(predictor: PredictorReport) -> str:
    """Return the response's name as an HTML id: letters, digits and '-'."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in predictor.response)


def _change_unit(predictor: PredictorReport) -> str:
    return "points" if predictor.unit == "fraction" else scale_and_unit(predictor)[1]


def _measured(data: ReportData) -> tuple[kinds.Mark, ...]:
    accuracy = {e.architecture: e.int8_accuracy for e in data.evaluations}
    marks = []
    for measurement in data.measurements:
        latency = measurement.outcome.latency
        if latency is None or measurement.architecture not in accuracy:
            continue
        low, high = latency.span_ms
        value = 100 * accuracy[measurement.architecture]
        tip = (
            f"{measurement.architecture}\nmeasured {numbers.milliseconds(latency.median_ms)}, "
            f"{data.score} {value:.1f} %"
        )
        x = Interval(latency.median_ms, low, high)
        marks.append(
            kinds.Mark(x, Interval(value, value, value), tip, str(measurement.architecture))
        )
    return tuple(marks)


def _half_measured(data: ReportData) -> tuple[kinds.Mark, ...]:
    predictor = data.predictor(SCORE)
    predicted = {row.architecture: row.predicted for row in predictor.rows} if predictor else {}
    known = {e.architecture for e in data.evaluations}
    marks = []
    for measurement in data.measurements:
        latency, accuracy = measurement.outcome.latency, predicted.get(measurement.architecture)
        if latency is None or accuracy is None or measurement.architecture in known:
            continue
        x, y = Interval(latency.median_ms, *latency.span_ms), 100 * accuracy.mean
        tip = (
            f"{measurement.architecture}\nmeasured {numbers.milliseconds(latency.median_ms)}, "
            f"predicted {data.score} {numbers.percent_bounds(accuracy)}"
        )
        marks.append(kinds.Mark(x, Interval(y, y, y), tip, str(measurement.architecture)))
    return tuple(marks)


def _predicted(candidates: tuple[Candidate, ...], score: str) -> tuple[kinds.Mark, ...]:
    return tuple(
        kinds.Mark(
            candidate["latency_ms"],
            _scaled(candidate[SCORE], 100.0),
            f"{candidate.architecture}\npredicted "
            f"{numbers.with_bounds(candidate['latency_ms'])} ms, "
            f"{score} {numbers.percent_bounds(candidate[SCORE])}",
            str(candidate.architecture),
        )
        for candidate in candidates
    )


def _verified(
    candidates: tuple[VerifiedCandidate, ...], score: str, *, passed: bool
) -> tuple[kinds.Mark, ...]:
    marks = []
    for candidate in candidates:
        latency, accuracy, where = (
            candidate.measured_latency_ms,
            candidate.device_accuracy,
            "on the target",
        )
        if accuracy is None:
            accuracy, where = candidate.int8_accuracy, "on the host"
        if candidate.passed != passed or latency is None:
            continue
        if accuracy is not None:
            y = Interval(*[100 * accuracy] * 3)
            seen = f"{score} {numbers.percent(accuracy, candidate.n_images)} {where}"
        elif candidate.synthetic:
            y = _scaled(candidate.predicted[SCORE], 100.0)
            seen = f"{score} {numbers.percent_bounds(candidate.predicted[SCORE])} predicted only"
        else:
            continue
        measured = numbers.milliseconds(latency.median)
        x = Interval(latency.median, *(latency.ci95 or (latency.median, latency.median)))
        tip = f"{candidate.predicted.architecture}\nmeasured {measured}, {seen}"
        marks.append(kinds.Mark(x, y, tip, str(candidate.predicted.architecture)))
    return tuple(marks)


def _same(candidate: VerifiedCandidate, other: VerifiedCandidate) -> bool:
    return candidate.predicted.architecture == other.predicted.architecture


def _interval(row: Coefficient) -> Interval:
    return Interval(row.coef, *row.conf_int)


def _scaled(value: Interval, scale: float) -> Interval:
    return replace(
        value, mean=scale * value.mean, lower=scale * value.lower, upper=scale * value.upper
    )


OF_PREDICTOR: dict[str, Callable[[PredictorReport], Plot | None]] = {  # by the names of their files
    "fit-quality": fit_quality,
    "residuals": residuals,
    "coefficients": coefficients,
    "effects": effects,
}
