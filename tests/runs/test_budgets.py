"""The networks of other budgets that a page holds: those of `edgenas pick`, limit by limit."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from edgenas.core.errors import InfeasibleError
from edgenas.core.files.run_folder import RunFolder, write_json
from edgenas.core.records import (
    Answers,
    Architecture,
    Evaluation,
    Int8Layer,
    Int8Layers,
    SearchResult,
    to_json,
)
from edgenas.core.records.goals import Limit
from edgenas.reporting.document import MarginalEffect, ReportData
from edgenas.reporting.pages.report import render
from edgenas.reporting.plots import of_network
from edgenas.runs.config import RunConfig, write_config
from edgenas.runs.frontier.budgets import budget_choices, drawn_networks
from edgenas.runs.frontier.pick import pick
from edgenas.runs.frontier.stored import Front, read_front
from edgenas.runs.store import Store
from helpers.browser import Browser, barriers, browser_or_skip
from helpers.html_page import HOSTILE, Page
from helpers.reporting_sample import SPACE, sample

N_IMAGES = 30_000  # so that noise decides between neighbours alone


@pytest.fixture(scope="module")
def data() -> ReportData:
    return sample()


@pytest.fixture(scope="module")
def search(data: ReportData) -> SearchResult[Architecture]:
    assert data.search is not None
    return data.search


@pytest.fixture(scope="module")
def front(
    data: ReportData, search: SearchResult[Architecture], tmp_path_factory: pytest.TempPathFactory
) -> Front:
    """A frontier of which every third network was evaluated, so that noise decides, too."""
    folder = RunFolder(tmp_path_factory.mktemp("budgets") / "run")
    write_config(folder, RunConfig(), "0")
    write_json(folder.search, to_json(search))
    write_json(folder.profile, to_json(replace(data.environment.profile, target="local")))
    rng = np.random.default_rng(5)
    weights = b"weights"
    folder.supernet.write_bytes(weights)
    store = Store(folder.store)
    for one in search.frontier[::3]:
        answers = Answers.of(rng.random(N_IMAGES) < one["accuracy"].mean)
        known = (one.architecture, sha256(weights).hexdigest(), answers.accuracy, answers.accuracy)
        store.add_evaluation(Evaluation(*known, N_IMAGES, answers))
    return read_front(folder.path)


@pytest.fixture(scope="module")
def interactive(data: ReportData, front: Front, search: SearchResult[Architecture]) -> ReportData:
    assert data.winner is not None
    winner = data.winner.predicted.architecture
    budgets = budget_choices(front, SPACE, winner)
    named = {str(one.architecture): one.architecture for one in search.frontier}
    wanted = [("winner", winner), ("smallest", SPACE.smallest()), ("largest", SPACE.largest())]
    wanted += [("", named[one.network]) for one in budgets if one.network in named]
    noise = Int8Layer(SPACE.layers(winner)[0].name, "conv", 40.0, 30.0, 0.0, 0.0)
    int8 = Int8Layers("a" * 64, "u8s8", 400, 0.97, 0.96, 24.3, 0.02, (noise,))
    breakdown = (MarginalEffect("stage 1", 0.1, 0.0, 0.2, "ms"),)
    drawn = drawn_networks(SPACE, wanted, breakdown, int8)
    return replace(data, budgets=budgets, drawn=drawn, predictors=data.predictors[:1])


@pytest.fixture(scope="module")
def html(interactive: ReportData) -> str:
    return render(interactive)


def limits(search: SearchResult[Architecture]) -> list[float]:
    """Return twenty limits from below the frontier to above it, and two at bounds of it."""
    bounds = [one["latency_ms"].upper for one in search.frontier]
    even = np.linspace(0.9 * min(bounds), 1.1 * max(bounds), 18).tolist()
    return [*even, min(bounds), sorted(bounds)[len(bounds) // 2]]


def picked(front: Front, limit: float) -> str | None:
    try:
        return pick(front, {"latency_ms": Limit("latency_ms", at_most=limit)}).point.name
    except InfeasibleError:
        return None


def embedded(html: str) -> dict[str, list[dict[str, object]]]:
    """Return the choices by budget as the page's script reads them."""
    found = [json.loads(text) for text in Page(html).data]
    return next(one for one in found if isinstance(one.get("choices"), list))


def test_the_page_has_what_pick_gives_at_twenty_budgets(
    html: str, front: Front, search: SearchResult[Architecture]
) -> None:
    choices = embedded(html)["choices"]
    assert len({str(one["network"]) for one in choices}) > 3
    seen = set()
    for limit in limits(search):
        within = [one for one in choices if float(str(one["from_ms"])) <= limit]
        expected = picked(front, limit)
        assert (within[-1]["network"] if within else None) == expected
        seen.add(expected)
    assert None in seen and len(seen) > 4


def test_a_network_is_drawn_with_what_each_block_takes(interactive: ReportData) -> None:
    winner, smallest, largest, *_ = interactive.drawn
    layers = SPACE.layers(interactive.winner.predicted.architecture)  # type: ignore[union-attr]
    assert sum(block.macs for block in winner.blocks) == sum(layer.macs for layer in layers)
    assert sum(block.model_bytes for block in winner.blocks) == sum(x.params for x in layers)
    assert sum(block.ms or 0.0 for block in winner.blocks) == pytest.approx(0.1)
    assert sum(block.noise or 0.0 for block in winner.blocks) == pytest.approx(1.0)
    assert len(smallest.blocks) < len(largest.blocks)
    assert of_network.shares(smallest, "int8 noise") == []  # not known is not drawn
    for measure in ("multiply-accumulates", "milliseconds"):
        assert sum(of_network.shares(winner, measure)) == pytest.approx(100)


def test_names_reach_the_script_as_data_alone(interactive: ReportData) -> None:
    first = replace(interactive.budgets[0], network=HOSTILE, reason=HOSTILE, changes=(HOSTILE,))
    hostile = replace(interactive, run=HOSTILE, budgets=(first,), drawn=(), predictors=())
    page = Page(render(hostile))
    assert page.only_own_scripts_run()
    assert not any("<" in text for text in page.data)


@pytest.fixture
def browser(html: str, tmp_path: Path) -> Browser:
    path = tmp_path / "report.html"
    path.write_text(html, "utf-8")
    return browser_or_skip(path)


@pytest.mark.slow
def test_in_a_browser_the_slider_gives_what_pick_gives(
    browser: Browser, front: Front, search: SearchResult[Architecture]
) -> None:
    with browser as page:
        for limit in limits(search):
            page.fill("#budget-ms", repr(limit))
            shown = page.text_content("#budget-network")
            expected = picked(front, limit) or "No network of the frontier is within this limit."
            assert shown == expected, limit
        assert page.text_content("#budget-command").startswith("edgenas pick runs/digits-local")
        assert browser.requested == [browser.url]
        assert browser.problems == []


@pytest.mark.slow
def test_in_a_browser_a_brush_picks_in_every_plot_and_keys_move_the_budget(
    browser: Browser,
) -> None:
    with browser as page:
        marks = page.locator("#tradeoff .hero .drawn svg .mark-symbol path[aria-roledescription]")
        box = page.locator("#tradeoff .hero .drawn svg").bounding_box()
        assert marks.count() > 20
        page.mouse.move(box["x"] + 90, box["y"] + 90)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.8 * box["height"], steps=5)
        page.mouse.up()
        said = page.text_content("#brushed")
        assert said.endswith("networks are picked in every plot.") and not said.startswith("0 ")
        fits = page.locator("#predictors .drawn svg .mark-symbol path[opacity]").evaluate_all(
            "all => all.map(one => one.getAttribute('opacity'))"
        )
        assert "0.12" in fits and "1" in fits
        page.focus("#budget")
        before = page.input_value("#budget-ms")
        page.keyboard.press("ArrowLeft")
        assert float(page.input_value("#budget-ms")) < float(before)


@pytest.mark.slow
def test_in_a_browser_no_page_is_wider_than_its_window_and_paper_shows_all(
    browser: Browser,
) -> None:
    with browser as page:
        for width in (1600, 400):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function(
                "width => document.documentElement.scrollWidth <= width", arg=width
            )
        folded = "document.querySelectorAll('details:not([open])').length"
        assert page.evaluate(folded) > 0
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate(folded) == 0


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_nothing_keeps_somebody_from_using_the_report(
    html: str, tmp_path: Path, scheme: str
) -> None:
    path = tmp_path / "report.html"
    path.write_text(html, "utf-8")
    with browser_or_skip(path, scheme) as page:
        assert barriers(page) == []


@pytest.mark.slow
def test_in_a_browser_any_metric_goes_on_an_axis_and_any_choice_colours(browser: Browser) -> None:
    marks = "#tradeoff .hero .drawn svg .mark-symbol path[aria-roledescription]"
    with browser as page:
        before = page.locator(marks).count()
        across = page.get_by_label("Across", exact=True)
        across.select_option("90th percentile of the latency (ms)")
        page.wait_for_selector("#tradeoff .drawn text:has-text('90th percentile')")
        moved = page.locator(marks)
        assert 20 < moved.count() <= before
        page.get_by_label("Colour", exact=True).select_option("Input size (px)")
        page.wait_for_selector("#tradeoff .drawn text:has-text('Input size (px)')")
        colours = moved.evaluate_all("all => all.map(one => one.getAttribute('fill'))")
        assert len(set(colours)) > 2
        across.select_option("")
        page.wait_for_selector("#tradeoff .drawn text:has-text('Latency on the target')")
        page.fill("#budget-ms", "0.15")
        assert browser.problems == [] and moved.count() == before
