"""The page of a search on a measured table: a replay, and it says so first."""

from __future__ import annotations

from typing import Any

from edgenas.records import Interval
from edgenas.records.tables import TableCandidate, TableFinding, TableNetwork, TableResponse
from edgenas.reporting import formats, plots
from edgenas.reporting.page import effect_table, environment, inline, predictor_figures, style
from edgenas.reporting.plot import Plot
from edgenas.reporting.replayed import ReplayData


def render(data: ReplayData) -> str:
    """Return the page as HTML; the same data gives the same bytes."""
    template = environment().get_template("replay.html.j2")
    page = template.render(
        data=data,
        style=style(),
        headline=headline(data),
        sentence=sentence(data),
        facts=_facts(data),
        tradeoff=inline(tradeoff(data)),
        predictors=[predictor_figures(predictor) for predictor in data.predictors],
        effect_table=effect_table(data.predictors),
        candidates=_candidate_table(data),
        shown=shown,
    )
    return page.lstrip()


def headline(data: ReplayData) -> str:
    """Return the answer in a line."""
    winner, name = data.verdict.winner, data.search.objectives[0]
    if winner is None:
        return "Replay: no network found keeps the limits when looked up"
    response = data.card.response(name)
    return f"Replay: row {winner.candidate.network.row}, {response.label} " + shown(
        response, winner.values[name]
    )


def sentence(data: ReplayData) -> str:
    """Return what was asked, and how near the best row of the table the answer is."""
    response = data.card.response(data.search.objectives[0])
    better = "highest" if response.goal == "max" else "lowest"
    text = f"Asked for: the {better} {response.label}{_limits(data)}."
    best, winner = data.verdict.best, data.verdict.winner
    if best is None:
        return f"{text} The table has no network within the limits."
    value = shown(response, best.values[response.name])
    if winner is not None and winner.values[response.name] == best.values[response.name]:
        return f"{text} No network of the table within the limits is better."
    where = f"(row {best.network.row})"
    return f"{text} The best network of the table within the limits has {value} {where}."


def shown(response: TableResponse, value: float | None) -> str:
    """Return a looked-up value with its unit."""
    if value is None:
        return formats.MISSING
    if response.unit == "fraction":
        return f"{100 * value:.2f} %"
    if response.unit == "bytes":
        return formats.storage(round(value))
    return f"{formats.significant(value)} {response.unit}".rstrip()


def _limits(data: ReplayData) -> str:
    parts = []
    for limit in data.search.limits:
        response = data.card.response(limit.response)
        if limit.at_most is not None:
            parts.append(f"{response.label} at most {shown(response, limit.at_most)}")
        if limit.at_least is not None:
            parts.append(f"{response.label} at least {shown(response, limit.at_least)}")
    return f", {' and '.join(parts)}" if parts else ""


def _facts(data: ReplayData) -> list[tuple[str, str, str]]:
    """Return (name, value, note) of the key figures."""
    winner = data.verdict.winner
    facts = []
    if winner is not None:
        for response in data.card.responses:
            predicted = winner.candidate.predicted[response.name]
            known = predicted.lower == predicted.upper
            note = (
                "looked up before the search"
                if known
                else f"predicted {_interval(response, predicted)}"
            )
            facts.append((response.label, shown(response, winner.values.get(response.name)), note))
    regret = data.verdict.regret
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


def tradeoff(data: ReplayData) -> Plot | None:
    """Draw what was looked up, the predicted front and the true one; None without a cost."""
    if not data.search.cost:
        return None
    x, y = (data.card.response(name) for name in (data.search.cost, data.search.objectives[0]))
    winner = data.verdict.winner
    found = [one for one in data.verdict.findings if one != winner]
    series = [
        plots.Series("looked up to learn from", "half_known", _looked_up(data, x, y)),
        plots.Series("candidate, looked up", "verified", _found(found, x, y)),
        plots.Series("winner, looked up", "winner", _found([winner] if winner else [], x, y)),
    ]
    limits = [limit.at_most for limit in data.search.limits if limit.response == x.name]
    limit = next((value for value in limits if value is not None), None)
    return plots.tradeoff(
        "tradeoff",
        [one for one in series if one.marks],
        [_means(one, x, y) for one in data.search.frontier],
        limit=None if limit is None else limit * _scale(x),
        labels=(_axis(x), _axis(y)),
        limit_text="limit",
        true_frontier=[
            (row.values[x.name] * _scale(x), row.values[y.name] * _scale(y))
            for row in data.verdict.true_front
        ],
    )


def _looked_up(data: ReplayData, x: TableResponse, y: TableResponse) -> tuple[plots.Mark, ...]:
    candidates = {one.candidate.network.index for one in data.verdict.findings}
    return tuple(
        _mark(row.network, row.values, x, y)
        for row in data.rows
        if x.name in row.values and y.name in row.values and row.network.index not in candidates
    )


def _found(
    findings: list[TableFinding], x: TableResponse, y: TableResponse
) -> tuple[plots.Mark, ...]:
    return tuple(
        _mark(one.candidate.network, one.values, x, y)
        for one in findings
        if x.name in one.values and y.name in one.values
    )


def _mark(
    network: TableNetwork, values: dict[str, float], x: TableResponse, y: TableResponse
) -> plots.Mark:
    at = [values[one.name] * _scale(one) for one in (x, y)]
    text = ", ".join(f"{one.label} {shown(one, values[one.name])}" for one in (x, y))
    return plots.Mark(
        Interval(at[0], at[0], at[0]), Interval(at[1], at[1], at[1]), f"{network}\n{text}"
    )


def _means(one: TableCandidate, x: TableResponse, y: TableResponse) -> tuple[float, float]:
    return one.predicted[x.name].mean * _scale(x), one.predicted[y.name].mean * _scale(y)


def _axis(response: TableResponse) -> str:
    unit = "%" if response.unit == "fraction" else response.unit
    label = response.label[:1].upper() + response.label[1:]
    return f"{label} ({unit})" if unit else label


def _scale(response: TableResponse) -> float:
    return 100.0 if response.unit == "fraction" else 1.0


def _interval(response: TableResponse, value: Interval) -> str:
    if response.unit == "fraction":
        return formats.percent_bounds(value)
    unit = f" {response.unit}" if response.unit else ""
    return f"{formats.with_bounds(value)}{unit}"


def _candidate_table(data: ReplayData) -> list[dict[str, Any]]:
    """Return, for each candidate, what was promised and what the table says."""
    return [
        {
            "one": one,
            "winner": one == data.verdict.winner,
            "cells": [
                (
                    _interval(response, one.candidate.predicted[response.name]),
                    shown(response, one.values.get(response.name)),
                )
                for response in data.card.responses
            ],
        }
        for one in data.verdict.findings
    ]
