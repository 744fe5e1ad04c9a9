"""What the commands print on stdout: one JSON document, or a few lines to read."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from edgenas.cli import show_table
from edgenas.cli.card import card
from edgenas.cli.console import Terminal
from edgenas.cli.terminal import say
from edgenas.cli.verdicts import show_not_verified, show_reservations
from edgenas.core.counted import counted
from edgenas.core.metrics import REGISTRY
from edgenas.core.records.goals import SCORE
from edgenas.core.records.image_input import FIT_TEXTS, USUAL_FIT

# Of a table whose cells are never cut, whatever the terminal.
WIDEST = 400
MOST_ALIKE = 3
MOST_TERMS = 60  # of a table; --json has all
# The column that shows what decided between candidates.
DECIDING = {"accuracy": "validation", "latency_ms": "measured ms", "quality": "measured ms"}


def search_result(document: dict[str, Any]) -> None:
    """Print the outcome of a search: the answer first, then the candidates."""
    console = Terminal()
    limit = document["constraint"]["latency_ms"]
    winner = document["winner"]
    if document["status"] == "not verified":
        show_not_verified(document)
    elif winner is None:
        met = "passed" if limit is None else f"met {limit:.4g} ms"
        console.print(f"FAIL: no candidate {met} on {document['target']}", style="red")
        console.print(f"next: {document['next_command']}")
    else:
        _passed(console, document, winner)
        show_reservations(document)
        console.print(f"deploy: {winner['model']}")
        fit = (winner["input"] or {}).get("fit", USUAL_FIT)
        if fit != USUAL_FIT:
            console.print(f"images: {FIT_TEXTS[fit]} (--fit {fit})")
        if winner["parity"] is not None:
            console.print(_parity(winner["parity"]))
    choice = document.get("choice")
    console.print(_candidates(document["candidates"], choice and choice["decided_by"]))
    if choice:
        console.print(f"chosen: {choice['reason']}")
    for number, candidate in enumerate(document["candidates"], 1):
        console.print(f"{number}: {architecture(candidate['architecture'])}")
        for reason in candidate["reasons"]:
            console.print(f"   not passed: {reason}")
    if document["engine_decision"]:
        console.print(document["engine_decision"]["reason"])
    for pathology in document["pathologies"]:
        console.print(pathology["sentence"])
    for text in (document["warm_start"] or {}).get("says", ()):
        console.print(f"warm start: {text}")
    if document["report"]:
        console.print(f"report: {document['report']}")


def _passed(console: Terminal, document: dict[str, Any], winner: dict[str, Any]) -> None:
    """Print what the winner does, and of an FPGA what it is estimated to take."""
    latency, limit = winner["measured_latency_ms"], document["constraint"]["latency_ms"]
    asked = "no limit" if limit is None else f"limit {limit:.4g} ms"
    count = len(document["reservations"])
    word = f"PASS with {count} reservation{'s' if count > 1 else ''}" if count else "PASS"
    if winner.get("estimated"):
        word = f"ESTIMATED {word}"
    console.print(
        f"{word}: {latency['median']:.4g} ms {_known_by(winner)} ({asked}), "
        f"{_score(winner, document['target'], document.get('score', SCORE))}",
        style="yellow" if count else "green",
    )
    if winner.get("estimated"):
        console.print(_hardware(winner["measured"]))


def _known_by(verified: dict[str, Any]) -> str:
    return "estimated" if verified.get("estimated") else "measured"


def _hardware(known: dict[str, float]) -> str:
    """Return what a network is estimated to take of an FPGA, in a line."""
    return "estimated: " + ", ".join(
        f"{known[name]:,.0f} {REGISTRY[name].label}"
        for name in ("images_per_s", "luts", "dsps", "bram18")
    )


def _score(winner: dict[str, Any], target: str, label: str) -> str:
    if not winner["synthetic_images"]:
        measured, n = winner["device_accuracy"], winner["n_images"]
        return f"{measured:.2%} {label} on {target} ({counted(n, 'test image')})"
    predicted = winner["predicted_accuracy"]
    bounds = f"{predicted['lower']:.1%} to {predicted['upper']:.1%}"
    return f"{label} on {target} NOT MEASURED, predicted {predicted['mean']:.1%} ({bounds})"


def several_result(document: dict[str, Any]) -> None:
    """Print the outcome on each of several boards, and how fast they are."""
    console = Terminal()
    for board in document["boards"]:
        console.rule(board["target"], align="left", style="dim")
        if board["status"] == "error":
            console.print("ERROR: no finished search", style="red")
            for text in filter(None, (board["error"], board["hint"])):
                console.print(text)
        else:
            search_result(board)
    console.rule("all boards", align="left", style="dim")
    for target, speed in document["speed"].items():
        console.print(
            f"a network typically takes {speed['ratio']:.3g} times as long on {target} as on "
            f"{document['reference']} ({speed['lower']:.3g} to {speed['upper']:.3g})",
        )
    for choice in document["engines"]:
        console.print(choice["reason"])
    console.print(f"comparison: {document['report']}")


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


def _candidates(candidates: list[dict[str, Any]], decided_by: str | None) -> Table:
    """Return the candidates as a table; the column that set the winner apart says so."""
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))  # of 80 characters
    known = f"{_known_by(candidates[0]) if candidates else 'measured'} ms"
    columns = ("", "predicted ms", "at most", known, "validation", "host int8", "on target")
    deciding = DECIDING.get(decided_by or "")
    for name in (*columns, "passed"):
        lines = "\n".join([*name.split(" "), *(["(decided)"] if name == deciding else [])])
        table.add_column(Text(lines), justify="right", no_wrap=True)
    for number, candidate in enumerate(candidates, 1):
        predicted, measured = candidate["predicted_latency_ms"], candidate["measured_latency_ms"]
        unknown = "no images" if candidate["synthetic_images"] else "not run"
        host, device = candidate["int8_accuracy"], candidate["device_accuracy"]
        validation = candidate["val_accuracy"]
        table.add_row(
            str(number),
            f"{predicted['mean']:.4g}",
            f"{predicted['upper']:.4g}",
            "not measured" if measured is None else f"{measured['median']:.4g}",
            unknown if validation is None else f"{validation:.2%}",
            unknown if host is None else f"{host:.2%}",
            unknown if device is None else f"{device:.2%}",
            "winner" if candidate["winner"] else "yes" if candidate["passed"] else "no",
        )
    return table


def architecture(document: dict[str, Any]) -> str:
    """Return the one-line form of an architecture's JSON."""
    from edgenas.core.records import Architecture, from_json

    return str(from_json(document, Architecture, "An architecture"))


def published_result(document: dict[str, Any]) -> None:
    """Print the outcome of a search with published predictors."""
    proof = "optimal" if document["optimal"] else f"not proved optimal (gap {document['gap']})"
    say(
        f"{document['objective']:.4f} at {document['latency_ms']:.4f} ms, {proof}, "
        f"by {document['method']} in {document['seconds']:.2f} s"
    )
    say(architecture(document["architecture"]))


def operator_table(document: dict[str, Any]) -> None:
    """Print a profile by operator: the dearest first."""
    console = Terminal()
    table = Table(box=box.SIMPLE)
    for name in ("operator", "type", "ms", "share", "data", "provider"):
        justify: Any = "right" if name in ("ms", "share") else "left"
        table.add_column(name, justify=justify, overflow="fold")
    for operator in sorted(document["operators"], key=lambda operator: -operator["ms"]):
        data = (
            operator["gives"]
            if operator["takes"] == operator["gives"]
            else f"{operator['takes']} > {operator['gives']}"
        )
        texts = (
            operator["name"],
            operator["type"],
            f"{operator['ms']:.4f}",
            f"{operator['share']:.1%}",
        )
        table.add_row(*texts, data, operator["provider"].replace("ExecutionProvider", ""))
    console.print(table)
    console.print(
        f"{document['model']} on {document['target']}, {document['engine']} "
        f"{document['engine_version']}: {document['total_ms']:.4g} ms in "
        f"{counted(len(document['operators']), 'operator')}, middle half of "
        f"{counted(document['runs'], 'run')} (with the profiler's own time: no latency)",
    )
    for finding in document["findings"]:
        console.print(f"note: {finding}")


def step_result(name: str, document: dict[str, Any]) -> None:
    """Print the outcome of one step."""
    if "provider" in document:
        show_table.replay_result(document)
    elif name in ("verify", "report"):
        search_result(document)
    elif name == "probe" and "variables" in document["result"]:
        show_table.table_card(document["result"])
    elif name == "optimize":
        from edgenas.cli import show_search

        show_search.show(document["result"], document.get("score", SCORE))
    elif name == "probe":
        card(document["result"])
    elif name == "fit":
        _fitted(document["result"])
    else:
        say(f"{name}: done in {document['run']}")


def _fitted(result: dict[str, Any]) -> None:
    for name, errors in result.items():
        say(
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
    shown = _most_certain(document["terms"])
    for term in shown:
        table.add_row(
            term["name"],
            f"{term['coef']:.4g}",
            f"{term['se']:.2g}",
            f"{term['t']:.2f}",
            f"{term['p']:.2g}",
            f"{term['ci95'][0]:.4g} … {term['ci95'][1]:.4g}",
            "not defined" if term["vif"] is None else f"{term['vif']:.1f}",
            *([f"{term['selected']:.0%}"] if selected else []),
        )
    Terminal(width=WIDEST).print(table)
    if len(shown) < len(document["terms"]):
        hidden = len(document["terms"]) - len(shown)
        say(f"and {counted(hidden, 'more term')}, with smaller t: --json")
    say(f"standard errors: {document['standard_errors']}")
    for note in (*document["read_as"], *document["notes"]):
        say(note)
    if "transfer" in document:
        _transfer(document["transfer"])
    errors = document["heldout"]
    rows = counted(document["n"], "row")
    skipped = f", {document['skipped']:,} skipped" if document["skipped"] else ""
    copies = document["duplicates"]
    repeated = f", {counted(copies, 'duplicate')}" if copies else ""
    say(f"{rows} fitted in {document['seconds']:.1f} s{skipped}{repeated}")
    for name, why in document["left_out"].items():
        say(f"left out: {name}, which {why} (or say --keep)")
    for warning in document["warnings"]:
        say(f"warning: {warning}", err=True)
    if errors is not None:
        say(
            f"held out: RMSE {errors['rmse']:.4g}, MAPE {errors['mape']:.2%}, Kendall tau "
            f"{errors['kendall_tau']:.3f}, R2 {errors['r2']:.3f}, "
            f"{errors['coverage90']:.0%} inside 90% intervals"
        )
    say(document["extrapolation"])


def _most_certain(terms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the intercept and the terms of the greatest t, `MOST_TERMS` in all, in order."""
    if len(terms) <= MOST_TERMS:
        return terms
    order = sorted(range(1, len(terms)), key=lambda at: -abs(terms[at]["t"]))
    kept = {0, *order[: MOST_TERMS - 1]}
    return [term for at, term in enumerate(terms) if at in kept]


def _transfer(transfer: dict[str, Any]) -> None:
    """Print whether other boards' predictors helped; a refusal goes to stderr too."""
    errors = transfer["errors"]
    compared = (
        f"rows left out: RMSE {errors['transfer']:.4g} with priors, {errors['affine']:.4g} with "
        f"the best of them scaled and shifted, {errors['scratch']:.4g} from scratch"
    )
    if transfer["hardware"]:
        say(transfer["hardware"], err="not used" in transfer["hardware"])
    if transfer["used"] == "transfer":
        names = ", ".join(transfer["priors"])
        saved = f"{transfer['gain']:.0%} saved" if transfer["gain"] > 0 else "nothing saved"
        say(f"adapted from {names}; {compared}: {saved}")
        likeness = transfer["likeness"]
        most = [
            name for name in sorted(likeness, key=lambda x: -likeness[x]) if likeness[name] > 0.1
        ]
        shown = ", ".join(f"{name} ({likeness[name]:.0%})" for name in most[:MOST_ALIKE])
        if len(transfer["priors"]) > 1 and shown:
            say(f"believed to be like {shown}, and somewhat off towards the others")
    else:
        say(f"fitted from scratch; {compared}")
        say(f"warning: {transfer['warning']}", err=True)
