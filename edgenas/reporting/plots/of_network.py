"""A network drawn to scale: block after block, high where its tensors have many channels."""

from __future__ import annotations

from typing import Any

import altair as alt

from edgenas.reporting.document import DrawnBlock, DrawnNetwork
from edgenas.reporting.plots.plot import INK, MUTED, ORANGE, Plot
from edgenas.reporting.words import numbers

# What blocks can be coloured by: its name on the page, and the field of `DrawnBlock`.
MEASURES = {
    "milliseconds": "ms",
    "int8 noise": "noise",
    "multiply-accumulates": "macs",
    "bytes of the model": "model_bytes",
}
BLOCKS = "blocks"  # the dataset that the page replaces
_WIDTH, _HEIGHT = 700, 190
_GAP = 0.6  # between blocks, in pixels of a kernel
_PALEST = "#fdf3dc"


def network(drawn_network: DrawnNetwork) -> Plot:
    """Draw a network, coloured by the first measure that is known of it."""
    measure = next(name for name in MEASURES if shares(drawn_network, name))
    x = alt.X("start:Q", axis=None, scale=alt.Scale(nice=False, zero=False))
    y = alt.Y("low:Q", axis=None, scale=alt.Scale(nice=False))
    blocks = alt.Chart(alt.NamedData(name=BLOCKS))
    colour = alt.Color(
        "share:Q",
        scale=alt.Scale(range=[_PALEST, ORANGE]),
        legend=alt.Legend(
            title="share of the network, %",
            titleFontWeight="normal",
            titleFontSize=11.5,
            titleLimit=260,
            direction="horizontal",
            gradientLength=140,
            gradientThickness=9,
        ),
    )
    told: dict[str, Any] = {"tooltip": "tip:N", "description": "tip:N"}
    drawn = blocks.mark_rect(stroke=MUTED, strokeWidth=0.8).encode(
        x=x, x2="end", y=y, y2="high", color=colour, **told
    )
    named = blocks.mark_text(baseline="top", dy=6, color=INK, fontSize=11, aria=False).encode(
        x=alt.X("middle:Q"), y=alt.value(_HEIGHT), text="stage:N"
    )
    chart = alt.layer(drawn, named).properties(
        width=_WIDTH, height=_HEIGHT, datasets={BLOCKS: records(drawn_network, measure)}
    )
    return Plot("network", chart)


def shares(drawn_network: DrawnNetwork, measure: str) -> list[float]:
    """Return the percentage of a measure that each block has; nothing where it is not known.

    Of milliseconds and noise the blocks of the stem and the head may be unknown: these have 0.
    """
    values = [getattr(block, MEASURES[measure]) for block in drawn_network.blocks]
    known = [max(0.0, float(value)) for value in values if value is not None]
    total = sum(known)
    if not total:
        return []
    return [0.0 if value is None else 100 * max(0.0, float(value)) / total for value in values]


def records(drawn_network: DrawnNetwork, measure: str) -> list[dict[str, Any]]:
    """Return one record for each tensor pair of each block: as wide as its kernel, in pixels."""
    boxes: list[dict[str, Any]] = []
    at, stage = 0.0, None
    for block, share in zip(drawn_network.blocks, shares(drawn_network, measure), strict=True):
        wide = max(block.widths)
        end = at + block.kernel_size
        boxes.append(
            {
                "start": at,
                "end": end,
                "middle": (at + end) / 2,
                "low": -wide / 2,
                "high": wide / 2,
                "share": round(share, 3),
                "stage": "" if block.stage == stage or block.stage < 0 else str(block.stage + 1),
                "tip": _tip(block, share, measure),
            }
        )
        at, stage = end + _GAP, block.stage
    return boxes


def _tip(block: DrawnBlock, share: float, measure: str) -> str:
    value = getattr(block, MEASURES[measure])
    known = "not known" if value is None else f"{share:.1f} %"
    widths = " \N{RIGHTWARDS ARROW} ".join(map(str, block.widths))
    return (
        f"{block.label}\n{block.kernel_size} x {block.kernel_size} kernel, channels {widths}, "
        f"{block.size} x {block.size} px\n{measure}: {known}\n"
        f"{block.macs:,} multiply-accumulates, {numbers.storage(block.model_bytes)}"
    )
