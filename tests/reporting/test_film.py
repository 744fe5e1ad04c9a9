"""The film of a search: what comes when, in an SVG that a browser plays."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from edgenas.reporting.document import ReportData
from edgenas.reporting.plots.film import SECONDS, film
from edgenas.reporting.plots.of_report import tradeoff
from helpers.reporting_sample import sample

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def data() -> ReportData:
    return sample()


@pytest.fixture(scope="module")
def begins(data: ReportData) -> dict[str, float]:
    """When each mark comes, by its hover text."""
    root = ElementTree.fromstring(film(tradeoff(data)))
    found = {}
    for mark in root.iter():
        title, comes = mark.find(f"{SVG}title"), mark.find(f"{SVG}set")
        if title is not None and comes is not None:
            assert mark.get("visibility") == "hidden" and comes.get("fill") == "freeze"
            found[str(title.text)] = float(str(comes.get("begin")).rstrip("s"))
    return found


def test_what_was_measured_comes_in_its_order_and_the_winner_last(
    data: ReportData, begins: dict[str, float]
) -> None:
    known = {one.architecture for one in data.evaluations}
    order = [
        str(one.architecture)
        for one in data.measurements
        if one.outcome.latency and one.architecture in known
    ]
    comes = {tip: at for tip, at in begins.items() if "\nmeasured" in tip and "target" not in tip}
    assert [tip.split("\n")[0] for tip in sorted(comes, key=comes.__getitem__)] == order
    assert data.winner is not None
    winner = str(data.winner.predicted.architecture)
    last = max(begins, key=begins.__getitem__)
    assert last.startswith(winner) and begins[last] < SECONDS


def test_the_front_comes_between_what_was_measured_and_what_was_proposed(
    data: ReportData, begins: dict[str, float]
) -> None:
    root = ElementTree.fromstring(film(tradeoff(data)))
    (line,) = (g for g in root.iter(f"{SVG}g") if "mark-line role-mark" in g.get("class", ""))
    comes = float(str(line.find(f"{SVG}set").get("begin")).rstrip("s"))  # type: ignore[union-attr]
    measured = [at for tip, at in begins.items() if "\nmeasured" in tip and "target" not in tip]
    assert max(measured) < comes < min(at for tip, at in begins.items() if "\npredicted" in tip)
