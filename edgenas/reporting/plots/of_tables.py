"""The plots of one table predictor: shares of columns, what a number does, and a row's parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from edgenas.core.records import Interval
from edgenas.reporting.plots.kinds import Row, interval_rows, row_axes
from edgenas.reporting.plots.marks import Axes, span
from edgenas.reporting.plots.plot import BLUE, GREY, INK, MUTED, ORANGE, PAPER, Plot, shade

MOST_SHARES = 15
PALE = 0.25  # of its colour that a cell has whose effect may be none
DARK = 0.6  # share of the greatest effect from which blue is too dark for dark digits


def shares(importance: Sequence[dict[str, Any]], response: str) -> Plot:
    """Draw the share of the variance of the predictions that each column makes, with intervals.

    importance : of the report of `tables.effects.explanation`.
    """
    rows = [
        Row(
            " with ".join(share["columns"]),
            Interval(*(100 * share[name] for name in ("share", "lower", "upper"))),
        )
        for share in list(importance)[:MOST_SHARES]
    ]
    label = f"share of the variance of predicted {response} (%)"
    return interval_rows("shares", rows, label, bars=True, colour=BLUE)


def curve(
    effect_curve: dict[str, Any], response: str, effects_in: str, name: str = "curve"
) -> Plot:
    """Draw what a number does to the response, with its band; ticks are tenths of the rows."""
    records = [
        {"x": x, "y_lower": lower, "y_upper": upper}
        for x, lower, upper in zip(
            effect_curve["x"], effect_curve["lower"], effect_curve["upper"], strict=True
        )
    ]
    axes = Axes(
        span(effect_curve["column"], effect_curve["x"]),
        span(
            f"{response}, against the lowest ({effects_in})",
            [*effect_curve["lower"], *effect_curve["upper"]],
        ),
        360,
        250,
    )
    axes.area(records, BLUE, 0.2)
    axes.line(list(zip(effect_curve["x"], effect_curve["effect"], strict=True)), BLUE)
    axes.feet([{"x": at} for at in effect_curve["deciles"]], GREY)
    return Plot(name, axes.chart())


def together(pair: dict[str, Any], response: str, effects_in: str, name: str = "together") -> Plot:
    """Draw what two columns do beyond what each does alone: orange raises the response, blue lowers
    it; a cell is pale and its number grey where its interval has 0 in it."""
    first, second = ([_written(x) for x in values] for values in pair["values"])
    greatest = max(abs(x) for row in pair["effect"] for x in row) or 1.0
    decimals = max(0, 1 - math.floor(math.log10(greatest)))  # two digits of the greatest
    records = []
    for i, above in enumerate(first):
        for j, beside in enumerate(second):
            effect, lower, upper = (pair[name][i][j] for name in ("effect", "lower", "upper"))
            certain = not lower <= 0 <= upper
            share = effect / greatest * (1 if certain else PALE)
            told = f"{effect:+.3g} {effects_in} ({lower:+.3g} to {upper:+.3g})"
            records.append(
                {
                    "first": above,
                    "second": beside,
                    "text": _signed(effect, decimals),
                    "shade": shade(abs(share), ORANGE if effect > 0 else BLUE),
                    "ink": _ink(share, certain),
                    "tip": f"{above} and {beside}: {told}",
                }
            )
    # an array for `sort` would put names into an expression
    order_across, order_up = alt.Scale(domain=second), alt.Scale(domain=first[::-1])
    level = alt.Axis(labelAngle=0)
    across = alt.X("second:N", scale=order_across, title=pair["columns"][1], axis=level)
    up = alt.Y("first:N", scale=order_up, title=pair["columns"][0])
    base = alt.Chart(alt.InlineData(values=records)).properties(
        width=max(260, 62 * len(second)),
        height=max(140, 32 * len(first)),
        title=alt.Title(
            f"{response}: both together beyond each alone ({effects_in})",
            fontSize=12,
            fontWeight="normal",
            color=INK,
            anchor="start",
        ),
    )
    cells = base.mark_rect().encode(
        across, up, alt.Color("shade:N", scale=None), tooltip="tip:N", description="tip:N"
    )
    numbers = base.mark_text(fontSize=11).encode(
        across, up, text="text:N", color=alt.Color("ink:N", scale=None)
    )
    return Plot(name, alt.LayerChart(layer=[cells, numbers]))


def _signed(effect: float, decimals: int) -> str:
    """Return an effect with its sign; "0" of one that has no digit there."""
    text = f"{effect:+.{decimals}f}"
    return text if text.strip("+-0.") else "0"


def _ink(share: float, certain: bool) -> str:
    """Return the colour of a number on a cell of that share of the greatest effect."""
    if share < -DARK:
        return PAPER
    return INK if certain else MUTED


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.5g}"


def waterfall(told: dict[str, Any], response: str) -> Plot:
    """Draw what each part adds, or multiplies, from the start to the prediction."""
    reached = told["start"]
    records = []
    for at, part in enumerate(told["parts"]):
        before = reached
        reached = reached * part["adds"] if told["multiplied"] else reached + part["adds"]
        colour = ORANGE if reached > before else BLUE
        tip = f"{part['column']}: from {before:.4g} to {reached:.4g}"
        place = {"x_lower": before, "x_upper": reached, "y": at}
        records.append({**place, "colour": colour, "opacity": 1.0, "tip": tip})
    label = f"{response}, from {told['start']:.4g} to {told['prediction']:.4g}"
    ends = [told["start"], *(record["x_upper"] for record in records)]
    axes = row_axes(label, ends, len(records))
    axes.at_x(told["start"], GREY)
    axes.across_bars(records, 12, tips=True)
    axes.at_x(reached, INK)
    axes.labels([{"y": i, "text": part["column"]} for i, part in enumerate(told["parts"])])
    return Plot("waterfall", axes.chart())
