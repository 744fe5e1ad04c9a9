"""The report page: one HTML file that needs no network, no script and no font of its own."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edgenas.records import Interval, Measurement, ParityRecord
from edgenas.reporting import charts, formats, front_charts, int8_layers
from edgenas.reporting.document import PredictorReport, ReportData, VerifiedCandidate
from edgenas.reporting.plot import Plot
from edgenas.reporting.verdict import verdict
from edgenas.responses import REGISTRY


def render(data: ReportData) -> str:
    """Return the page as HTML; the same data gives the same bytes."""
    template = environment().get_template("report.html.j2")
    page = template.render(
        data=data,
        verdict=verdict(data),
        style=style(),
        tradeoff=inline(charts.tradeoff(data)),
        predictors=[predictor_figures(predictor) for predictor in data.predictors],
        effect_table=effect_table(data.predictors),
        fronts=[inline(plot) for plot in front_charts.fronts(data)],
        goals=front_charts.goals(data),
        candidate_table=_candidate_table(data.candidates),
        measured=_measured_rows(data),
        evaluated=_evaluated_rows(data),
        configuration=_configuration(data),
        **_int8(data),
    )
    return page.lstrip()


def _int8(data: ReportData) -> dict[str, Any]:
    """Return what int8 costs the winner, in sentences, and the rows of its worst layers."""
    found = data.int8_layers
    if found is None:
        return {"int8_says": (), "int8_rows": (), "int8_unshown": 0}
    worst = found.worst_first[: int8_layers.SHOWN]
    return {
        "int8_says": int8_layers.sentences(found),
        "int8_rows": [int8_layers.row(one, found) for one in worst],
        "int8_unshown": len(found.layers) - len(worst),
    }


def style() -> Markup:
    """Return the style sheet."""
    return Markup(resources.files(__package__).joinpath("report.css").read_text("utf-8"))


def environment() -> Environment:
    """Return the templates' environment: texts are escaped, what is undefined is an error."""
    made = Environment(
        loader=PackageLoader("edgenas.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = (
        formats.bounds,
        formats.compact,
        formats.duration,
        formats.milliseconds,
        formats.p_value,
        formats.percent,
        formats.percent_bounds,
        formats.significant,
        formats.storage,
        formats.with_bounds,
    )
    made.filters.update({function.__name__: function for function in shown})
    made.globals.update(MISSING=formats.MISSING, UNKNOWN=formats.UNKNOWN)
    return made


def inline(plot: Plot | None) -> Markup | None:
    """Return the plot's SVG for a template."""
    # safe: matplotlib and Plot escape every text of the SVG
    return None if plot is None else Markup(plot.svg())


def predictor_figures(predictor: PredictorReport) -> dict[str, Any]:
    """Return what the page shows of one predictor, its plots drawn."""
    scale, unit = charts.scale_and_unit(predictor)
    heldout = predictor.heldout
    return {
        "data": predictor,
        "slug": charts.slug(predictor),
        "unit": unit,
        "rmse": None if heldout is None else _error(scale * heldout.rmse, unit),
        "fit": inline(charts.fit_quality(predictor)),
        "residuals": inline(charts.residuals(predictor)),
        "effects": inline(charts.effects(predictor)),
        "coefficients": inline(charts.coefficients(predictor)),
        "n_effects": len(charts.plotted_effects(predictor)),
        "n_coefficients": len(charts.plotted_coefficients(predictor)),
    }


def _error(value: float, unit: str) -> str:
    return f"{formats.significant(value)} {'points' if unit == '%' else unit}"


def _candidate_table(candidates: tuple[VerifiedCandidate, ...]) -> list[tuple[str, list[str]]]:
    """Return (figure, its value for each candidate)."""
    columns = [candidate_figures(one) for one in candidates]
    labels = dict.fromkeys(label for column in columns for label in column)
    return [(label, [column.get(label, "—") for column in columns]) for label in labels]


def candidate_figures(one: VerifiedCandidate) -> dict[str, str]:
    """Return the figures of one verified candidate, by name, in the order of the tables."""
    latency, n = one.measured_latency_ms, one.n_images
    measured = formats.MISSING
    if latency is not None:
        spread = formats.bounds(latency.ci95, latency.median)
        measured = f"{formats.milliseconds(latency.median)} ({spread})"
    return {
        "Latency, predicted": f"{formats.with_bounds(one.predicted.latency_ms)} ms",
        "Latency, measured (95 %)": measured,
        "Latency, p90": formats.milliseconds(latency.p90 if latency else None),
        "Latency of the float network": formats.milliseconds(one.fp32_latency_ms),
        "Accuracy, predicted": formats.percent_bounds(one.predicted.accuracy),
        "Accuracy, float on the host": formats.percent(one.fp32_accuracy, n),
        "Accuracy, int8 on the host": formats.percent(one.int8_accuracy, n),
        "Accuracy, int8 on the target": formats.percent(one.device_accuracy, n),
        "Images behind these": formats.MISSING if n is None or one.synthetic else f"{n:,}",
        **_parity(one.parity),
        "Same answer as the host": formats.percent(one.agreement, n),
        "Peak memory": formats.storage(one.peak_rss_bytes),
        "Model file": formats.storage(one.model_bytes),
        **_further_figures(one),
    }


def _further_figures(one: VerifiedCandidate) -> dict[str, str]:
    """Return the other responses that were predicted, and measured where they were."""
    found = {}
    for name, value in one.predicted.responses.items():
        kind = REGISTRY[name]
        label = f"{kind.label[:1].upper()}{kind.label[1:]}"
        if kind.counted is not None:
            found[label] = kind.shown(value.mean)
            continue
        bounds = f"{kind.shown(value.lower)} to {kind.shown(value.upper)}"
        found[f"{label}, predicted"] = f"{kind.shown(value.mean)} ({bounds})"
        if name == "energy_mj" and name in one.measured:
            found[f"{label}, measured"] = kind.shown(one.measured[name])
    return found


def _parity(parity: ParityRecord | None) -> dict[str, str]:
    """Return the interval of the accuracy, and how far host and target are off the reference."""
    names = {"host": "Logits off the reference, host", "target": "Logits off the reference, target"}
    interval = "Accuracy on the target (95 %)"
    if parity is None:
        return {interval: formats.MISSING, **dict.fromkeys(names.values(), formats.MISSING)}
    rows = {names[row.place]: row for row in parity.engines if row.place in names}
    accuracy = parity.at("target").accuracy
    shown = formats.MISSING if accuracy is None else formats.percent_bounds(accuracy)
    return {interval: shown} | {
        name: f"{formats.significant(row.mean_steps)} steps, {row.max_steps:.0f} at most"
        for name, row in rows.items()
    }


def effect_table(predictors: tuple[PredictorReport, ...]) -> list[tuple[str, list[str]]]:
    """Return (change, effect on each response): what a choice costs beside what it buys."""
    columns = [{one.change: one for one in predictor.effects} for predictor in predictors]
    changes = dict.fromkeys(change for column in columns for change in column)
    table = []
    for change in changes:
        cells = []
        for column in columns:
            one = column.get(change)
            if one is None:
                cells.append("—")
                continue
            points = one.unit == "fraction"
            value = Interval(one.effect, one.lower, one.upper)
            text = formats.effect(value, 100.0 if points else 1.0)
            cells.append(f"{text} {'points' if points else one.unit}")
        table.append((change, cells))
    return table


def _measured_rows(data: ReportData) -> list[dict[str, Any]]:
    """Return the measured networks by rising latency, the failed ones first."""
    predictor = data.predictor("latency_ms")
    predicted = {row.architecture: row.predicted for row in predictor.rows} if predictor else {}
    rows = [
        {
            "one": one,
            "failed": one.outcome.status == "failed",
            "predicted": predicted.get(one.architecture),
        }
        for one in data.measurements
    ]
    return sorted(rows, key=lambda row: (not row["failed"], _median(row["one"])))


def _median(one: Measurement) -> float:
    return one.outcome.latency.median_ms if one.outcome.latency else 0.0


def _evaluated_rows(data: ReportData) -> list[dict[str, Any]]:
    predictor = data.predictor("accuracy")
    predicted = {row.architecture: row.predicted for row in predictor.rows} if predictor else {}
    best_first = sorted(data.evaluations, key=lambda one: -one.int8_accuracy)
    return [{"one": one, "predicted": predicted.get(one.architecture)} for one in best_first]


def _configuration(data: ReportData) -> list[tuple[str, str]]:
    return [
        (key, value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str))
        for key, value in sorted(data.configuration.items())
    ]
