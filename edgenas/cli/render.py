"""What the commands print on stdout: one JSON document, or a few lines to read."""

from __future__ import annotations

import json
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edgenas.cli import replayed
from edgenas.cli.card import card

# Of a table whose cells are never cut, whatever the terminal.
WIDEST = 400
MOST_ALIKE = 3


def emit_json(document: dict[str, Any]) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(document, indent=1, allow_nan=False))


def search_result(document: dict[str, Any]) -> None:
    """Print the outcome of a search: the answer first, then the candidates."""
    console = Console(highlight=False, soft_wrap=True)
    limit = document["constraint"]["latency_ms"]
    winner = document["winner"]
    if winner is None:
        console.print(f"FAIL: no candidate met {limit:.4g} ms on {document['target']}", style="red")
    else:
        latency = winner["measured_latency_ms"]
        console.print(
            f"PASS: {latency['median']:.4g} ms measured (limit {limit:.4g} ms), "
            f"{_accuracy(winner, document['target'])}",
            style="green",
        )
        console.print(f"deploy: {winner['model']}", markup=False)
        if winner["parity"] is not None:
            console.print(_parity(winner["parity"]), markup=False)
    console.print(_candidates(document["candidates"]))
    for number, candidate in enumerate(document["candidates"], 1):
        console.print(f"{number}: {architecture(candidate['architecture'])}", markup=False)
        for reason in candidate["reasons"]:
            console.print(f"   not passed: {reason}", markup=False)
    for pathology in document["pathologies"]:
        console.print(pathology["sentence"], markup=False)
    for text in (document["warm_start"] or {}).get("says", ()):
        console.print(f"warm start: {text}", markup=False)
    if document["report"]:
        console.print(f"report: {document['report']}", markup=False)


def _accuracy(winner: dict[str, Any], target: str) -> str:
    if not winner["synthetic_images"]:
        measured, n = winner["device_accuracy"], winner["n_images"]
        return f"{measured:.2%} accuracy on {target} ({n} test images)"
    predicted = winner["predicted_accuracy"]
    bounds = f"{predicted['lower']:.1%} to {predicted['upper']:.1%}"
    return f"accuracy on {target} NOT MEASURED, predicted {predicted['mean']:.1%} ({bounds})"


def several_result(document: dict[str, Any]) -> None:
    """Print the outcome on each of several boards, and how fast they are."""
    console = Console(highlight=False, soft_wrap=True)
    for board in document["boards"]:
        console.rule(escape(board["target"]), align="left", style="dim")
        if board["status"] == "error":
            console.print("ERROR: no finished search", style="red")
            for text in filter(None, (board["error"], board["hint"])):
                console.print(text, markup=False)
        else:
            search_result(board)
    console.rule("all boards", align="left", style="dim")
    for target, speed in document["speed"].items():
        console.print(
            f"a network typically takes {speed['ratio']:.3g} times as long on {target} as on "
            f"{document['reference']} ({speed['lower']:.3g} to {speed['upper']:.3g})",
            markup=False,
        )
    for choice in document["engines"]:
        console.print(choice["reason"], markup=False)
    console.print(f"comparison: {document['report']}", markup=False)


def _parity(parity: dict[str, Any]) -> str:
    """Return how near host and target are to the int8 reference, in a line."""
    parts = [
        f"{row['engine']} on the {row['place']} {row['mean_steps']:.2g} (greatest "
        f"{row['max_steps']:.0f})"
        for row in parity["engines"]
        if row["place"] != "reference"
    ]
    return (
        "outputs, mean steps from the int8 reference (tolerated "
        f"{parity['most_mean_steps']:g}): {'; '.join(parts)}"
    )


def _candidates(candidates: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE)
    columns = ("", "predicted ms", "at most", "measured ms", "host int8", "on target", "passed")
    for name in columns:
        table.add_column(name, justify="right")
    for number, candidate in enumerate(candidates, 1):
        predicted, measured = candidate["predicted_latency_ms"], candidate["measured_latency_ms"]
        unknown = "no images" if candidate["synthetic_images"] else "not run"
        host, device = candidate["int8_accuracy"], candidate["device_accuracy"]
        table.add_row(
            str(number),
            f"{predicted['mean']:.4g}",
            f"{predicted['upper']:.4g}",
            "not measured" if measured is None else f"{measured['median']:.4g}",
            unknown if host is None else f"{host:.2%}",
            unknown if device is None else f"{device:.2%}",
            "yes" if candidate["passed"] else "no",
        )
    return table


def architecture(document: dict[str, Any]) -> str:
    """Return the one-line form of an architecture's JSON."""
    from edgenas.records import Architecture, from_json

    return str(from_json(document, Architecture, "An architecture"))


def published_result(document: dict[str, Any]) -> None:
    """Print the outcome of a search with published predictors."""
    proof = "optimal" if document["optimal"] else f"not proved optimal (gap {document['gap']})"
    click.echo(
        f"{document['objective']:.4f} at {document['latency_ms']:.4f} ms, {proof}, "
        f"by {document['method']} in {document['seconds']:.2f} s"
    )
    click.echo(architecture(document["architecture"]))


def operator_table(document: dict[str, Any]) -> None:
    """Print a profile by operator: the dearest first."""
    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=box.SIMPLE)
    for name in ("operator", "type", "ms", "share", "data", "provider"):
        justify: Any = "right" if name in ("ms", "share") else "left"
        table.add_column(name, justify=justify, overflow="fold")
    for one in sorted(document["operators"], key=lambda one: -one["ms"]):
        data = one["gives"] if one["takes"] == one["gives"] else f"{one['takes']} > {one['gives']}"
        texts = (escape(one["name"]), one["type"], f"{one['ms']:.4f}", f"{one['share']:.1%}")
        table.add_row(*texts, data, one["provider"].replace("ExecutionProvider", ""))
    console.print(table)
    console.print(
        f"{document['model']} on {document['target']}, {document['engine']} "
        f"{document['engine_version']}: {document['total_ms']:.4g} ms in "
        f"{len(document['operators'])} operators, middle half of {document['runs']} runs (with the "
        "profiler's own time: no latency)",
        markup=False,
    )
    for finding in document["findings"]:
        console.print(f"note: {finding}", markup=False)


def step_result(name: str, document: dict[str, Any]) -> None:
    """Print the outcome of one step."""
    if "provider" in document:
        replayed.replay_result(document)
    elif name in ("verify", "report"):
        search_result(document)
    elif name == "optimize" and "cost" in document["result"]:
        replayed.found_result(document["result"])
    elif name == "probe" and "variables" in document["result"]:
        replayed.table_card(document["result"])
    elif name == "optimize":
        from edgenas.cli.found import found

        found(document["result"])
    elif name == "probe":
        card(document["result"])
    elif name == "fit":
        _fitted(document["result"])
    else:
        click.echo(f"{name}: done in {document['run']}")


def _fitted(result: dict[str, Any]) -> None:
    for name, errors in result.items():
        click.echo(
            f"{name}: {errors['n']} rows, held-out RMSE {errors['rmse']:.4g}, "
            f"Kendall tau {errors['kendall_tau']:.3f}, "
            f"{errors['coverage']:.0%} inside {errors['confidence']:.0%} intervals"
        )


def table_fit(document: dict[str, Any]) -> None:
    """Print the coefficient table and the errors of a predictor fitted on a table."""
    selected = bool(document["bootstrap"])
    table = Table(box=box.SIMPLE)
    names = ("term", "coef", "se", "t", "p", "95 % interval", "vif", "selected")
    for name in names if selected else names[:-1]:
        first = name == "term"
        table.add_column(name, justify="left" if first else "right", no_wrap=True, overflow="fold")
    for term in document["terms"]:
        table.add_row(
            escape(term["name"]),
            f"{term['coef']:.4g}",
            f"{term['se']:.2g}",
            f"{term['t']:.2f}",
            f"{term['p']:.2g}",
            f"{term['ci95'][0]:.4g} … {term['ci95'][1]:.4g}",
            "infinite" if term["vif"] is None else f"{term['vif']:.1f}",
            *([f"{term['selected']:.0%}"] if selected else []),
        )
    Console(highlight=False, emoji=False, width=WIDEST).print(table)
    click.echo(f"standard errors: {document['standard_errors']}")
    for note in document["notes"]:
        click.echo(note)
    if "transfer" in document:
        _transfer(document["transfer"])
    errors = document["heldout"]
    click.echo(f"{document['n']} rows fitted in {document['seconds']:.1f} s", nl=False)
    counted = [f", {document[what]} {what}" for what in ("skipped", "duplicates") if document[what]]
    click.echo("".join(counted))
    if document["labels"]:
        labels = ", ".join(document["labels"])
        click.echo(f"left out: {labels}, with another text in each row (or say --categorical)")
    if errors is not None:
        click.echo(
            f"held out: RMSE {errors['rmse']:.4g}, MAPE {errors['mape']:.2%}, Kendall tau "
            f"{errors['kendall_tau']:.3f}, R2 {errors['r2']:.3f}, "
            f"{errors['coverage90']:.0%} inside 90% intervals"
        )
    click.echo(document["extrapolation"])


def _transfer(transfer: dict[str, Any]) -> None:
    """Print whether other boards' predictors helped; a refusal goes to stderr too."""
    errors = transfer["errors"]
    found = (
        f"rows left out: RMSE {errors['transfer']:.4g} with priors, {errors['affine']:.4g} with "
        f"the best of them scaled and shifted, {errors['scratch']:.4g} from scratch"
    )
    if transfer["hardware"]:
        click.echo(transfer["hardware"], err="not used" in transfer["hardware"])
    if transfer["used"] == "transfer":
        names = ", ".join(transfer["priors"])
        saved = f"{transfer['gain']:.0%} saved" if transfer["gain"] > 0 else "nothing saved"
        click.echo(f"adapted from {names}; {found}: {saved}")
        likeness = transfer["likeness"]
        most = [
            name for name in sorted(likeness, key=lambda x: -likeness[x]) if likeness[name] > 0.1
        ]
        shown = ", ".join(f"{name} ({likeness[name]:.0%})" for name in most[:MOST_ALIKE])
        if len(transfer["priors"]) > 1 and shown:
            click.echo(f"believed to be like {shown}, and somewhat off towards the others")
    else:
        click.echo(f"fitted from scratch; {found}")
        click.echo(f"warning: {transfer['warning']}", err=True)
