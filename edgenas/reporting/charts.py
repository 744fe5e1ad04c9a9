"""The plots of one report: what of a `ReportData` goes into which plot."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from edgenas.records import Candidate, Interval
from edgenas.reporting import formats, plots
from edgenas.reporting.document import (
    CoefficientRow,
    MarginalEffect,
    PredictorReport,
    ReportData,
    VerifiedCandidate,
)
from edgenas.reporting.plot import Plot

MOST_EFFECTS = 18
MOST_COEFFICIENTS = 32
_AXES = ("Latency on the target (ms)", "Accuracy (%)")


def tradeoff(data: ReportData) -> Plot:
    """Draw accuracy against latency: what was measured, what was predicted, what was verified."""
    frontier = data.search.frontier if data.search else ()
    proposed = data.search.candidates if data.search else ()
    others = tuple(c for c in data.candidates if data.winner is None or not _same(c, data.winner))
    series = [
        plots.Series("measured subnet", "known", _measured(data)),
        plots.Series("accuracy only predicted", "half_known", _half_measured(data)),
        plots.Series("proposed (predicted)", "predicted", _predicted(proposed)),
        plots.Series("verified on the target", "verified", _verified(others, passed=True)),
        plots.Series("failed", "failed", _verified(others, passed=False)),
    ]
    if data.winner is not None:
        passed = data.status == "pass"
        look: plots.Look = "winner" if passed else "failed"
        text = "winner" if passed else "best, failed"
        marks = _verified((data.winner,), passed=data.winner.passed)
        series.append(plots.Series(text, look, marks, text))
    if data.infeasible is not None:
        least = _predicted((data.infeasible,))
        series.append(plots.Series("least latency", "predicted", least, "fastest there is"))
    return plots.tradeoff(
        "tradeoff",
        [one for one in series if one.marks],
        rising((one.latency_ms.mean, 100 * one.accuracy.mean) for one in frontier),
        limit=data.limit_ms if data.limited else None,
        labels=_AXES,
        limit_text=f"budget {formats.milliseconds(data.limit_ms)}",
    )


def rising(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that are best in these two responses alone, by rising latency."""
    kept: list[tuple[float, float]] = []
    for latency_ms, accuracy in sorted(points, key=lambda one: (one[0], -one[1])):
        if not kept or accuracy > kept[-1][1]:
            kept.append((latency_ms, accuracy))
    return kept


def fit_quality(predictor: PredictorReport) -> Plot | None:
    """Draw predicted against observed: held-out rows where there are any, else all."""
    observed = [row for row in predictor.rows if row.observed is not None]
    rows = [row for row in observed if row.held_out] or observed
    if not rows:
        return None
    scale, unit = scale_and_unit(predictor)
    marks = []
    for row in rows:
        value = row.observed if row.observed is not None else float("nan")
        low, high = row.ci95 or (value, value)
        seen, expected = Interval(value, low, high), row.predicted
        tip = (
            f"{row.architecture}\npredicted {formats.with_bounds(expected, scale)} {unit}, "
            f"observed {formats.significant(scale * value)} {unit}"
        )
        marks.append(plots.Mark(_scaled(expected, scale), _scaled(seen, scale), tip))
    what = "held-out network" if rows[0].held_out else "network the predictor was fitted to"
    label = predictor.label
    axes = (f"Predicted {label} ({unit})", f"Observed {label} ({unit})")
    return plots.predicted_observed(f"{slug(predictor)}-fit", marks, axes, what)


def residuals(predictor: PredictorReport) -> Plot | None:
    """Draw observed minus predicted against predicted, of the rows that were observed."""
    scale, unit = scale_and_unit(predictor)
    marks = []
    for row in predictor.rows:
        if row.observed is not None:
            x, y = scale * row.predicted.mean, scale * (row.observed - row.predicted.mean)
            tip = f"{row.architecture}\nobserved minus predicted {y:+.3g} {_change_unit(predictor)}"
            marks.append(plots.Mark(Interval(x, x, x), Interval(y, y, y), tip))
    if not marks:
        return None
    axes = (f"Predicted {predictor.label} ({unit})", f"Residual ({_change_unit(predictor)})")
    return plots.residuals(f"{slug(predictor)}-residuals", marks, axes)


def coefficients(predictor: PredictorReport) -> Plot | None:
    """Draw what one standard deviation of each term changes, grouped, with intervals."""
    shown = plotted_coefficients(predictor)
    if not shown:
        return None
    scale, _ = scale_and_unit(predictor)
    rows = [
        plots.Row(
            row.name.removeprefix(f"{row.group}: "),
            _scaled(_interval(row), scale * (row.term_sd or 0.0)),
            row.group,
        )
        for row in shown
    ]
    unit = _change_unit(predictor)
    label = f"Change in {predictor.label} per typical difference ({unit})"
    return plots.interval_rows(f"{slug(predictor)}-coefficients", rows, label)


def plotted_coefficients(predictor: PredictorReport) -> list[CoefficientRow]:
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
        plots.Row(
            _stage_first(one.change), _scaled(Interval(one.effect, one.lower, one.upper), scale)
        )
        for one in shown
    ]
    label = f"Change in {predictor.label} ({_change_unit(predictor)})"
    return plots.interval_rows(f"{slug(predictor)}-effects", rows, label, bars=True)


def _stage_first(change: str) -> str:
    """Return "stage 2: kernel 5 instead of 3" for "kernel 5 instead of 3 in one block of stage 2".

    What tells the bars apart then comes before a long label is cut.
    """
    match = re.fullmatch(r"(.+?) in (?:one block of )?(stage \d+)", change)
    return f"{match[2]}: {match[1]}" if match else change


def plotted_effects(predictor: PredictorReport) -> list[MarginalEffect]:
    """Return the effects that the plot shows: the largest, by falling size."""
    return sorted(predictor.effects, key=lambda one: -abs(one.effect))[:MOST_EFFECTS]


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


def _measured(data: ReportData) -> tuple[plots.Mark, ...]:
    accuracy = {e.architecture: e.int8_accuracy for e in data.evaluations}
    marks = []
    for one in data.measurements:
        latency = one.outcome.latency
        if latency is None or one.architecture not in accuracy:
            continue
        low, high = latency.span_ms
        value = 100 * accuracy[one.architecture]
        tip = (
            f"{one.architecture}\nmeasured {formats.milliseconds(latency.median_ms)}, "
            f"accuracy {value:.1f} %"
        )
        x = Interval(latency.median_ms, low, high)
        marks.append(plots.Mark(x, Interval(value, value, value), tip))
    return tuple(marks)


def _half_measured(data: ReportData) -> tuple[plots.Mark, ...]:
    predictor = data.predictor("accuracy")
    predicted = {row.architecture: row.predicted for row in predictor.rows} if predictor else {}
    known = {e.architecture for e in data.evaluations}
    marks = []
    for one in data.measurements:
        latency, accuracy = one.outcome.latency, predicted.get(one.architecture)
        if latency is None or accuracy is None or one.architecture in known:
            continue
        x, y = Interval(latency.median_ms, *latency.span_ms), 100 * accuracy.mean
        tip = (
            f"{one.architecture}\nmeasured {formats.milliseconds(latency.median_ms)}, "
            f"predicted accuracy {formats.percent_bounds(accuracy)}"
        )
        marks.append(plots.Mark(x, Interval(y, y, y), tip))
    return tuple(marks)


def _predicted(candidates: tuple[Candidate, ...]) -> tuple[plots.Mark, ...]:
    return tuple(
        plots.Mark(
            one.latency_ms,
            _scaled(one.accuracy, 100.0),
            f"{one.architecture}\npredicted {formats.with_bounds(one.latency_ms)} ms, "
            f"accuracy {formats.percent_bounds(one.accuracy)}",
        )
        for one in candidates
    )


def _verified(candidates: tuple[VerifiedCandidate, ...], passed: bool) -> tuple[plots.Mark, ...]:
    marks = []
    for one in candidates:
        latency, accuracy, where = one.measured_latency_ms, one.device_accuracy, "on the target"
        if accuracy is None:
            accuracy, where = one.int8_accuracy, "on the host"
        if one.passed != passed or latency is None:
            continue
        if accuracy is not None:
            y = Interval(*[100 * accuracy] * 3)
            seen = f"accuracy {formats.percent(accuracy, one.n_images)} {where}"
        elif one.synthetic:
            y = _scaled(one.predicted.accuracy, 100.0)
            seen = f"accuracy {formats.percent_bounds(one.predicted.accuracy)} predicted only"
        else:
            continue
        measured = formats.milliseconds(latency.median)
        x = Interval(latency.median, *(latency.ci95 or (latency.median, latency.median)))
        tip = f"{one.predicted.architecture}\nmeasured {measured}, {seen}"
        marks.append(plots.Mark(x, y, tip))
    return tuple(marks)


def _same(one: VerifiedCandidate, other: VerifiedCandidate) -> bool:
    return one.predicted.architecture == other.predicted.architecture


def _interval(row: CoefficientRow) -> Interval:
    return Interval(row.coef, *row.conf_int)


def _scaled(value: Interval, scale: float) -> Interval:
    return replace(
        value, mean=scale * value.mean, lower=scale * value.lower, upper=scale * value.upper
    )
