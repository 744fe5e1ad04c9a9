"""What the report answers by itself: the network for another budget, and networks as blocks."""

from __future__ import annotations

from typing import Any

from edgenas.core.metrics import REGISTRY
from edgenas.core.records.goals import SCORE
from edgenas.reporting.document import BudgetChoice, ReportData
from edgenas.reporting.pages.plots import PagePlots
from edgenas.reporting.pages.script import data as as_data
from edgenas.reporting.plots import of_network
from edgenas.reporting.words import numbers

BUDGETS, NETWORKS = "budgets", "networks"  # the classes of the elements that hold the data
_ROLES = {"smallest": "the smallest of the space", "largest": "the largest of the space"}


def parts(data: ReportData, plots: PagePlots) -> dict[str, Any]:
    """Return what the template shows of budgets and networks; None where there are none."""
    budgets = document(data)
    networks = {} if not data.drawn else _networks(data)
    return {
        "budget": budgets,
        "budget_data": None if budgets is None else as_data(BUDGETS, budgets),
        "network": plots.inline(of_network.network(data.drawn[0])) if data.drawn else None,
        "network_data": as_data(NETWORKS, networks) if networks else None,
    }


def document(data: ReportData) -> dict[str, Any] | None:
    """Return the choices by latency limit as the page's script reads them.

    choices : by rising `from_ms`; the last whose from_ms is at most a limit is `edgenas pick`'s.
    """
    if not data.budgets:
        return None
    winner = data.winner.predicted.architecture if data.winner else ""
    least, most = data.budgets[0].from_ms, data.budgets[-1].from_ms
    limit = data.limit_ms if data.limited else None
    return {
        "choices": [_choice(one) for one in data.budgets],
        "winner": str(winner),
        "limit_ms": limit,
        "least_ms": 0.95 * least,
        "most_ms": max(1.05 * most, min(limit or 0.0, 2 * most)),
        "command": f"edgenas pick {data.run} --max-latency LIMIT",
    }


def _choice(one: BudgetChoice) -> dict[str, Any]:
    shown = []
    for name, value in one.predicted.items():
        kind = REGISTRY[name]
        text = kind.shown(value.mean)
        if value.lower < value.upper:
            text += f" ({kind.shown(value.lower)} to {kind.shown(value.upper)})"
        shown.append([f"{kind.label[:1].upper()}{kind.label[1:]}, predicted", text])
    latency, accuracy = one.predicted.get("latency_ms"), one.predicted.get(SCORE)
    at = None
    if latency is not None and accuracy is not None:
        at = {"x": latency.mean, "y": 100 * accuracy.mean}
    return {
        "from_ms": one.from_ms,
        "network": one.network,
        "shown": shown,
        "at": at,
        "measured_ms": one.measured_ms,
        "measured": None if one.measured_ms is None else numbers.milliseconds(one.measured_ms),
        "passed": one.passed,
        "reason": one.reason,
        "changes": list(one.changes),
    }


def _networks(data: ReportData) -> dict[str, Any]:
    networks = {}
    for one in data.drawn:
        known = [name for name in of_network.MEASURES if of_network.shares(one, name)]
        won = "the winner" if data.status == "pass" else "the best that was verified"
        title = won if one.role == "winner" else _ROLES.get(one.role, one.network)
        records = {name: of_network.records(one, name) for name in known}
        networks[one.network] = {"title": title, "records": records}
    return networks
