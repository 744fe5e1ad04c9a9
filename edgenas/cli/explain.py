"""edgenas explain: what every choice costs, where the time goes, and what to change to save it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table

import edgenas
from edgenas.cli import explained_tables, int8_layers, roofline
from edgenas.cli.console import Terminal
from edgenas.cli.options import (
    MILLISECONDS,
    access_given,
    access_options,
    json_option,
    overwrite_option,
    space_file_option,
)
from edgenas.cli.progress_bars import Bars
from edgenas.cli.terminal import emit_json
from edgenas.cli.verdicts import show_not_verified
from edgenas.core.counted import counted
from edgenas.core.errors import InputError
from edgenas.core.intervals import EXTRAPOLATION
from edgenas.reporting.words import bars
from edgenas.runs import commands

MOST_EFFECTS = 30  # of a table's choices; --json has all
MOST_ON_A_SCREEN, MOST_PARTS = 8, 6
CONFIDENCE = 0.95  # of the intervals of a table's predictor; a run has its own


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("other", required=False, type=click.Path(path_type=Path))
@click.option("--save", "save_ms", type=MILLISECONDS, help="Say what to change to save so much.")
@click.option(
    "--png", type=click.Path(path_type=Path, file_okay=False), help="Write the plots there."
)
@click.option(
    "--rows",
    "table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of a predictor file: a table, whose --row is broken down.",
)
@click.option(
    "--row",
    "row_numbers",
    type=click.IntRange(min=1),
    multiple=True,
    help="From 1 on. Twice: compare.",
)
@click.option(
    "--derived",
    multiple=True,
    metavar="'COLUMN = FORMULA'",
    help="Of a predictor file, with --rows: a column that others decide; effects take it along.",
)
@click.option("--all", "show_all", is_flag=True, help="Print all of it, not one screen.")
@click.option("--layers", is_flag=True, help="Print what int8 costs every layer of the winner.")
@overwrite_option
@access_options
@space_file_option
@json_option
def explain(
    run: Path,
    other: Path | None,
    save_ms: float | None,
    png: Path | None,
    *,
    table: Path | None,
    row_numbers: tuple[int, ...],
    derived: tuple[str, ...],
    show_all: bool,
    layers: bool,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Say what every choice costs, with intervals, and where the time of the winner goes.

    RUN is a run folder, or a predictor file of `edgenas fit TABLE.csv`. With OTHER, the same of
    another board: how much more every choice costs there, as a ratio. What is printed fits a
    screen; --all has every response, effect and note.

    \b
    Examples:
      edgenas explain runs/pi4
      edgenas explain runs/pi4 --save 0.5ms --png plots
      edgenas explain runs/pi4 --layers
      edgenas explain runs/pi4 runs/phone
      edgenas explain onnxruntime.json litert.json
      edgenas explain latency.json --rows measured.csv --row 3 --row 7 --png plots
    """
    if run.is_file() and (save_ms is not None or layers):
        raise InputError("--save and --layers are for run folders.", f"Leave them out for {run}.")
    if not run.is_file() and (table is not None or row_numbers or derived):
        raise InputError(
            "--rows, --row and --derived are for predictor files.", f"Leave them out for {run}."
        )
    if run.is_file():
        document = commands.explain_table(
            run, CONFIDENCE, table, row_numbers, png, overwrite=overwrite, derived=derived
        )
    else:
        document = _explained(run, options, save_ms, png, layers=layers, overwrite=overwrite)
    if other is not None:
        second = _explained(other, options, like=document)
        document["compared_with"] = {"run": str(other), "ratios": _ratios(second, document)}
    if as_json:
        emit_json(document)
        return
    _show(Terminal(), run, document, show_all=show_all, layers=layers)
    if save_ms is not None and not document["savings"]:
        Terminal().print("There is no faster network one step away from the winner.")


def _show(
    console: Terminal, run: Path, document: dict[str, Any], *, show_all: bool, layers: bool
) -> None:
    if document.get("not_verified"):
        show_not_verified(document)
    if show_all:
        for report in document["result"]:
            _predictor(console, report)
        console.print(EXTRAPOLATION)
    else:
        _one_screen(console, run, document)
    int8_layers.show(console, document["int8"], layers)
    roofline.show_slowest(console, document.get("roofline"), layers=show_all)
    if document["savings"]:
        console.print(_savings(document["savings"]))
    for path in document["plots"]:
        console.print(f"plot: {path}")
    if "compared_with" in document:
        _comparison(console, document)


def _explained(
    path: Path,
    options: dict[str, Any],
    save_ms: float | None = None,
    png: Path | None = None,
    *,
    layers: bool = False,
    overwrite: bool = False,
    like: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the explanation of a run folder or of a table's predictor; categories are compared
    with the same ones as in the document `like`."""
    if path.is_file():
        references = like["result"][0].get("references") if like and like["result"] else None
        return commands.explain_table(path, CONFIDENCE, references=references)
    run = edgenas.open_run(path, progress=Bars(), **access_given(options))
    return run.explain(save_ms, png, layers=layers, overwrite=overwrite).document


def _ratios(second: dict[str, Any], first: dict[str, Any]) -> list[dict[str, Any]]:
    """Return how much more each choice does to each response in the second run, largest first.

    Choices whose effect in the first run may be zero have no ratio (`ratio.ratio`).
    """
    from edgenas.core.intervals import ratio
    from edgenas.core.records import Interval

    ratios = []
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
                Interval(either["effect"], either["lower"], either["upper"])
                for either in (effect, effects.get(effect["change"]))
                if either is not None
            ]
            if len(pair) == 2 and (value := ratio(*pair)) is not None:
                ratios.append(
                    {
                        "label": report["label"],
                        "change": effect["change"],
                        "ratio": value.mean,
                        "lower": value.lower,
                        "upper": value.upper,
                    }
                )
    return sorted(ratios, key=lambda choice: (choice["label"] != "latency", -choice["ratio"]))


def _effects_in(report: dict[str, Any]) -> str:
    """Return the unit of a report's effects: of its response, but for a table's logarithms."""
    unit: str = report.get("effects_in", report["unit"])
    return unit


def _comparison(console: Terminal, document: dict[str, Any]) -> None:
    here, there = document["run"], document["compared_with"]["run"]
    ratios = document["compared_with"]["ratios"]
    if not ratios:
        console.print("No choice has an effect in both runs that is known well enough for a ratio.")
    for choice in ratios:
        console.print(
            f"{choice['change']}: {choice['ratio']:.2g} times the {choice['label']} in {there} "
            f"that it is in {here} ({choice['lower']:.2g} to {choice['upper']:.2g})",
        )


_SHOWN_IN = {"fraction": (100.0, "points"), "bytes": (1e-3, "kB")}


def _one_screen(console: Terminal, run: Path, document: dict[str, Any]) -> None:
    """Print the verdict, and of the first response its largest effects, parts and errors."""
    if document.get("status") in ("pass", "looked up"):
        winner = edgenas.open_run(run).winner
        if winner is not None:
            console.print(f"winner: {winner.name}")
    reports = document["result"]
    if not reports:
        return
    first = reports[0]
    scale, unit = _scale_and_unit(first)
    _effects(console, first, MOST_ON_A_SCREEN)
    explained_tables.show(console, first)
    if first["breakdown"]:
        largest = sorted(first["breakdown"], key=lambda part: -part["effect"])[:MOST_PARTS]
        total = sum(part["effect"] for part in first["breakdown"]) * scale
        console.print(f"Where the {first['label']} of the winner comes from, of {total:.4g} {unit}")
        _lines(console, bars.part_lines(largest, scale))
    _errors(console, first)
    others = ", ".join(report["label"] for report in reports[1:])
    notes = sum(len(report["notes"]) for report in reports)
    more = [f"the same of {others}"] if others else []
    more += [counted(notes, "note")] if notes else []
    more += ["all effects"] if len(first["effects"]) > MOST_ON_A_SCREEN else []
    if more:
        console.print(f"--all has {', '.join(more)}.")


def _predictor(console: Terminal, report: dict[str, Any]) -> None:
    scale, unit = _scale_and_unit(report)
    _errors(console, report)
    for note in report["notes"]:
        console.print(note)
    _effects(console, report, MOST_EFFECTS)
    explained_tables.show(console, report)
    if report["breakdown"]:
        total = sum(part["effect"] for part in report["breakdown"]) * scale
        console.print(
            f"Where the {report['label']} of the winner comes from, of {total:.5g} {unit}"
        )
        _lines(console, bars.part_lines(report["breakdown"], scale))


def _scale_and_unit(report: dict[str, Any]) -> tuple[float, str]:
    return _SHOWN_IN.get(report["unit"], (1.0, report["unit"]))


def _errors(console: Terminal, report: dict[str, Any]) -> None:
    scale, unit = _scale_and_unit(report)
    errors = report["heldout"]
    if errors is not None:
        console.print(
            f"{report['label']}: {report['n']} networks, on networks left out RMSE "
            f"{errors['rmse'] * scale:.3g} {unit}, Kendall tau {errors['kendall_tau']:.2f}, "
            f"{errors['coverage']:.0%} inside their {errors['confidence']:.0%} intervals",
        )


def _effects(console: Terminal, report: dict[str, Any], most: int) -> None:
    """Print the largest effects, those that may be zero with a hollow bar."""
    if not report["effects"]:
        return
    scale, unit = _scale_and_unit(report)
    largest = sorted(report["effects"], key=lambda effect: -abs(effect["effect"]))
    console.print(
        f"What a choice does to {report['label']}, in {report.get('effects_in', unit)}, with "
        f"{report['confidence']:.0%} intervals"
    )
    _lines(console, bars.effect_lines(largest[:most], scale))
    if most == MOST_EFFECTS < len(largest):
        console.print(f"and {counted(len(largest) - most, 'smaller one')}: --json")


def _lines(console: Terminal, lines: list[str]) -> None:
    for line in lines:
        console.print(line)


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
