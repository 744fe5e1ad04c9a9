"""Where the measured networks are many and where few: options, by stage, as a heat map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import altair as alt

from edgenas.core.counted import counted
from edgenas.core.records import Architecture
from edgenas.reporting.document import ReportData
from edgenas.reporting.plots.plot import BLUE, INK, ORANGE, PAPER, Plot, shade

FEW = 4  # networks: fewer tell an option's effect hardly apart from noise
_DARK, _PALE = 0.5, 0.6  # shares of a colour: from which a number is white; of a cell of few
_INPUT = "input"


def design(data: ReportData) -> Plot | None:
    """Draw how many measured networks have each option, a row a stage; few are orange.

    Options are those of any network of the run, so that one that was never measured counts none.
    None where nothing was measured.
    """
    networks = [m.architecture for m in data.measurements if m.outcome.latency is not None]
    if not networks:
        return None
    times = Counter(pair for network in networks for pair in set(_options(network)))
    known = {pair for network in _all(data) for pair in _options(network)}
    rows = list(dict.fromkeys(row for row, _ in sorted(known, key=_by_row)))
    columns = list(dict.fromkeys(option for _, option in sorted(known, key=_by_option)))
    records = []
    for row, option in sorted(known, key=_by_row):
        count = times[row, option]
        share = count / len(networks)
        few = count < FEW
        records.append(
            {
                "row": row,
                "option": option,
                "count": count,
                "shade": shade(_PALE if few else share, ORANGE if few else BLUE),
                "ink": PAPER if not few and share >= _DARK else INK,
                "tip": f"{row}, {option}: {count} of {counted(len(networks), 'measured network')}",
            }
        )
    # an array for `sort` would put names into an expression
    tilted = alt.Axis(labelAngle=-45, labelOverlap=False)
    across = alt.X("option:N", scale=alt.Scale(domain=columns), title="option", axis=tilted)
    up = alt.Y("row:N", scale=alt.Scale(domain=rows), title=None)
    base = alt.Chart(alt.InlineData(values=records)).properties(
        width=max(300, 34 * len(columns)), height=max(90, 28 * len(rows))
    )
    cells = base.mark_rect().encode(
        across, up, alt.Color("shade:N", scale=None), tooltip="tip:N", description="tip:N"
    )
    counts = base.mark_text(fontSize=11).encode(
        across, up, text="count:Q", color=alt.Color("ink:N", scale=None)
    )
    return Plot("design", alt.LayerChart(layer=[cells, counts]))


def _all(data: ReportData) -> Iterator[Architecture]:
    yield from (measurement.architecture for measurement in data.measurements)
    yield from (evaluation.architecture for evaluation in data.evaluations)
    yield from (candidate.predicted.architecture for candidate in data.candidates)
    if data.search:
        yield from (point.architecture for point in data.search.frontier)


def _options(network: Architecture) -> Iterable[tuple[str, str]]:
    """Yield the options of a network: the row that each belongs to, and its name."""
    yield _INPUT, f"{network.resolution} px"
    for number, stage in enumerate(network.stages, start=1):
        yield f"stage {number}", f"blocks {stage.depth}"
        for name, options in stage.choices.items():
            for option in options:
                yield f"stage {number}", f"{name.replace('_', ' ')} {option}"


def _by_row(pair: tuple[str, str]) -> tuple[int, tuple[str, float, str]]:
    row, option = pair
    return (0 if row == _INPUT else int(row.split()[-1])), _option_order(option)


def _by_option(pair: tuple[str, str]) -> tuple[str, float, str]:
    return _option_order(pair[1])


def _option_order(option: str) -> tuple[str, float, str]:
    """Return what sorts options by their choice, and those of one choice by their number."""
    choice, _, value = option.removesuffix(" px").rpartition(" ")
    try:
        return choice, float(value), ""
    except ValueError:
        return choice, 0.0, value
