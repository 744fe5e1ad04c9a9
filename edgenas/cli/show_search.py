"""What a search found, printed: the candidates with what is predicted and known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from edgenas.cli.console import Terminal
from edgenas.cli.terminal import say
from edgenas.core.counted import counted
from edgenas.core.metrics import REGISTRY, ResponseKind, of_column
from edgenas.core.records import Candidate, Interval, Limit, SearchResult, TableRow, from_json
from edgenas.core.records.goals import SCORE

USUAL = (SCORE, "latency_ms")


def show(document: dict[str, Any], score: str) -> None:
    """Print the result of a search on a board or a table, its JSON.

    score : what the task calls what is scored.
    """
    result: SearchResult[Any] = from_json(document, SearchResult, "A search")
    if any(isinstance(candidate.architecture, TableRow) for candidate in result.candidates):
        rows: list[tuple[dict[str, Interval], dict[str, float], str]]
        rows = [(candidate.predicted, {}, "") for candidate in result.candidates]
        limits = [limit.response for limit in result.limits]
        Terminal().print(table_candidates(rows, (result.objectives[0], *limits)))
        return
    others = dict.fromkeys((*result.objectives, *(limit.response for limit in result.limits)))
    kinds = [REGISTRY[name] for name in others if name not in USUAL]
    table = Table(box=box.SIMPLE)
    labels = (f"{k.label}{', estimated' * (k.source == 'hardware')}" for k in kinds)
    for name in ("network", score, "latency ms", "upper bound ms", *labels):
        table.add_column(name, justify="left" if name == "network" else "right")
    for candidate in result.candidates:
        accuracy, latency_ms = candidate[SCORE], candidate["latency_ms"]
        table.add_row(
            str(candidate.architecture),
            f"{accuracy.mean:.2%}",
            f"{latency_ms.mean:.4g}",
            f"{latency_ms.upper:.4g}",
            *(_predicted(kind, candidate) for kind in kinds),
        )
    Terminal().print(table)
    names = {SCORE: score}
    objectives = [names.get(name, name) for name in result.objectives]
    texts = [text for limit in result.limits for text in _limit_texts(limit, names)]
    say(
        f"objective {', '.join(objectives)}; limits {', '.join(texts) or 'none'}; by "
        f"{result.method}: {_proof(result)}; {counted(len(result.frontier), 'network')} on the "
        "frontier"
    )


def table_candidates(
    rows: Sequence[tuple[Mapping[str, Interval], Mapping[str, float], str]], metrics: Sequence[str]
) -> Table:
    """Return the candidates of a table: what was predicted and looked up of `metrics`, and whether
    each keeps the limits, in a word."""
    names = list(dict.fromkeys(metrics))
    table = Table(box=box.SIMPLE)
    columns = [head for name in names for head in (f"{name} predicted", "looked up")]
    for column in ("", *columns, "kept"):
        table.add_column(column, justify="right")
    for number, (predicted, values, kept) in enumerate(rows, 1):
        cells = []
        for name in names:
            interval, kind = predicted[name], of_column(name)
            known = interval.lower == interval.upper
            bounds = f"{kind.shown(interval.lower)} … {kind.shown(interval.upper)}"
            value = values.get(name)
            cells += ["known" if known else bounds, "-" if value is None else kind.shown(value)]
        table.add_row(str(number), *cells, kept)
    return table


def _limit_texts(limit: Limit, names: Mapping[str, str]) -> list[str]:
    """Return a limit as it is asked for, such as "latency_ms<=3ms". names : in words."""
    ends = (("<=", limit.at_most), (">=", limit.at_least))
    shown = REGISTRY[limit.response].shown
    return [
        f"{names.get(limit.response, limit.response)}{sign}{shown(end).replace(' ', '')}"
        for sign, end in ends
        if end is not None
    ]


def _proof(result: SearchResult[Any]) -> str:
    if result.optimal:
        return "proved optimal"
    return "not proved optimal" if result.gap is None else f"gap {result.gap:.4g}"


def _predicted(kind: ResponseKind, candidate: Candidate[Any]) -> str:
    value = candidate.response(kind.name)
    if value is None:
        return "not predicted"
    if value.lower == value.upper:
        return kind.shown(value.mean)
    return f"{kind.shown(value.mean)} ({kind.shown(value.lower)} to {kind.shown(value.upper)})"
