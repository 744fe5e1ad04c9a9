"""Documents of earlier versions, made into those of now.

Until November 2026 a search had one latency limit with two meanings, and tables had records of
their own.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any


def search_result(document: dict[str, Any]) -> dict[str, Any]:
    """Return search.json as a `SearchResult` is read."""
    texts = document.get("constraints", [])
    if not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
        return document  # damaged: its type is refused
    if "limits" not in document and "limit_ms" in document:
        return {**document, "limits": _limits(document)}
    networks = {
        name: [_candidate(one) for one in document[name]]
        for name in ("candidates", "frontier")
        if isinstance(document.get(name), list)
    }
    return {"gap": None, **document, **networks}


def verification(document: dict[str, Any]) -> dict[str, Any]:
    """Return verification.json as a `Verification` is read; `target` is not in old ones."""
    if "findings" not in document:
        return document
    models = [
        {
            "candidate": _candidate(one["candidate"]),
            "passed": not one["reasons"],
            "reasons": one["reasons"],
            "measured": one["values"],
        }
        for one in document["findings"]
    ]
    table = {key: document[key] for key in ("provider", "best", "regret", "true_front")}
    kept: dict[str, Any] = {
        key: document[key] for key in ("rounds", "verified_from") if key in document
    }
    unknown = {"target": "", "limit_ms": None, "confidence": 0.0, "objective": ""}
    return {**unknown, **kept, "models": models, "table": table}


def _limits(document: dict[str, Any]) -> list[dict[str, Any]]:
    from edgenas.core.goals import parse_constraints, tightest  # read metrics, which read records
    from edgenas.core.records.goals import Limit

    limits = parse_constraints(document.get("constraints", ()))
    if document.get("limited", True):
        limit = Limit("latency_ms", at_most=document["limit_ms"])
        limits["latency_ms"] = tightest(limits.get("latency_ms"), limit)
    return [asdict(limit) for limit in limits.values()]


def _candidate(document: Any) -> Any:
    """Return a candidate of a table."""
    if not isinstance(document, dict) or "network" not in document:
        return document
    others = dict(document["predicted"])
    first = {name: others.pop(name, None) for name in ("accuracy", "latency_ms")}
    return {"architecture": document["network"], **first, "responses": others}
