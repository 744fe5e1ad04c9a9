from __future__ import annotations

import io
import math
from xml.etree import ElementTree

import pytest
from PIL import Image

from edgenas.records import Interval
from edgenas.reporting import formats, plots

MARKS = (
    plots.Mark(Interval(1.0, 0.9, 1.1), Interval(90.0, 90.0, 90.0), "first <net>"),
    plots.Mark(Interval(2.0, 1.8, 2.3), Interval(92.0, 91.0, 93.0), "second & net"),
    plots.Mark(Interval(math.nan, 0.0, 1.0), Interval(92.0, 91.0, 93.0), "not a number"),
)


LABELS = ("Latency (ms)", "Accuracy (%)")


def small_tradeoff(marks: tuple[plots.Mark, ...] = MARKS, limit: float = 1.5) -> plots.Plot:
    series = (plots.Series("board one", "known", marks, "here"),)
    frontier = ((1.0, 90.0), (2.0, 92.0))
    return plots.tradeoff("t", series, frontier, limit=limit, labels=LABELS)


def texts(svg: str, tag: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [one.text or "" for one in root.iter(f"{{http://www.w3.org/2000/svg}}{tag}")]


def test_svg_keeps_text_and_tells_marks_on_hover() -> None:
    svg = small_tradeoff().svg()
    assert {"Latency (ms)", "Accuracy (%)", "budget", "board one", "here"} <= set(
        texts(svg, "text")
    )
    assert texts(svg, "title") == ["first <net>", "second & net"]


def test_latencies_far_apart_stand_on_a_logarithmic_axis() -> None:
    far = plots.Mark(Interval(400.0, 300.0, 500.0), Interval(60.0, 60.0, 60.0), "slow")
    near = plots.Mark(Interval(0.2, -0.1, 0.5), Interval(20.0, 20.0, 20.0), "fast")
    words = texts(small_tradeoff((near, far)).svg(), "text")
    assert {"Latency (ms), logarithmic", "0.1", "10", "100"} <= set(words)
    assert texts(small_tradeoff((near, far)).svg(), "title") == ["fast", "slow"]
    none = plots.Mark(Interval(0.0, 0.0, 0.0), Interval(20.0, 20.0, 20.0), "none")
    assert "Latency (ms)" in texts(small_tradeoff((none, far)).svg(), "text")


def test_svg_is_the_same_each_time_and_ids_carry_the_name() -> None:
    svg = small_tradeoff().svg()
    assert svg == small_tradeoff().svg()
    ids = [one.get("id") for one in ElementTree.fromstring(svg).iter() if one.get("id")]
    assert len(ids) == len(set(ids)) and all(str(name).startswith("t-") for name in ids)


def test_png_is_an_image_of_the_plot() -> None:
    image = Image.open(io.BytesIO(small_tradeoff().png(dpi=100)))
    assert image.format == "PNG" and image.size == (580, 410)


def test_plots_of_nothing_are_drawn_without_marks() -> None:
    assert texts(small_tradeoff(()).svg(), "title") == []
    assert texts(plots.predicted_observed("p", (), ("x", "y")).svg(), "title") == []


def test_predicted_observed_axes_are_the_same() -> None:
    axes = plots.predicted_observed("p", MARKS[:2], ("x", "y")).axes
    assert axes.get_xlim() == axes.get_ylim()


def test_rows_stand_in_order_under_their_groups() -> None:
    rows = [
        plots.Row("a", Interval(1.0, 0.5, 1.5), "stage 1"),
        plots.Row("b", Interval(-1.0, -1.5, 0.5), "stage 1"),
        plots.Row("c", Interval(2.0, -math.inf, math.inf), "stage 2"),
        plots.Row("d" * 60, Interval(math.nan, 0.0, 0.0), "stage 2"),
    ]
    svg = plots.interval_rows("r", rows, "ms").svg()
    shown = texts(svg, "text")
    assert [text for text in shown if text.startswith("stage")] == ["stage 1", "stage 2"]
    assert {"a", "b", "c"} <= set(shown) and "d" * 60 not in shown
    assert len(texts(svg, "title")) == 3


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.18249, "0.182 ms"),
        (1.8349, "1.83 ms"),
        (12.34, "12.3 ms"),
        (1234.4, "1,234 ms"),
        (0.99961, "1.00 ms"),
        (0.0, "0.00 ms"),
        (None, "not measured"),
        (math.nan, "not measured"),
    ],
)
def test_latencies_have_three_significant_digits(value: float | None, shown: str) -> None:
    assert formats.milliseconds(value) == shown


def test_other_formats() -> None:
    assert formats.percent(0.97777, 360) == "97.8 %"
    assert formats.percent(0.97777, 10000) == "97.78 %"
    assert formats.percent(None) == formats.MISSING
    assert formats.storage(23_400_000) == "23.4 MB" and formats.storage(None) == formats.MISSING
    assert formats.duration(252.3) == "4 min 12 s"
    assert formats.with_bounds(Interval(1.834, 1.7512, 1.91)) == "1.83 [1.75, 1.91]"
    assert formats.effect(Interval(0.412, 0.38, 0.44)) == "+0.41 [+0.38, +0.44]"
    assert formats.least_sufficient(0.06612) == "0.0662 ms"
    assert formats.p_value(0.0001) == "< 0.001" and formats.compact(math.inf) == "∞"


def test_a_budget_far_off_does_not_press_the_networks_together() -> None:
    near, far = (small_tradeoff(limit=limit) for limit in (1.5, 500.0))
    assert "budget" in texts(near.svg(), "text")
    assert "budget \N{RIGHTWARDS ARROW}" in texts(far.svg(), "text")
    with far.drawing() as axes:
        assert axes.get_xlim()[1] < 10
