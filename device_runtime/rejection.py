"""Which timings do not count, and why: read from what was recorded around them.

Runtime and host share this, so that both leave out the same ones. A reason begins with its kind:
throttled, clock, heat or busy. What the machine does not tell rejects nothing.
"""

from __future__ import annotations

import statistics
from typing import Any, Dict, Iterable, List, Optional, Sequence

import numpy as np

from device_runtime.protocol import Job, PassEnded, Timed

_COOL_CELSIUS = 1.0  # above the coolest pass: as cool as it
_WARM_CELSIUS = 3.0  # above the coolest pass: it got warmer
_TICK_S = 0.01  # what the kernel counts work in, a core


def rejections(
    job: Job, cores: int, passes: Sequence[Sequence[Timed]], ends: Sequence[PassEnded]
) -> List[Dict[str, str]]:
    """Return, for each finished pass, key -> reason of the timings in it that do not count."""
    usual_mhz = _usual_mhz(passes)
    heat = _heat(job, passes, ends)
    found = []
    for index, end in enumerate(ends):
        timings = passes[index]
        whole = _throttled(end) or heat[index] or _others(job, cores, end)
        by_key: Dict[str, List[Timed]] = {}
        for timed in timings:
            by_key.setdefault(timed.key, []).append(timed)
        reasons = {}
        for key, own in by_key.items():
            reason = whole or _flagged(own) or _clock(job, usual_mhz, own) or _waited(job, own)
            if reason:
                reasons[key] = reason
        found.append(reasons)
    return found


def _throttled(end: PassEnded) -> str:
    before, after = _flags(end.before), _flags(end.after)
    now = [flag for flag in (*before, *after) if flag.endswith(" now")]
    new = [flag for flag in after if flag not in before and flag.endswith(" before")]
    if now or new:
        return f"throttled: {', '.join(dict.fromkeys(now or new))}"
    first, last = _number(end.before, "throttle_count"), _number(end.after, "throttle_count")
    if first is not None and last is not None and last > first:
        return f"throttled: heat slowed the cores {last - first:g} times during the pass"
    return ""


def _flagged(own: Iterable[Timed]) -> str:
    flags = [
        flag
        for sensed in _sensed(own)
        for flag in sensed.throttle_flags or ()
        if flag.endswith(" now")
    ]
    return f"throttled: {', '.join(dict.fromkeys(flags))}" if flags else ""


def _clock(job: Job, usual_mhz: Optional[float], own: Iterable[Timed]) -> str:
    """Reject what ran at another clock than most of the job."""
    if usual_mhz is None:
        return ""
    for sensed in _sensed(own):
        if sensed.mhz is not None and _differ(sensed.mhz, usual_mhz, job.settings.clock_tolerance):
            return f"clock: {sensed.mhz:.0f} MHz, usually {usual_mhz:.0f}"
    return ""


def _differ(value: float, usual: float, tolerance: float) -> bool:
    return abs(value / usual - 1) > tolerance


def _usual_mhz(passes: Iterable[Iterable[Timed]]) -> Optional[float]:
    clocks = [
        sensed.mhz for timings in passes for sensed in _sensed(timings) if sensed.mhz is not None
    ]
    return statistics.median(clocks) if clocks else None


def _heat(job: Job, passes: Sequence[Sequence[Timed]], ends: Sequence[PassEnded]) -> List[str]:
    """Reject passes that are warmer, and in which the anchor is slower, than the coolest ones."""
    celsius = [_number(end.after, "temperature_celsius") for end in ends]
    medians = [_anchor_ns(job, passes[index]) for index in range(len(ends))]
    coolest = min((c for c in celsius if c is not None), default=0.0)
    cool = [i for i, c in enumerate(celsius) if c is not None and c <= coolest + _COOL_CELSIUS]
    cool_ns = [median for median in (medians[index] for index in cool) if median is not None]
    reasons = [""] * len(ends)
    for index, now in enumerate(celsius):
        median = medians[index]
        if now is None or median is None or not cool_ns or now < coolest + _WARM_CELSIUS:
            continue
        ratio = median / statistics.median(cool_ns)
        if ratio > 1 + job.settings.heat_tolerance:
            reasons[index] = (
                f"heat: the anchor takes {ratio:.2f} times as long at {now:g} as at {coolest:g} °C"
            )
    return reasons


def _anchor_ns(job: Job, timings: Iterable[Timed]) -> Optional[float]:
    samples = [s for timed in timings if timed.key == job.settings.anchor for s in timed.samples_ns]
    return float(np.median(samples)) if samples else None


def _others(job: Job, cores: int, end: PassEnded) -> str:
    """Reject a pass in which others used cores that the job's threads need."""
    before, after = _numbers(end.before, "busy_s"), _numbers(end.after, "busy_s")
    if not before or len(before) != len(after) or end.own_cpu_s is None or end.seconds <= 0:
        return ""
    used = job.affinity or range(min(cores, len(before)))
    busy_s = sum(after[core] - before[core] for core in used if core < len(before))
    others = (busy_s - end.own_cpu_s) / end.seconds
    allowed = len(used) - job.threads * (1 - job.settings.busy_tolerance)
    if others > allowed + len(used) * _TICK_S / end.seconds:
        every = f"{len(used)} core{'s' * (len(used) > 1)}"
        return f"busy: other processes used {others:.1f} of {every}"
    return ""


def _waited(job: Job, own: Sequence[Timed]) -> str:
    """Reject a timing in which the worker stood in line for a core."""
    known = [timed.waited_ns for timed in own if timed.waited_ns is not None]
    share = sum(known) / (job.threads * sum(sum(timed.samples_ns) for timed in own))
    if share > job.settings.busy_tolerance:
        return f"busy: waited for a core for {share:.0%} of the time"
    return ""


def _sensed(timings: Iterable[Timed]) -> List[Any]:
    return [
        sensed for timed in timings for sensed in (timed.before, timed.after) if sensed is not None
    ]


def _number(state: Dict[str, Any], name: str) -> Optional[float]:
    value = state.get(name)
    return float(value) if isinstance(value, (int, float)) else None


def _numbers(state: Dict[str, Any], name: str) -> List[float]:
    values = state.get(name)
    if not isinstance(values, list) or not all(isinstance(v, (int, float)) for v in values):
        return []
    return [float(value) for value in values]


def _flags(state: Dict[str, Any]) -> List[str]:
    values = state.get("throttle_flags")
    if not isinstance(values, list):
        return []
    return [value for value in values if isinstance(value, str)]
