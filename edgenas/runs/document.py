"""The JSON document of `edgenas search --json`; scripts depend on it: add fields, rename none."""

from __future__ import annotations

from typing import Any

from edgenas.core.records import SearchResult, TableRow, to_json
from edgenas.runs.run import RunContext


def search_document(result: SearchResult[Any]) -> dict[str, Any]:
    """Return the result of `edgenas optimize`.

    limit_ms : on latency; null where there was none. limited : whether there was. The networks of a
    table have `network` and `predicted`.
    """
    document: dict[str, Any] = to_json(result)
    networks = (*result.candidates, *result.frontier)
    if any(isinstance(one.architecture, TableRow) for one in networks):
        for name in ("candidates", "frontier"):
            document[name] = [
                {"network": to_json(one.architecture), "predicted": to_json(one.predicted)}
                for one in getattr(result, name)
            ]
        return document
    return {**document, "limit_ms": result.limit_ms, "limited": result.limit_ms is not None}


def summary(context: RunContext) -> dict[str, Any]:
    """Return the outcome of a verified run.

    `status` is "pass", or "looked up" on a table; "fail"; or "not verified" where something is
    newer than the verification, which `not_verified` says.
    """
    now, notes = context.verdict(), context.notes()
    return {
        "status": now.status,
        "reservations": list(now.reservations),
        "not_verified": list(now.outdated),
        "next_command": now.next_command,
        "run": str(context.folder.path),
        **context.source.document(),
        "seconds": {step: round(seconds, 3) for step, seconds in notes.seconds.items()},
        "warnings": list(notes.warnings),
        "reused": list(notes.reused),
        "plan": list(notes.plan),
        "report": str(context.folder.report) if context.folder.report.exists() else None,
    }
