"""What a page answers by itself: the network for another limit, and networks as blocks."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from edgenas.core.metrics import ResponseKind
from edgenas.reporting.document import BudgetChoice, Budgets, ReportData
from edgenas.reporting.pages.plots import PagePlots
from edgenas.reporting.pages.script import data as as_data
from edgenas.reporting.plots import of_network
from edgenas.reporting.plots.fronts import FrontAxis, axis

BUDGETS, NETWORKS = "budgets", "networks"  # the classes of the elements that hold the data
Place = tuple[FrontAxis, FrontAxis]  # of a plot: what goes across, which is limited, and what up
_ROLES = {"smallest": "the smallest of the space", "largest": "the largest of the space"}
_SUFFIXES = {"billion": "G", "million": "M", "thousand": "k"}  # of a limit on a count


def parts(runs: Mapping[str, Budgets | None], places: Mapping[str, Place]) -> dict[str, Any]:
    """Return what the template shows of limits; None where no run has a choice.

    runs : by the name that the page has for each. places : by plot, where the page shows the
    limit and what it gives.
    """
    known = {name: one for name, one in runs.items() if one is not None and one.choices}
    if not known:
        return {"budget": None, "budget_data": None}
    budgets = document(known, places)
    return {"budget": budgets, "budget_data": as_data(BUDGETS, budgets)}


def document(runs: Mapping[str, Budgets], places: Mapping[str, Place]) -> dict[str, Any]:
    """Return the choices by limit as the page's script reads them.

    Limits are in `unit`, which is `factor` of the response's own. plots : by plot, what a limit in
    the response's own unit is multiplied by to lie on its axis. choices : by rising `from`, in the
    response's own unit; the last whose `from` is at most a limit is `edgenas pick`'s.
    """
    first = next(iter(runs.values()))
    bounds = [choice.from_limit for one in runs.values() for choice in one.choices]
    limits = [one.limit for one in runs.values() if one.limit is not None]
    shown = axis(first.kind, max(bounds))
    suffix = _SUFFIXES.get(shown.unit, shown.unit)
    factor = first.kind.units.get(suffix, 1.0)
    limit = max(limits, default=None)
    most = max(1.05 * max(bounds), min(limit or 0.0, 2 * max(bounds)))
    return {
        "label": _capital(first.kind),
        "unit": shown.unit,
        "factor": factor,
        "limit": None if limit is None else limit / factor,
        "least": min(0.95 * min(bounds), 1.05 * min(bounds)) / factor,
        "most": most / factor,
        "plots": {name: across.scale for name, (across, _) in places.items()},
        "runs": [_run(name, one, suffix, places) for name, one in runs.items()],
    }


def _run(name: str, one: Budgets, suffix: str, places: Mapping[str, Place]) -> dict[str, Any]:
    """Return one run. command : what is before the limit, and after it."""
    before, after = f"edgenas pick {shlex.quote(one.run)} --max-latency ", suffix
    if one.response != "latency_ms":
        quoted = shlex.quote(f"{one.response}<=")
        before, after = (
            f"edgenas pick {shlex.quote(one.run)} --constraint {quoted[:-1]}",
            f"{suffix}'",
        )
    return {
        "name": name,
        "how": one.how,
        "winner": one.winner,
        "command": [before, after],
        "choices": [_choice(choice, one, places) for choice in one.choices],
    }


def _choice(one: BudgetChoice, of: Budgets, places: Mapping[str, Place]) -> dict[str, Any]:
    shown = []
    for name, value in one.predicted.items():
        kind = of.kinds[name]
        text = kind.shown(value.mean)
        if value.lower < value.upper:
            text += f" ({kind.shown(value.lower)} to {kind.shown(value.upper)})"
        shown.append([f"{_capital(kind)}, predicted", text])
    at = {}
    for plot, (across, up) in places.items():
        if across.name in one.predicted and up.name in one.predicted:
            x, y = (axis.shown(one.predicted[axis.name].mean) for axis in (across, up))
            at[plot] = {"x": x, "y": y}
    return {
        "from": one.from_limit,
        "network": one.network,
        "shown": shown,
        "at": at,
        "measured": one.measured,
        "measured_text": None if one.measured is None else of.kind.shown(one.measured),
        "passed": one.passed,
        "reasons": [list(told) for told in one.reasons],
        "changes": list(one.changes),
    }


def _capital(kind: ResponseKind) -> str:
    return f"{kind.label[:1].upper()}{kind.label[1:]}"


def networks(data: ReportData, plots: PagePlots) -> dict[str, Any]:
    """Return what the template shows of networks as blocks; None where there are none."""
    if not data.drawn:
        return {"network": None, "network_data": None}
    return {
        "network": plots.inline(of_network.network(data.drawn[0])),
        "network_data": as_data(NETWORKS, _networks(data)),
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
