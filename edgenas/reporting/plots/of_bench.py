"""The plot of a benchmark: the latency of each model file, by target and engine."""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.core.records import BenchRow, Interval
from edgenas.reporting.plots.kinds import Row, interval_rows
from edgenas.reporting.plots.plot import Plot


def latencies(rows: Sequence[BenchRow]) -> Plot | None:
    """Draw the medians with their intervals, those of a model together; None without any."""
    timed = [row for row in rows if row.median_ms is not None]
    if not timed:
        return None
    models = list(dict.fromkeys(row.model for row in timed))
    drawn = [
        Row(f"{row.target}, {row.engine}", _interval(row), model)
        for model in models
        for row in timed
        if row.model == model
    ]
    return interval_rows("bench", drawn, "Latency (ms)", bars=True)


def _interval(row: BenchRow) -> Interval:
    assert row.median_ms is not None
    return row.latency_ms or Interval(row.median_ms, row.median_ms, row.median_ms)
