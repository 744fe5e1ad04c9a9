"""What a worker reads right before and after timed runs: few files, and no program is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional

from device_runtime import machine

_CPU_FIELD = 36  # of /proc/self/stat behind the name in brackets: the core last run on


def sense(root: Path = machine.ROOT) -> Dict[str, Any]:
    """Return the fields of `readings.Sensed`; /proc and /sys are looked for below `root`."""
    return {
        "mhz": _own_mhz(root),
        "celsius": machine.temperature_celsius(root),
        "throttle_flags": machine.firmware_flags(root),
    }


def waits_ns(root: Path = machine.ROOT) -> Dict[str, int]:
    """Return how long each thread of this process was ready to run and had no core, so far.

    From schedstat's second field (Linux, Documentation/scheduler/sched-stats.rst).
    """
    waits = {}
    for path in root.glob("proc/self/task/*/schedstat"):
        fields = (machine.text(path) or "").split()
        if len(fields) == 3 and fields[1].isdigit():
            waits[path.parent.name] = int(fields[1])
    return waits


def waited_ns(first: Dict[str, int], last: Dict[str, int]) -> Optional[int]:
    """Return how long all threads together waited between two `waits_ns`; None if not known."""
    if not last:
        return None
    return sum(max(0, total - first.get(thread, 0)) for thread, total in last.items())


def _own_mhz(root: Path) -> Optional[float]:
    """The clock of the core that this process is on; without one, the highest of all."""
    fields = (machine.text(root / "proc/self/stat") or "").rpartition(")")[2].split()
    if len(fields) > _CPU_FIELD:
        path = root / machine.CPU / f"cpu{fields[_CPU_FIELD]}" / "cpufreq" / "scaling_cur_freq"
        khz = machine.number(machine.text(path))
        return khz / 1e3 if khz else None
    return max(machine.scaled_mhz(root), default=None)
