"""The page of a search on a measured table: a replay, and it says so first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from edgenas.core.metrics import of_column
from edgenas.core.records import Candidate, Interval, TableRow, TableTruth, VerifiedRow
from edgenas.core.records.tables import LookedUp, TableResponse
from edgenas.reporting.pages import budget
from edgenas.reporting.pages.plots import PagePlots
from edgenas.reporting.pages.report import (
    effect_table,
    environment,
    predictor_figures,
    style,
)
from edgenas.reporting.plots import front_kinds
from edgenas.reporting.plots.fronts import FrontAxis, FrontData, FrontMark, axis
from edgenas.reporting.plots.plot import Plot
from edgenas.reporting.replayed import ReplayData
from edgenas.reporting.words import numbers

FRONT = "front"  # begins the names of the plots of it


def render(data: ReplayData) -> str:
    """Return the page as HTML; the same data gives the same bytes."""
    template, plots = environment().get_template("replay.html.j2"), PagePlots()
    page = template.render(
        data=data,
        plots=plots,
        style=style(),
        headline=headline(data),
        sentence=sentence(data),
        facts=_facts(data),
        **budget.parts({data.card.target: data.budgets}, _places(data)),
        fronts=[plots.inline(plot) for plot in fronts(data)],
        predictors=[predictor_figures(predictor, plots) for predictor in data.predictors],
        effect_table=effect_table(data.predictors),
        design=None,
        candidates=_candidate_table(data),
        shown=shown,
    )
    return page.lstrip()


def _truth(data: ReplayData) -> TableTruth:
    truth = data.verdict.table
    assert truth is not None
    return truth


def headline(data: ReplayData) -> str:
    """Return the answer in a line."""
    winner, name = data.verdict.winner, data.search.objectives[0]
    if data.now.status == "not verified":
        return "Replay: not verified as it is now"
    if winner is None:
        return "Replay: no network found keeps the limits when looked up"
    response = data.card.response(name)
    return f"Replay: row {winner.candidate.architecture.row}, {response.label} " + shown(
        response, winner.measured[name]
    )


def sentence(data: ReplayData) -> str:
    """Return what was asked, and how near the best row of the table the answer is."""
    response = data.card.response(data.search.objectives[0])
    wanted = [data.card.response(name) for name in data.search.objectives]
    words = [f"{'more' if one.goal == 'max' else 'less'} {one.label}" for one in wanted]
    text = f"Asked for: {', '.join(words)}{_limits(data)}."
    if len(wanted) > 1:
        text += f" First comes {response.label}."
    best, winner = _truth(data).best, data.verdict.winner
    if best is None:
        return f"{text} The table has no network within the limits."
    value = shown(response, best.values[response.name])
    if winner is not None and winner.measured[response.name] == best.values[response.name]:
        return f"{text} No network of the table within the limits is better."
    where = f"(row {best.network.row})"
    return f"{text} The best network of the table within the limits has {value} {where}."


def shown(response: TableResponse, value: float | None) -> str:
    """Return a looked-up value with its unit."""
    if value is None:
        return numbers.MISSING
    if response.unit == "fraction":
        return f"{100 * value:.2f} %"
    if response.unit == "bytes":
        return numbers.storage(round(value))
    return f"{numbers.significant(value)} {response.unit}".rstrip()


def _limits(data: ReplayData) -> str:
    parts = []
    for limit in data.search.limits:
        response = data.card.response(limit.response)
        if limit.at_most is not None:
            parts.append(f"{response.label} at most {shown(response, limit.at_most)}")
        if limit.at_least is not None:
            parts.append(f"{response.label} at least {shown(response, limit.at_least)}")
    return f", with {' and '.join(parts)}" if parts else ""


def _facts(data: ReplayData) -> list[tuple[str, str, str]]:
    """Return (name, value, note) of the key figures."""
    winner = data.verdict.winner
    facts = []
    if winner is not None:
        for response in data.card.responses:
            predicted = winner.candidate[response.name]
            known = predicted.lower == predicted.upper
            note = (
                "looked up before the search"
                if known
                else f"predicted {_interval(response, predicted)}"
            )
            facts.append(
                (response.label, shown(response, winner.measured.get(response.name)), note)
            )
    regret = _truth(data).regret
    if regret is not None:
        response = data.card.response(data.search.objectives[0])
        points = (
            f"{100 * regret:.2f} points" if response.unit == "fraction" else shown(response, regret)
        )
        facts.append(("Regret", points, "behind the best network of the table within the limits"))
    n = len(data.rows)
    facts.append(
        ("Looked up", f"{n:,} of {data.card.networks:,}", "networks; the others were predicted")
    )
    return facts


def fronts(data: ReplayData) -> list[Plot]:
    """Draw the predicted front and the true one in all pairs of the responses traded."""
    if not data.search.traded:
        return []
    return front_kinds.plots(FRONT, _front(data))


def _places(data: ReplayData) -> dict[str, budget.Place]:
    """Return the axes of the plots of the front that the limit goes across."""
    if data.budgets is None:
        return {}
    axes = [_axis(data, name) for name in data.search.traded]
    pairs = front_kinds.pairs(FRONT, axes)
    return {
        name: (axes[across], axes[up])
        for name, (across, up) in pairs.items()
        if axes[across].name == data.budgets.response
    }


def _front(data: ReplayData) -> FrontData:
    names, winner = data.search.traded, data.verdict.winner
    candidates = {one.candidate.architecture.index for one in data.verdict.models}
    others = [one for one in data.verdict.models if one != winner]
    return FrontData(
        axes=tuple(_axis(data, name) for name in names),
        front=tuple(_predicted(data, one) for one in data.search.frontier),
        true_front=_looked_up(data, _truth(data).true_front),
        measured=_looked_up(data, [r for r in data.rows if r.network.index not in candidates]),
        verified=_found(data, [one for one in others if one.passed]),
        failed=_found(data, [one for one in others if not one.passed]),
        winner=next(iter(_found(data, [winner])), None) if winner else None,
        measured_name="looked up",
        moved="" if data.budgets is None else data.budgets.response,
        verified_name="candidate, looked up",
    )


def _axis(data: ReplayData, name: str) -> FrontAxis:
    response = data.card.response(name)
    limit = next((x for x in data.search.limits if x.response == name), None)
    kind = replace(of_column(name), goal=response.goal)
    if limit is None:
        return axis(kind, response.greatest)
    return axis(kind, response.greatest, limit.at_most, limit.at_least)


def _looked_up(data: ReplayData, rows: Iterable[LookedUp]) -> tuple[FrontMark, ...]:
    complete = (row for row in rows if set(data.search.traded) <= row.values.keys())
    return tuple(_mark(data, row.network, row.values) for row in complete)


def _found(data: ReplayData, findings: Iterable[VerifiedRow]) -> tuple[FrontMark, ...]:
    complete = (one for one in findings if set(data.search.traded) <= one.measured.keys())
    return tuple(_mark(data, one.candidate.architecture, one.measured) for one in complete)


def _mark(data: ReplayData, network: TableRow, values: dict[str, float]) -> FrontMark:
    at = tuple(Interval(values[n], values[n], values[n]) for n in data.search.traded)
    said = (f"{r.label} {shown(r, values[r.name])}" for r in _traded(data))
    return FrontMark(at, f"{network}\nlooked up: {', '.join(said)}", str(network))


def _predicted(data: ReplayData, one: Candidate[TableRow]) -> FrontMark:
    at = tuple(one.predicted[name] for name in data.search.traded)
    said = (f"{r.label} {_interval(r, one.predicted[r.name])}" for r in _traded(data))
    tip = f"{one.architecture}\npredicted: {', '.join(said)}"
    return FrontMark(at, tip, str(one.architecture))


def _traded(data: ReplayData) -> list[TableResponse]:
    return [data.card.response(name) for name in data.search.traded]


def _interval(response: TableResponse, value: Interval) -> str:
    if response.unit == "fraction":
        return numbers.percent_bounds(value)
    unit = f" {response.unit}" if response.unit else ""
    return f"{numbers.with_bounds(value)}{unit}"


def _candidate_table(data: ReplayData) -> list[dict[str, Any]]:
    """Return, for each candidate, what was promised and what the table says."""
    return [
        {
            "one": one,
            "winner": one == data.verdict.winner,
            "cells": [
                (
                    _interval(response, one.candidate[response.name]),
                    shown(response, one.measured.get(response.name)),
                )
                for response in data.card.responses
            ],
        }
        for one in data.verdict.models
    ]
