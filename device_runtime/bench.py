"""Timed runs of one loaded model."""

from __future__ import annotations

import gc
import time
from typing import Callable, List


class Heartbeat:
    """Calls `beat` at most once a second, from between two runs, never from within one."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._next_ns = time.perf_counter_ns() + 10**9

    def tick(self, now_ns: int) -> None:
        if now_ns >= self._next_ns:
            self._beat()
            self._next_ns = now_ns + 10**9


def timed_runs(
    run: Callable[[], None],
    heartbeat: Callable[[int], None],
    *,
    warmup_ms: float,
    run_ms: float,
    min_runs: int,
    max_runs: int,
    warmed_up: Callable[[], None] = lambda: None,
) -> List[int]:
    """Return the times of single runs in nanoseconds.

    Warms up for `warmup_ms` (one run at least), then times runs for `run_ms`, but at least
    `min_runs` and at most `max_runs`. Calls `warmed_up` in between.
    """
    clock = time.perf_counter_ns
    samples: List[int] = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        end = clock() + int(warmup_ms * 1e6)
        while True:
            run()
            now = clock()
            heartbeat(now)
            if now >= end:
                break
        warmed_up()
        end = clock() + int(run_ms * 1e6)
        while len(samples) < max_runs:
            start = clock()
            run()
            now = clock()
            samples.append(now - start)
            heartbeat(now)
            if now >= end and len(samples) >= min_runs:
                break
    finally:
        if collecting:
            gc.enable()
    return samples
