"""measure: what chosen networks cost on the target. Adds to store.sqlite, of a table to
looked_up.json."""

from __future__ import annotations

from edgenas.runs.run import RunContext


def run(context: RunContext) -> int:
    """Measure until `samples` networks are; return how many were missing.

    Raises
    ------
    ExportError : the pre-check finds what the engine will not compute in int8.
    MeasurementError : not one network could be measured; the message has the first reason.
    """
    source = context.source
    missing, known = source.plan()
    if known:
        context.reuse(f"{known} of {known + len(missing)} {source.rows_name}")
    source.measure(missing)
    return len(missing)
