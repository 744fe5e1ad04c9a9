"""edgenas explain: what every choice costs, where the time goes, and what to change to save it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edgenas.cli import int8_layers
from edgenas.cli.options import MILLISECONDS, access, access_options, json_option
from edgenas.cli.progress_bars import Bars
from edgenas.cli.render import emit_json
from edgenas.errors import InputError

CONFIDENCE = 0.95  # of the intervals of a table's predictor; a run has its own


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("other", required=False, type=click.Path(path_type=Path))
@click.option("--save", "save_ms", type=MILLISECONDS, help="Say what to change to save so much.")
@click.option(
    "--png", type=click.Path(path_type=Path, file_okay=False), help="Write the plots there."
)
@click.option("--layers", is_flag=True, help="Print what int8 costs every layer of the winner.")
@access_options
@json_option
def explain(
    run: Path,
    other: Path | None,
    save_ms: float | None,
    png: Path | None,
    *,
    layers: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Say what every choice costs, with intervals, and where the time of the winner goes.

    RUN is a run folder, or a predictor file of `edgenas fit TABLE.csv`. With OTHER, the same of
    another board: how much more every choice costs there, as a ratio.

    \b
    Examples:
      edgenas explain runs/pi4
      edgenas explain runs/pi4 --save 0.5ms --png plots
      edgenas explain runs/pi4 --layers
      edgenas explain runs/pi4 runs/phone
      edgenas explain onnxruntime.json litert.json
    """
    if run.is_file() and (save_ms is not None or png is not None or layers):
        raise InputError(
            "--save, --png and --layers are for run folders.", f"Leave them out for {run}."
        )
    document = _explained(run, options, save_ms, png, layers)
    if other is not None:
        second = _explained(other, options)
        document["compared_with"] = {"run": str(other), "ratios": _ratios(second, document)}
    if as_json:
        emit_json(document)
        return
    from edgenas.predictors.base import EXTRAPOLATION

    console = Console(highlight=False, emoji=False, soft_wrap=True)
    for report in document["result"]:
        _predictor(console, report)
    console.print(EXTRAPOLATION)
    int8_layers.show(console, document["int8"], layers)
    if document["savings"]:
        console.print(_savings(document["savings"]))
    elif save_ms is not None:
        console.print("There is no faster network one step away from the winner.")
    for path in document["plots"]:
        console.print(f"plot: {path}", markup=False)
    if other is not None:
        _comparison(console, document)


def _explained(
    path: Path,
    options: dict[str, Any],
    save_ms: float | None = None,
    png: Path | None = None,
    layers: bool = False,
) -> dict[str, Any]:
    """Return the explanation of a run folder or of a table's predictor."""
    if path.is_file():
        from edgenas.cli.tables import read_predictor
        from edgenas.predictors.table_effects import explanation

        report = explanation(read_predictor(path), CONFIDENCE)
        document = {"run": str(path), "step": "explain", "result": [report]}
        return {**document, "savings": [], "int8": None, "plots": []}
    from edgenas import pipeline

    bars = Bars()
    return pipeline.explain(path, bars, access(options, bars.message), save_ms, png, layers=layers)


def _ratios(second: dict[str, Any], first: dict[str, Any]) -> list[dict[str, Any]]:
    """Return how much more each choice does to each response in the second run, largest first.

    Choices whose effect in the first run may be zero have no ratio (`ratio.ratio`).
    """
    from edgenas.ratio import ratio
    from edgenas.records import Interval

    found = []
    mine = {report["response"]: report for report in first["result"]}
    for report in second["result"]:
        known = mine.get(report["response"])
        if known is None or known["confidence"] != report["confidence"]:
            continue
        if _effects_in(known) != _effects_in(report):
            continue
        effects = {effect["change"]: effect for effect in known["effects"]}
        for effect in report["effects"]:
            pair = [
                Interval(one["effect"], one["lower"], one["upper"])
                for one in (effect, effects.get(effect["change"]))
                if one is not None
            ]
            if len(pair) == 2 and (value := ratio(*pair)) is not None:
                found.append(
                    {
                        "label": report["label"],
                        "change": effect["change"],
                        "ratio": value.mean,
                        "lower": value.lower,
                        "upper": value.upper,
                    }
                )
    return sorted(found, key=lambda one: (one["label"] != "latency", -one["ratio"]))


def _effects_in(report: dict[str, Any]) -> str:
    """Return the unit of a report's effects: of its response, but for a table's logarithms."""
    unit: str = report.get("effects_in", report["unit"])
    return unit


def _comparison(console: Console, document: dict[str, Any]) -> None:
    here, there = document["run"], document["compared_with"]["run"]
    ratios = document["compared_with"]["ratios"]
    if not ratios:
        console.print("No choice has an effect in both runs that is known well enough for a ratio.")
    for one in ratios:
        console.print(
            f"{one['change']}: {one['ratio']:.2g} times the {one['label']} in {there} that it is "
            f"in {here} ({one['lower']:.2g} to {one['upper']:.2g})",
            markup=False,
        )


_SHOWN_IN = {"fraction": (100.0, "points"), "bytes": (1e-3, "kB")}


def _predictor(console: Console, report: dict[str, Any]) -> None:
    scale, unit = _SHOWN_IN.get(report["unit"], (1.0, report["unit"]))
    effects_in = report.get("effects_in", unit)
    errors = report["heldout"]
    if errors is not None:
        console.print(
            f"{report['label']}: {report['n']} networks, on networks left out RMSE "
            f"{errors['rmse'] * scale:.3g} {unit}, Kendall tau {errors['kendall_tau']:.2f}, "
            f"{errors['coverage']:.0%} inside their {errors['confidence']:.0%} intervals",
            markup=False,
        )
    for note in report["notes"]:
        console.print(note, markup=False)
    interval = f"{report['confidence']:.0%} interval"
    if report["effects"]:
        largest = sorted(report["effects"], key=lambda effect: -abs(effect["effect"]))
        title = f"What a choice does to {report['label']}, in {effects_in}"
        console.print(_effects(title, ("change", "effect", interval), largest, scale))
    if report["breakdown"]:
        title = f"Where the {report['label']} of the winner comes from, in {unit}"
        table = _effects(title, ("part", "adds", interval), report["breakdown"], scale)
        table.add_row("sum", f"{sum(p['effect'] for p in report['breakdown']) * scale:.5g}", "")
        console.print(table)


def _effects(
    title: str, columns: tuple[str, str, str], effects: list[dict[str, Any]], scale: float
) -> Table:
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE)
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    for effect in effects:
        mean, lower, upper = (_signed(effect[x] * scale) for x in ("effect", "lower", "upper"))
        table.add_row(escape(effect["change"]), mean, f"{lower} … {upper}")
    return table


def _signed(value: float) -> str:
    return f"{value:+,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:+.3g}"


def _savings(savings: list[dict[str, Any]]) -> Table:
    title = "What to change, one step after the other, at the least predicted accuracy"
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    for column in ("change", "then ms", "at most", "accuracy %"):
        table.add_column(column, justify="left" if column == "change" else "right")
    for saving in savings:
        latency, accuracy = (saving["candidate"][name] for name in ("latency_ms", "accuracy"))
        table.add_row(
            saving["change"],
            f"{latency['mean']:.4g}",
            f"{latency['upper']:.4g}",
            f"{accuracy['mean'] * 100:.2f}",
        )
    return table
