"""The report page: one HTML file that needs no network, and is whole without a script."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edgenas.core.metrics import REGISTRY
from edgenas.core.records import Architecture, Interval, Measurement, ParityRecord
from edgenas.core.records.goals import ROBUST, SCORE
from edgenas.core.records.intervals import wilson
from edgenas.reporting.document import PredictorReport, ReportData, VerifiedCandidate
from edgenas.reporting.pages import budget, classes, script
from edgenas.reporting.pages.facts import facts
from edgenas.reporting.pages.plots import PagePlots
from edgenas.reporting.plots import (
    of_design,
    of_fronts,
    of_measuring,
    of_report,
    of_roofline,
    of_shapes,
)
from edgenas.reporting.plots.fronts import axis
from edgenas.reporting.words import int8_layers, numbers, roofline
from edgenas.reporting.words.verdict import verdict

MEASURED, VALIDATION = "Latency, measured (95 %)", "{} on the validation images (95 %)"
# The figure that shows what decided between candidates; {} is the score.
DECIDING = {SCORE: VALIDATION, "latency_ms": MEASURED, "quality": MEASURED}

# Where the limit is on a plot of accuracy against latency.
PLACE = (axis(REGISTRY["latency_ms"], 1.0), axis(REGISTRY[SCORE], 1.0))


def render(data: ReportData) -> str:
    """Return the page as HTML; the same data gives the same bytes."""
    template, plots = environment().get_template("report.html.j2"), PagePlots()
    page = template.render(
        data=data,
        plots=plots,
        verdict=verdict(data),
        style=style(),
        tradeoff=plots.inline(of_report.tradeoff(data)),
        facts=plots.facts(facts(data)),
        band=of_report.band(data) is not None,
        predictors=[predictor_figures(predictor, plots) for predictor in data.predictors],
        effect_table=effect_table(data.predictors),
        design=plots.inline(of_design.design(data)),
        design_few=of_design.FEW,
        fronts=[plots.inline(plot) for plot in of_fronts.fronts(data)],
        goals=of_fronts.goals(data),
        candidate_table=_candidate_table(data),
        measured=_measured_rows(data),
        evaluated=_evaluated_rows(data),
        configuration=_configuration(data),
        passes=plots.inline(of_measuring.passes(data.measurements)),
        conditions=[
            (plots.inline(plot), of_measuring.CAPTIONS[plot.name])
            for plot in of_measuring.conditions(data.conditions, data.measurements)
        ],
        **budget.parts({data.target: data.budgets}, {"tradeoff": PLACE}),
        **budget.networks(data, plots),
        **classes.parts(data, plots),
        **_int8(data),
        **_roofline(data, plots),
    )
    return page.lstrip()


def _int8(data: ReportData) -> dict[str, Any]:
    """Return what int8 costs the winner, in sentences, and the rows of its worst layers."""
    costs = data.int8_layers
    if costs is None:
        return {"int8_says": (), "int8_rows": (), "int8_unshown": 0}
    worst = costs.worst_first[: int8_layers.SHOWN]
    return {
        "int8_says": int8_layers.sentences(costs),
        "int8_rows": [int8_layers.row(layer, costs) for layer in worst],
        "int8_unshown": len(costs.layers) - len(worst),
    }


def _roofline(data: ReportData, plots: PagePlots) -> dict[str, Any]:
    """Return how far the winner is from the target's limits: sentences, slowest layers, plot."""
    if data.roofline is None:
        return {"roofline": None, "roofline_plot": None}
    limits = roofline.document(data.roofline)
    rows = [roofline.row(layer) for layer in roofline.slowest(limits["layers"])]
    more = {"columns": roofline.COLUMNS, "rows": rows}
    return {
        "roofline": {**limits, **more},
        "roofline_plot": plots.inline(of_roofline.rooflines(data.roofline)),
    }


def style() -> Markup:
    """Return the style sheet."""
    return Markup(resources.files(__package__).joinpath("report.css").read_text("utf-8"))


def environment() -> Environment:
    """Return the templates' environment: texts are escaped, what is undefined is an error."""
    environment = Environment(
        loader=PackageLoader("edgenas.reporting.pages", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = (
        numbers.bounds,
        numbers.compact,
        numbers.duration,
        numbers.milliseconds,
        numbers.p_value,
        numbers.percent,
        numbers.percent_bounds,
        numbers.significant,
        numbers.storage,
        numbers.with_bounds,
    )
    environment.filters.update({function.__name__: function for function in shown})
    environment.globals.update(MISSING=numbers.MISSING, UNKNOWN=numbers.UNKNOWN)
    environment.globals.update(policy=script.policy, script_tags=script.script_tags)
    return environment


def predictor_figures(predictor: PredictorReport, plots: PagePlots) -> dict[str, Any]:
    """Return what the page shows of one predictor, its plots drawn."""
    scale, unit = of_report.scale_and_unit(predictor)
    heldout = predictor.heldout
    return {
        "data": predictor,
        "slug": of_report.slug(predictor),
        "unit": unit,
        "rmse": None if heldout is None else _error(scale * heldout.rmse, unit),
        "fit": plots.inline(of_report.fit_quality(predictor)),
        "residuals": plots.inline(of_report.residuals(predictor)),
        "effects": plots.inline(of_report.effects(predictor)),
        "calibration": plots.inline(of_report.calibration(predictor)),
        "coefficients": plots.inline(of_report.coefficients(predictor)),
        "shapes": [plots.inline(plot) for plot in of_shapes.curves(predictor)],
        "together": [plots.inline(plot) for plot in of_shapes.together(predictor)],
        "n_effects": len(of_report.plotted_effects(predictor)),
        "n_coefficients": len(of_report.plotted_coefficients(predictor)),
    }


def _error(value: float, unit: str) -> str:
    return f"{numbers.significant(value)} {'points' if unit == '%' else unit}"


def _candidate_table(data: ReportData) -> list[tuple[str, list[str]]]:
    """Return (figure, its value for each candidate); the figure that decided says so."""
    columns = [candidate_figures(candidate, data.score) for candidate in data.candidates]
    labels = dict.fromkeys(label for column in columns for label in column)
    decided = DECIDING.get(data.decided_by, "").format(data.score.capitalize())
    return [
        (
            f"{label} · decided" if label == decided else label,
            [column.get(label, "—") for column in columns],
        )
        for label in labels
    ]


def candidate_figures(candidate: VerifiedCandidate, score: str) -> dict[str, str]:
    """Return the figures of one verified candidate, by name, in the order of the tables.

    score : what its task calls what is scored.
    """
    of = score.capitalize()
    latency, n = candidate.measured_latency_ms, candidate.n_images
    measured = numbers.MISSING
    if latency is not None:
        spread = numbers.bounds(latency.ci95, latency.median)
        measured = f"{numbers.milliseconds(latency.median)} ({spread})"
    return {
        "Latency, predicted": f"{numbers.with_bounds(candidate.predicted['latency_ms'])} ms",
        MEASURED: measured,
        "Latency, p90": numbers.milliseconds(latency.p90 if latency else None),
        "Latency of the float network": numbers.milliseconds(candidate.fp32_latency_ms),
        f"{of}, predicted": numbers.percent_bounds(candidate.predicted[SCORE]),
        VALIDATION.format(of): _validation(candidate),
        f"{of}, float on the host": numbers.percent(candidate.fp32_accuracy, n),
        f"{of}, int8 on the host": numbers.percent(candidate.int8_accuracy, n),
        f"{of}, int8 on the target": numbers.percent(candidate.device_accuracy, n),
        "Images behind these": numbers.MISSING if n is None or candidate.synthetic else f"{n:,}",
        **_parity(candidate.parity, of),
        "Same answer as the host": numbers.percent(candidate.agreement, n),
        "Peak memory": numbers.storage(candidate.peak_rss_bytes),
        "Model file": numbers.storage(candidate.model_bytes),
        **_further_figures(candidate),
    }


def _validation(candidate: VerifiedCandidate) -> str:
    """Return the accuracy on the images that choose between networks, with its 95 % interval."""
    answers = candidate.val_answers
    if answers is None or not answers.n_images:
        return numbers.MISSING
    bounds = Interval(answers.accuracy, *wilson(answers.right, answers.n_images))
    return f"{numbers.percent_bounds(bounds)}, of {answers.n_images:,}"


def _further_figures(candidate: VerifiedCandidate) -> dict[str, str]:
    """Return the other responses that were predicted, and measured where they were."""
    figures = {}
    for name, value in candidate.predicted.responses.items():
        kind = REGISTRY[name]
        label = f"{kind.label[:1].upper()}{kind.label[1:]}"
        if kind.exact:
            estimated = ", estimated" if kind.source == "hardware" else ""
            figures[f"{label}{estimated}"] = kind.shown(value.mean)
            continue
        bounds = f"{kind.shown(value.lower)} to {kind.shown(value.upper)}"
        figures[f"{label}, predicted"] = f"{kind.shown(value.mean)} ({bounds})"
        if name in ("energy_mj", ROBUST) and name in candidate.measured:
            figures[f"{label}, measured"] = kind.shown(candidate.measured[name])
    return figures


def _parity(parity: ParityRecord | None, of: str) -> dict[str, str]:
    """Return the interval of the score, called `of`; how far host and target are off."""
    names = {"host": "Logits off the reference, host", "target": "Logits off the reference, target"}
    interval = f"{of} on the target (95 %)"
    if parity is None:
        return {interval: numbers.MISSING, **dict.fromkeys(names.values(), numbers.MISSING)}
    rows = {names[row.place]: row for row in parity.engines if row.place in names}
    accuracy = parity.at("target").accuracy
    shown = numbers.MISSING if accuracy is None else numbers.percent_bounds(accuracy)
    return {interval: shown} | {
        name: f"{numbers.significant(row.mean_steps)} steps, {row.max_steps:.0f} at most"
        for name, row in rows.items()
    }


def effect_table(predictors: tuple[PredictorReport, ...]) -> list[tuple[str, list[str]]]:
    """Return (change, effect on each response): what a choice costs beside what it buys."""
    columns = [{effect.change: effect for effect in predictor.effects} for predictor in predictors]
    changes = dict.fromkeys(change for column in columns for change in column)
    table = []
    for change in changes:
        cells = []
        for column in columns:
            effect = column.get(change)
            if effect is None:
                cells.append("—")
                continue
            points = effect.unit == "fraction"
            value = Interval(effect.effect, effect.lower, effect.upper)
            text = numbers.effect(value, 100.0 if points else 1.0)
            cells.append(f"{text} {'points' if points else effect.unit}")
        table.append((change, cells))
    return table


def _measured_rows(data: ReportData) -> list[dict[str, Any]]:
    """Return the measured networks by rising latency, the failed ones first."""
    predictor = data.predictor("latency_ms")
    predicted = {row.architecture: row.predicted for row in predictor.rows} if predictor else {}
    rows = [
        {
            "measurement": measurement,
            "failed": measurement.outcome.status == "failed",
            "predicted": predicted.get(measurement.architecture),
            "winner": _won(data, measurement.architecture),
        }
        for measurement in data.measurements
    ]
    return sorted(rows, key=lambda row: (not row["failed"], _median(row["measurement"])))


def _median(measurement: Measurement) -> float:
    return measurement.outcome.latency.median_ms if measurement.outcome.latency else 0.0


def _evaluated_rows(data: ReportData) -> list[dict[str, Any]]:
    predictor = data.predictor(SCORE)
    predicted = {row.architecture: row.predicted for row in predictor.rows} if predictor else {}
    best_first = sorted(data.evaluations, key=lambda evaluation: -evaluation.int8_accuracy)
    return [
        {
            "evaluation": evaluation,
            "predicted": predicted.get(evaluation.architecture),
            "winner": _won(data, evaluation.architecture),
        }
        for evaluation in best_first
    ]


def _won(data: ReportData, architecture: Architecture) -> bool:
    winner = data.winner if data.status == "pass" else None
    return winner is not None and winner.predicted.architecture == architecture


def _configuration(data: ReportData) -> list[tuple[str, str]]:
    return [
        (key, value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str))
        for key, value in sorted(data.configuration.items())
    ]
