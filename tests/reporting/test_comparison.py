"""The comparison of boards: in words, and as a page that loads nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from edgenas.core.records import Interval
from edgenas.reporting.compared import ComparisonData
from edgenas.reporting.pages.comparison import render
from edgenas.reporting.words.comparison import differences, headline, speeds
from helpers.comparison_sample import KERNEL, comparison
from helpers.html_page import HOSTILE, Page


class ComparisonPage(Page):
    first_heading = "The winners side by side"


@pytest.fixture(scope="module")
def data() -> ComparisonData:
    return comparison()


@pytest.fixture(scope="module")
def html(data: ComparisonData) -> str:
    return render(data)


def test_only_the_choice_that_differs_beyond_speed_is_named(data: ComparisonData) -> None:
    (text,) = differences(data)
    assert text.startswith("Kernel 5 instead of 3 in one block of stage 2 costs 4.0 times (")
    assert "as much on odd board as on pi 4, where a whole network takes 1.4 times" in text


def test_the_dearer_board_is_named_first(data: ComparisonData) -> None:
    faster = Interval(0.25, 0.24, 0.26)
    choice = next(one for one in data.choices if one.change == KERNEL)
    choice = replace(choice, ratios={"odd board": Interval(0.1, 0.08, 0.125)})
    turned = replace(data, speeds={"odd board": faster}, choices=(choice,))
    assert speeds(turned)[0].startswith(
        "The same network typically takes 4.00 times (3.85 to 4.17) as long on pi 4 as on odd board"
    )
    (text,) = differences(turned)
    assert "costs 10 times (8 to 12) as much on pi 4 as on odd board" in text
    assert "a whole network takes 4.0 times as long" in text


def test_a_choice_that_saves_says_so(data: ComparisonData) -> None:
    saves = next(one for one in data.choices if one.effects["pi 4"].mean < 0)
    saves = replace(saves, ratios={"pi 3": Interval(9.0, 8.0, 10.0)})
    (text,) = differences(replace(data, choices=(saves,)))
    assert "saves 9.0 times" in text


def test_opposite_signs_are_two_effects_and_no_ratio(data: ComparisonData) -> None:
    choice = replace(
        data.choices[0],
        effects={**data.choices[0].effects, "pi 3": Interval(-0.04, -0.05, -0.03)},
        ratios={"pi 3": Interval(-2.0, -3.0, -1.0)},
    )
    (text,) = differences(replace(data, choices=(choice,)))
    assert "ms on pi 4, but \N{MINUS SIGN}0.040" in text
    assert "times" not in text


def test_the_headline_counts_the_boards(data: ComparisonData) -> None:
    assert headline(data) == "Failed: passed on 3 of 4 boards"
    assert headline(replace(data, failed={})) == "Passed on all 3 boards"
    assert headline(replace(data, failed={}, boards=data.boards[:2])) == "Passed on both boards"
    assert headline(replace(data, boards=())) == "Failed: passed on 0 of 1 boards"


def test_the_page_loads_nothing_and_links_each_report(html: str, data: ComparisonData) -> None:
    page = ComparisonPage(html)
    assert page.loaded == [] or all(one.startswith("#") for one in page.loaded)
    assert page.only_own_scripts_run()
    assert len(page.ids) == len(set(page.ids))
    for board in data.boards:
        assert board.report in page.links
    assert "nano cannot be reached" in page.first_screen
    assert page.tags.count("svg") == 3


def test_a_winner_over_another_boards_budget_is_marked(html: str) -> None:
    table = html[html.index("Each winner on the other boards") :]
    assert "over its budget" not in table[: table.index("</table>")]
    data = comparison()
    slow = replace(data.crossed[0], latency_ms={b.target: Interval(9, 8, 10) for b in data.boards})
    html = render(replace(data, crossed=(slow,)))
    assert html.count("over its budget</span>") == 3


def test_names_from_boards_and_files_are_only_text(data: ComparisonData) -> None:
    boards = tuple(replace(board, target=HOSTILE + board.target) for board in data.boards)
    hostile = replace(
        data, run=HOSTILE, boards=boards, failed={HOSTILE: HOSTILE}, choices=(), speeds={}
    )
    assert ComparisonPage(render(replace(hostile, crossed=()))).only_own_scripts_run()


def test_nothing_to_compare_is_said(data: ComparisonData) -> None:
    one = replace(data, boards=data.boards[:1], choices=(), speeds={}, crossed=())
    assert "fewer than two boards" in render(one)
    none = render(replace(one, boards=(), failed={"a": "It is off."}))
    assert "No board could be measured" in none
    assert re.search(r"<li>a: It is off\.</li>", none)
