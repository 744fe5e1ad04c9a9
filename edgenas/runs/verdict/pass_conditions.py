"""How the target was while it measured, pass by pass, as the journals of the run's jobs tell."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

from device_runtime import protocol
from edgenas.core.files.inside import is_plain_file
from edgenas.core.files.run_folder import RunFolder
from edgenas.reporting.document import PassCondition

_MOST_BYTES = 2**26  # of all journals: a report is not worth the time to read more
_PASS = b'"type":"pass"'


def read(folder: RunFolder) -> tuple[PassCondition, ...]:
    """Return the passes of the measuring jobs in their order; none where journals are not kept."""
    paths = [p for p in folder.jobs.glob("measure-*/*/journal.jsonl") if is_plain_file(p)]
    conditions: list[PassCondition] = []
    left = _MOST_BYTES
    for job, path in enumerate(sorted(paths, key=lambda one: one.lstat().st_mtime)):
        left -= path.lstat().st_size
        if left < 0:
            break
        conditions += _passes(job, path)
    return tuple(conditions)


def _passes(job: int, path: Path) -> list[PassCondition]:
    conditions = []
    with path.open("rb") as stream:
        for line in stream:
            if _PASS not in line:
                continue
            try:
                record = protocol.parse_record(line.decode("utf-8").rstrip("\n"))
            except (UnicodeDecodeError, protocol.ProtocolError):
                break  # what follows a damaged line is not used either
            if isinstance(record, protocol.PassEnded):
                celsius = _number(record.after.get("temperature_celsius"))
                clocks = record.after.get("frequency_mhz")
                conditions.append(PassCondition(job, record.index + 1, celsius, _mean(clocks)))
    return conditions


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _mean(clocks: Any) -> float | None:
    """Return the mean clock of the cores that tell theirs."""
    values = clocks.values() if isinstance(clocks, dict) else clocks
    known = [one for one in map(_number, values or ()) if one is not None]
    return fmean(known) if known else None
