"""The networks of other budgets that a page holds: those of `edgenas pick`, limit by limit."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgenas.cli.main import edgenas as command_line
from edgenas.core.errors import InfeasibleError
from edgenas.core.files.run_folder import RunFolder, write_json
from edgenas.core.records import (
    Answers,
    Architecture,
    Candidate,
    Evaluation,
    Int8Layer,
    Int8Layers,
    Interval,
    SearchResult,
    TableRow,
    to_json,
)
from edgenas.core.records.goals import Limit
from edgenas.core.records.tables import TableCard, TableResponse
from edgenas.reporting.compared import ComparisonData
from edgenas.reporting.document import MarginalEffect, ReportData
from edgenas.reporting.pages import budget
from edgenas.reporting.pages.comparison import render as render_comparison
from edgenas.reporting.pages.report import render
from edgenas.reporting.plots import of_network
from edgenas.reporting.plots.of_report import tradeoff
from edgenas.runs.config import RunConfig, write_config
from edgenas.runs.frontier.budgets import budgets, drawn_networks
from edgenas.runs.frontier.choice import reason
from edgenas.runs.frontier.pick import pick
from edgenas.runs.frontier.stored import Front, FrontPoint, read_front
from edgenas.runs.store import Store
from helpers.browser import Browser, barriers, browser_or_skip
from helpers.comparison_sample import comparison
from helpers.html_page import HOSTILE, Page
from helpers.reporting_sample import SPACE, sample


class ComparisonPage(Page):
    first_heading = "The winners side by side"


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

    def changes(point: FrontPoint) -> tuple[str, ...]:
        assert point.architecture is not None
        return SPACE.changes(winner, point.architecture)

    offered = budgets(front, "latency_ms", str(winner), changes, 0.2)
    assert offered is not None
    named = {str(one.architecture): one.architecture for one in search.frontier}
    wanted = [("winner", winner), ("smallest", SPACE.smallest()), ("largest", SPACE.largest())]
    wanted += [("", named[one.network]) for one in offered.choices if one.network in named]
    noise = Int8Layer(SPACE.layers(winner)[0].name, "conv", 40.0, 30.0, 0.0, 0.0)
    int8 = Int8Layers("a" * 64, "u8s8", 400, 0.97, 0.96, 24.3, 0.02, (noise,))
    breakdown = (MarginalEffect("stage 1", 0.1, 0.0, 0.2, "ms"),)
    drawn = drawn_networks(SPACE, wanted, breakdown, int8)
    return replace(data, budgets=offered, drawn=drawn, predictors=data.predictors[:1])


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


def why(front: Front, limit: float) -> str:
    return reason(front, pick(front, {"latency_ms": Limit("latency_ms", at_most=limit)}).choice)


def embedded(html: str) -> dict[str, list[dict[str, object]]]:
    """Return the choices by budget as the page's script reads them."""
    found = [json.loads(text) for text in Page(html).data]
    (run,) = next(one["runs"] for one in found if isinstance(one, dict) and "runs" in one)
    return run


def test_the_page_has_what_pick_gives_at_twenty_budgets(
    html: str, front: Front, search: SearchResult[Architecture]
) -> None:
    choices = embedded(html)["choices"]
    assert len({str(one["network"]) for one in choices}) > 3
    seen = set()
    for limit in limits(search):
        within = [one for one in choices if float(str(one["from"])) <= limit]
        expected = picked(front, limit)
        assert (within[-1]["network"] if within else None) == expected
        if within:
            told = [text for at, text in within[-1]["reasons"] if at <= limit]  # type: ignore[misc]
            assert told[-1] == why(front, limit)
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
    assert interactive.budgets is not None
    first = interactive.budgets.choices[0]
    first = replace(first, network=HOSTILE, reasons=((0.0, HOSTILE),), changes=(HOSTILE,))
    hostile_budgets = replace(interactive.budgets, run=HOSTILE, choices=(first,))
    hostile = replace(interactive, budgets=hostile_budgets, drawn=(), predictors=())
    page = Page(render(hostile))
    assert page.only_own_scripts_run()
    assert not any("<" in text for text in page.data)


@pytest.fixture(scope="module")
def compared(interactive: ReportData, front: Front) -> tuple[ComparisonData, dict[str, Front]]:
    """The run on two boards, of which one takes twice as long."""
    data, (first, second, _) = interactive, comparison().boards
    assert data.budgets is not None and data.search is not None
    winner, offered = data.budgets.winner, data.budgets
    slow = {one.name: twice(one) for one in (*front.points, *front.proposed)}
    slower = replace(
        front,
        run=Path("runs/slow board"),
        points=tuple(slow[one.name] for one in front.points),
        proposed=tuple(slow[one.name] for one in front.proposed),
    )
    slow_offered = budgets(slower, "latency_ms", winner, lambda _: (), 0.4)
    boards = (
        replace(first, data=replace(first.data, budgets=offered)),
        replace(second, data=replace(second.data, budgets=slow_offered)),
    )
    fronts = {first.target: front, second.target: slower}
    return replace(comparison(), boards=boards, choices=(), speeds={}, crossed=()), fronts


def twice(point: FrontPoint) -> FrontPoint:
    """Return a network that takes twice as long."""
    latency = point.predicted["latency_ms"]
    slow = Interval(2 * latency.mean, 2 * latency.lower, 2 * latency.upper)
    return replace(point, predicted={**point.predicted, "latency_ms": slow})


def test_a_comparison_has_what_pick_gives_on_each_board(
    compared: tuple[ComparisonData, dict[str, Front]], search: SearchResult[Architecture]
) -> None:
    data, fronts = compared
    page = ComparisonPage(render_comparison(data))
    found = [json.loads(text) for text in page.data]
    told = next(one for one in found if isinstance(one, dict) and "runs" in one)
    assert [run["name"] for run in told["runs"]] == list(fronts)
    assert told["runs"][1]["command"][0] == "edgenas pick 'runs/slow board' --max-latency "
    for run in told["runs"]:
        for limit in limits(search):
            within = [one["network"] for one in run["choices"] if one["from"] <= limit]
            assert (within[-1] if within else None) == picked(fronts[run["name"]], limit)


@pytest.mark.slow
def test_in_a_browser_one_limit_asks_every_board(
    compared: tuple[ComparisonData, dict[str, Front]],
    search: SearchResult[Architecture],
    tmp_path: Path,
) -> None:
    data, fronts = compared
    path = tmp_path / "compared.html"
    path.write_text(render_comparison(data), "utf-8")
    with browser_or_skip(path) as page:
        for limit in limits(search):
            page.fill("#budget-limit", repr(limit))
            shown = page.locator(".budget-answer .net").all_text_contents()
            none = "No network of the frontier is within this limit."
            assert shown == [picked(front, limit) or none for front in fronts.values()]
        titles = page.locator(".budget-answer h4").all_text_contents()
        assert titles == list(fronts)
        assert barriers(page) == []


def test_a_limit_on_another_response_is_told_in_its_unit(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "it's a run")
    write_config(folder, RunConfig(), "0")
    networks = [TableRow(index, index + 1, {"op": str(index)}) for index in range(6)]
    flops = [1.5e6 + 1.7e6 * index for index in range(6)]
    points = tuple(
        Candidate.of(one, {"flops": Interval(x, 0.9 * x, 1.1 * x), "top1": Interval(y, y, y)})
        for one, x, y in zip(networks, flops, (50.0, 52.0, 51.0, 60.0, 61.0, 70.0), strict=True)
    )
    responses = (
        TableResponse("flops", "flops", "", "min", "flops", 6, 1.5e6, 1e7),
        TableResponse("top1", "top1", "%", "max", "top1", 6, 50.0, 70.0),
    )
    search = SearchResult("exact", 1, (), 0.9, points, points, True, 0.0, 6, 0.1)
    search = replace(search, objectives=("top1",), cost="flops", traded=("flops", "top1"))
    card = TableCard("board", "table", "", "", {}, 6, 6, 6, 6.0, {}, responses)
    write_json(folder.search, to_json(search))
    write_json(folder.table, to_json(card))
    offered = budgets(read_front(folder.path), "flops", "", lambda _: (), None)
    assert offered is not None
    document = budget.document({"board": offered}, {})
    assert (document["label"], document["unit"], document["limit"]) == ("Flops", "million", None)
    (run,) = document["runs"]
    assert len(run["choices"]) == 5  # the third is never the best
    for number in (1.5, 1.651, 3.6, 5.3, 7.26, 9.4, 12.0):
        limit = number * document["factor"]
        within = [one["network"] for one in run["choices"] if one["from"] <= limit]
        words = shlex.split(str(number).join(run["command"]))
        told = CliRunner().invoke(command_line, [*words[1:], "--json"])
        network = json.loads(told.output).get("network") if told.exit_code == 0 else None
        assert network == (within[-1] if within else None), told.output


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
            page.fill("#budget-limit", repr(limit))
            shown = page.text_content(".budget-answer .net")
            expected = picked(front, limit) or "No network of the frontier is within this limit."
            assert shown == expected, limit
        assert page.text_content(".budget-answer code").startswith(f"edgenas pick {front.run} ")
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
        before = page.input_value("#budget-limit")
        page.keyboard.press("ArrowLeft")
        assert float(page.input_value("#budget-limit")) < float(before)


@pytest.mark.slow
def test_in_a_browser_a_mark_tells_its_network_as_text_and_as_blocks(
    browser: Browser, interactive: ReportData
) -> None:
    marks = "#tradeoff .hero .drawn svg .mark-symbol path[aria-roledescription]"
    tips = [one["tip"] for one in tradeoff(interactive).specification["datasets"]["marks"]]
    by_name = {str(one.architecture): one.architecture for one in interactive.measurements}
    with browser as page:
        labels = page.locator(marks).evaluate_all(
            "all => all.map(one => one.getAttribute('aria-label'))"
        )
        assert sorted(labels) == sorted(tips)  # what is packed in the page is what it was
        assert page.is_hidden("#told")
        page.focus("#tradeoff .hero .plot")
        seen = set()
        for _ in range(12):
            page.keyboard.press("ArrowRight")
            text = page.text_content("#told")
            seen.add(text)
            assert text in tips and page.is_visible("#told")
            network = by_name.get(text.split("\n")[0])
            if network is not None:
                wide = page.locator("#told rect").evaluate_all(
                    "all => all.map(x => x.width.baseVal.value)"
                )
                kernels = [k for stage in network.stages for k in stage.kernel_sizes]
                assert [x / 2.5 for x in wide] == kernels
        assert len(seen) == 12
        page.keyboard.press("Escape")
        assert page.is_hidden("#told")
        page.locator(marks).nth(5).hover(force=True)
        page.wait_for_selector("#told.visible rect")
        page.fill("#budget-limit", "0.15")
        assert page.locator(".budget-answer .net rect").count() > 2
        assert browser.problems == [] and browser.requested == [browser.url]


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
        page.fill("#budget-limit", "0.15")
        assert browser.problems == [] and moved.count() == before
