"""What a search found, printed: the candidates with what is predicted of them, and how good."""

from __future__ import annotations

from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from edgenas.goals import parse_constraint, parse_constraints
from edgenas.records import Candidate, SearchResult, from_json
from edgenas.responses import REGISTRY, ResponseKind

USUAL = ("accuracy", "latency_ms")


def found(document: dict[str, Any]) -> None:
    """Print the result of a search, its JSON."""
    result = from_json(document, SearchResult, "A search")
    asked = dict.fromkeys((*result.objectives, *parse_constraints(result.constraints)))
    others = [REGISTRY[name] for name in asked if name not in USUAL]
    table = Table(box=box.SIMPLE)
    for name in ("network", "accuracy", "latency ms", "upper bound ms", *(k.label for k in others)):
        table.add_column(name, justify="left" if name == "network" else "right")
    for candidate in result.candidates:
        table.add_row(
            str(candidate.architecture),
            f"{candidate.accuracy.mean:.2%}",
            f"{candidate.latency_ms.mean:.4g}",
            f"{candidate.latency_ms.upper:.4g}",
            *(_predicted(kind, candidate) for kind in others),
        )
    Console(highlight=False, soft_wrap=True).print(table)
    limits = [f"latency_ms<={result.limit_ms:.4g}ms"] if result.limited else []
    limits += [text for text in result.constraints if not _says_latency(text)]
    click.echo(
        f"objective {', '.join(result.objectives)}; limits {', '.join(limits) or 'none'}; by "
        f"{result.method}: {_proof(result)}; {len(result.frontier)} networks on the frontier"
    )


def _says_latency(constraint: str) -> bool:
    """Whether it is the upper limit on latency, which is shown already."""
    limit = parse_constraint(constraint)
    return limit.response == "latency_ms" and limit.at_most is not None


def _proof(result: SearchResult) -> str:
    if result.optimal:
        return "proved optimal"
    return "not proved optimal" if result.gap is None else f"gap {result.gap:.4g}"


def _predicted(kind: ResponseKind, candidate: Candidate) -> str:
    value = candidate.response(kind.name)
    if value is None:
        return "not predicted"
    if value.lower == value.upper:
        return kind.shown(value.mean)
    return f"{kind.shown(value.mean)} ({kind.shown(value.lower)} to {kind.shown(value.upper)})"
