"""The confusion matrix of a network: images of a class in a row, answers in the columns."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from edgenas.core.records.confusion import Confusion
from edgenas.reporting.plots.plot import BLUE, INK, PAPER, Plot, shade

MOST_CLASSES = 30  # drawn: of more the least accurate ones
_CELL, _FEWEST_PIXELS = 26, 300
_DARK = 0.5  # share of a row from which a number is written in white


def confusion(counted: Confusion, names: Sequence[str]) -> Plot:
    """Draw how many images of each class got which answer; a cell's shade is its share of the row.

    names : of the classes. Of more than thirty classes the least accurate ones are drawn.
    """
    worst = [row.name for row in counted.worst_first(names)][:MOST_CLASSES]
    shown = [name for name in names if name in worst]
    totals = {row.name: row.n_images for row in counted.worst_first(names)}
    records = [
        {
            "true": names[label],
            "answer": names[answer],
            "count": count,
            "shade": shade(count / totals[names[label]], BLUE),
            "ink": PAPER if count / totals[names[label]] >= _DARK else INK,
            "tip": f"{names[label]}: {count} of {totals[names[label]]} taken for {names[answer]}",
        }
        for label, answer, count in counted.counts
        if names[label] in shown and names[answer] in shown
    ]
    side = max(_FEWEST_PIXELS, _CELL * len(shown))
    order = alt.Scale(domain=shown)  # an array for `sort` would put names into an expression
    tilted = alt.Axis(labelAngle=-45, labelOverlap=False)
    across = alt.X("answer:N", scale=order, title="answer", axis=tilted)
    up = alt.Y("true:N", scale=order, title="class", axis=alt.Axis(labelOverlap=False))
    base = alt.Chart(alt.InlineData(values=records)).properties(width=side, height=side)
    cells = base.mark_rect().encode(
        across, up, alt.Color("shade:N", scale=None), tooltip="tip:N", description="tip:N"
    )
    counts = base.mark_text(fontSize=11).encode(
        across, up, text="count:Q", color=alt.Color("ink:N", scale=None)
    )
    return Plot("confusion", alt.LayerChart(layer=[cells, counts]))
