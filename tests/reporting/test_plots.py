from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
import vl_convert
from PIL import Image

from edgenas.core.printable import printable
from edgenas.core.records import Interval
from edgenas.core.records.confusion import Confusion
from edgenas.reporting.plots import kinds, of_classes
from edgenas.reporting.plots.marks import Axes, span
from edgenas.reporting.plots.plot import Plot
from edgenas.reporting.words import numbers
from helpers.html_page import HOSTILE

MARKS = (
    kinds.Mark(Interval(1.0, 0.9, 1.1), Interval(90.0, 90.0, 90.0), "first <net>"),
    kinds.Mark(Interval(2.0, 1.8, 2.3), Interval(92.0, 91.0, 93.0), "second & net"),
    kinds.Mark(Interval(math.nan, 0.0, 1.0), Interval(92.0, 91.0, 93.0), "not a number"),
)


LABELS = ("Latency (ms)", "Accuracy (%)")


def small_tradeoff(marks: tuple[kinds.Mark, ...] = MARKS, limit: float = 1.5) -> Plot:
    series = (kinds.Series("board one", "known", marks, "here"),)
    frontier = ((1.0, 90.0), (2.0, 92.0))
    return kinds.tradeoff("t", series, frontier, limit=limit, labels=LABELS)


def domains(plot: Plot, axis: str) -> list[list[float]]:
    """Return from where to where each layer shows an axis."""
    found = []
    for layer in plot.specification["layer"]:
        scale = layer["encoding"].get(axis, {}).get("scale")
        if scale is not None:
            found.append(scale["domain"])
    return found


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
    far = kinds.Mark(Interval(400.0, 300.0, 500.0), Interval(60.0, 60.0, 60.0), "slow")
    near = kinds.Mark(Interval(0.2, -0.1, 0.5), Interval(20.0, 20.0, 20.0), "fast")
    words = texts(small_tradeoff((near, far)).svg(), "text")
    assert {"Latency (ms), logarithmic", "0.1", "10", "100"} <= set(words)
    assert texts(small_tradeoff((near, far)).svg(), "title") == ["fast", "slow"]
    none = kinds.Mark(Interval(0.0, 0.0, 0.0), Interval(20.0, 20.0, 20.0), "none")
    assert "Latency (ms)" in texts(small_tradeoff((none, far)).svg(), "text")


def test_svg_is_the_same_each_time_and_ids_carry_the_name() -> None:
    svg = small_tradeoff().svg()
    assert svg == small_tradeoff().svg()
    ids = [one.get("id") for one in ElementTree.fromstring(svg).iter() if one.get("id")]
    assert len(ids) == len(set(ids)) and all(str(name).startswith("t-") for name in ids)


def test_png_is_an_image_of_the_plot() -> None:
    small, large = (small_tradeoff().png(scale) for scale in (1, 2))
    images = [Image.open(io.BytesIO(content)) for content in (small, large)]
    assert all(image.format == "PNG" and image.text["Software"] == "edgenas" for image in images)
    assert images[0].width > 560
    assert images[1].width == pytest.approx(2 * images[0].width, abs=2)
    Image.open(io.BytesIO(large)).verify()  # every checksum


def test_plots_of_nothing_are_drawn_without_marks() -> None:
    assert texts(small_tradeoff(()).svg(), "title") == []
    assert texts(kinds.predicted_observed("p", (), ("x", "y")).svg(), "title") == []


def test_predicted_observed_axes_are_the_same() -> None:
    plot = kinds.predicted_observed("p", MARKS[:2], ("x", "y"))
    assert len({str(domain) for domain in domains(plot, "x") + domains(plot, "y")}) == 1


def test_rows_stand_in_order_under_their_groups() -> None:
    rows = [
        kinds.Row("a", Interval(1.0, 0.5, 1.5), "stage 1"),
        kinds.Row("b", Interval(-1.0, -1.5, 0.5), "stage 1"),
        kinds.Row("c", Interval(2.0, -math.inf, math.inf), "stage 2"),
        kinds.Row("d" * 60, Interval(math.nan, 0.0, 0.0), "stage 2"),
    ]
    svg = kinds.interval_rows("r", rows, "ms").svg()
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
    assert numbers.milliseconds(value) == shown


def test_other_formats() -> None:
    assert numbers.percent(0.97777, 360) == "97.8 %"
    assert numbers.percent(0.97777, 10000) == "97.78 %"
    assert numbers.percent(None) == numbers.MISSING
    assert numbers.storage(23_400_000) == "23.4 MB" and numbers.storage(None) == numbers.MISSING
    assert numbers.duration(252.3) == "4 min 12 s"
    assert numbers.with_bounds(Interval(1.834, 1.7512, 1.91)) == "1.83 [1.75, 1.91]"
    assert numbers.effect(Interval(0.412, 0.38, 0.44)) == "+0.41 [+0.38, +0.44]"
    assert numbers.least_sufficient(0.06612) == "0.0662 ms"
    assert numbers.p_value(0.0001) == "< 0.001" and numbers.compact(math.inf) == "∞"


def test_a_budget_far_off_does_not_press_the_networks_together() -> None:
    near, far = (small_tradeoff(limit=limit) for limit in (1.5, 500.0))
    assert "budget" in texts(near.svg(), "text")
    assert "budget \N{RIGHTWARDS ARROW}" in texts(far.svg(), "text")
    assert all(end < 10 for _, end in domains(far, "x"))


def expressions(compiled: object) -> Iterator[str]:
    """Yield each text of a compiled plot that Vega evaluates."""
    if isinstance(compiled, dict):
        for name, value in compiled.items():
            if name in ("signal", "update", "expr", "test", "init", "on") and isinstance(
                value, str
            ):
                yield value
            yield from expressions(value)
    elif isinstance(compiled, list):
        for value in compiled:
            yield from expressions(value)


def test_no_name_is_ever_evaluated() -> None:
    mark = kinds.Mark(Interval(1.0, 0.9, 1.1), Interval(90.0, 89.0, 91.0), HOSTILE, HOSTILE)
    series = (kinds.Series(HOSTILE, "winner", (mark,), HOSTILE),)
    plots = [
        kinds.tradeoff("t", series, (), limit=1, labels=(HOSTILE, HOSTILE), limit_text=HOSTILE),
        kinds.interval_rows("r", [kinds.Row(HOSTILE, mark.x, HOSTILE)], HOSTILE, bars=True),
        kinds.predicted_observed("p", [mark], (HOSTILE, HOSTILE), HOSTILE),
    ]
    found = Confusion(((0, 0, 5), (0, 1, 2), (1, 1, 7)))
    plots.append(of_classes.confusion(found, (HOSTILE, f"{HOSTILE} two")))
    for plot in plots:
        compiled = vl_convert.vegalite_to_vega(plot.specification)
        assert HOSTILE in json.dumps(compiled, ensure_ascii=False).replace('\\"', '"')
        evaluated = list(expressions(compiled))
        assert evaluated and not any("alert" in text for text in evaluated)
        assert "script" not in {one.tag for one in ElementTree.fromstring(plot.svg()).iter()}


@pytest.mark.parametrize("odd", ["\x1b[31m", "\0", "\ud800", "\u202e", "\ufffe"])
def test_what_no_plot_can_hold_is_shown_by_its_number(odd: str) -> None:
    """A control character made vl-convert end the process."""
    mark = kinds.Mark(Interval(1.0, 0.9, 1.1), Interval(90.0, 89.0, 91.0), odd, odd)
    series = (kinds.Series(odd, "winner", (mark,), odd),)
    plot = kinds.tradeoff("t", series, (), limit=1, labels=(odd, odd), limit_text=odd)
    assert odd not in plot.svg()
    assert printable(odd) in "".join(texts(plot.svg(), "title"))
    assert plot.png().startswith(b"\x89PNG")
    json.dumps(plot.specification, ensure_ascii=False).encode()


def test_a_plot_shows_itself_in_a_notebook() -> None:
    axes = Axes(span("x", [1, 2]), span("y", [3, 4]), 100, 100)
    axes.line([(1, 3), (2, 4)], "#000000")
    shown = Plot("p", axes.chart())._repr_mimebundle_()
    assert shown["image/svg+xml"].startswith("<svg")
