"""From raw samples to numbers: what a journal adds up to, and when a model is measured enough.

Host and runtime share this, so that both stop for the same reason and count the same passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from device_runtime.protocol import (
    VERSION,
    Checked,
    Ended,
    Failed,
    Inferred,
    Job,
    PassEnded,
    ProtocolError,
    Record,
    Settings,
    Started,
    Timed,
)

# Student's t, 97.5 %, for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2)
_T975 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


def t975(degrees_of_freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t, never below the true one by more than 0.001."""
    if degrees_of_freedom <= len(_T975):
        return _T975[degrees_of_freedom - 1]
    return 1.96 + 2.5 / degrees_of_freedom


@dataclass(frozen=True)
class LatencySummary:
    """Latency of one model over its passes; see `edgenas.records.Latency` for each field."""

    median_ms: float
    p90_ms: float
    ci95_ms: Tuple[float, float]
    drift: Tuple[float, ...]
    converged: bool


def summarise(
    samples_ns: Sequence[Sequence[int]], drift: Sequence[float], settings: Settings
) -> LatencySummary:
    """Return the summary of one model.

    samples_ns : one sequence a pass, nanoseconds. drift : one factor a pass; samples are divided
    by it. The interval is the median +- t s / sqrt(n), s the standard deviation of the n passes'
    medians: samples within a pass share its conditions, so passes are what is independent.
    """
    normalised = [np.asarray(samples_ns[i], float) / drift[i] / 1e6 for i in range(len(drift))]
    together = np.concatenate(normalised)
    median_ms = float(np.median(together))
    medians = [float(np.median(samples)) for samples in normalised]
    half = _half_width(medians)
    enough = len(medians) >= settings.min_passes
    return LatencySummary(
        median_ms,
        float(np.quantile(together, 0.9)),
        (median_ms - half, median_ms + half),
        tuple(drift),
        enough and half <= settings.relative_ci * median_ms,
    )


def _half_width(medians: Sequence[float]) -> float:
    if len(medians) < 2:
        return math.inf
    deviation = float(np.std(medians, ddof=1))
    return t975(len(medians) - 1) * deviation / math.sqrt(len(medians))


class JobState:
    """What a journal says so far; `apply` takes its records in order.

    passes : one a finished pass: key -> samples in nanoseconds.
    runs : key -> how often one timing runs the model, as its first timing did.
    spent_s : device time in checks and finished passes.
    restarts : how often the runtime was started again.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.started: Optional[Started] = None
        self.restarts = -1
        self.ended: Optional[Ended] = None
        self._forget()

    def _forget(self) -> None:
        self.checked: Dict[str, Checked] = {}
        self.failed: Dict[str, Failed] = {}
        self.passes: List[Dict[str, Tuple[int, ...]]] = []
        self.pass_ends: List[PassEnded] = []
        self.inferred: List[Inferred] = []
        self.spent_s = 0.0
        self.runs: Dict[str, int] = {}
        self._open: Dict[str, Tuple[int, ...]] = {}

    def apply(self, record: Record) -> None:
        """Take one record; `ProtocolError` if it cannot follow on what came before."""
        if isinstance(record, Started) and self.ended is None:
            self._apply_started(record)
            return
        if self.started is None or self.ended is not None:
            raise ProtocolError("a record stands before the start or after the end of the job")
        key = getattr(record, "key", None)
        if key is not None and key not in self.job.keys:
            raise ProtocolError(f"{key!r} is not a model of the job")
        if isinstance(record, Checked):
            self.checked[record.key] = record
            self.spent_s += record.seconds
        elif isinstance(record, Failed):
            self.failed[record.key] = record
        elif isinstance(record, Timed):
            self._apply_timed(record)
        elif isinstance(record, PassEnded):
            self._apply_pass(record)
        elif isinstance(record, Inferred):
            self._apply_inferred(record)
        elif isinstance(record, Ended):
            self.ended = record

    def _apply_started(self, record: Started) -> None:
        if record.version != VERSION:
            raise ProtocolError(f"version is {record.version}, this side speaks {VERSION}")
        if record.job != self.job.job_id:
            raise ProtocolError("the journal belongs to another job")
        if record.engine != self.job.engine:
            raise ProtocolError(f"{record.engine!r} is not the engine of the job")
        if self.started is not None and _identity(record) != _identity(self.started):
            self._forget()  # another machine or engine version: its passes do not mix with these
        self.started = record
        self.restarts += 1
        self._open = {}  # a pass that was cut short is measured again as a whole

    def _apply_timed(self, record: Timed) -> None:
        if record.index != len(self.passes):
            raise ProtocolError(f"a time of pass {record.index} came in pass {len(self.passes)}")
        known = self._open.get(record.key, ())
        if known and record.key != self.job.settings.anchor:
            raise ProtocolError(f"{record.key!r} was timed twice in pass {record.index}")
        self._open[record.key] = known + record.samples_ns
        self.runs.setdefault(record.key, len(record.samples_ns))

    def _apply_pass(self, record: PassEnded) -> None:
        if record.index != len(self.passes):
            raise ProtocolError(f"pass {record.index} ended in pass {len(self.passes)}")
        self.passes.append(self._open)
        self.pass_ends.append(record)
        self.spent_s += record.seconds
        self._open = {}

    def _apply_inferred(self, record: Inferred) -> None:
        done = self.inferred
        if record.first != sum(part.rows for part in done):
            raise ProtocolError(f"logits from image {record.first} on do not follow on the others")
        if done and record.classes != done[0].classes:
            raise ProtocolError("the number of classes changes between images")
        done.append(record)

    def samples_ns(self, key: str) -> Tuple[Tuple[int, ...], ...]:
        """Return the samples of the passes that timed `key`, in nanoseconds."""
        return tuple(timed[key] for timed in self.passes if key in timed)

    def drift(self) -> List[float]:
        """Return, per pass, the anchor's median over its median of all passes; 1.0 without one."""
        anchor = self.job.settings.anchor
        medians = [
            float(np.median(timed[anchor])) if anchor in timed else None for timed in self.passes
        ]
        known = [median for median in medians if median is not None]
        usual = float(np.median(known)) if known else 1.0
        return [1.0 if median is None else median / usual for median in medians]

    def latency(
        self, key: str, drift: Optional[Sequence[float]] = None
    ) -> Optional[LatencySummary]:
        """Return the summary of `key`, None before its first pass has ended.

        The anchor's own times stay as they are: divided by its drift they would have no spread.
        """
        factors = self.drift() if drift is None else drift
        if key == self.job.settings.anchor:
            factors = [1.0] * len(self.passes)
        own = [factors[i] for i, timed in enumerate(self.passes) if key in timed]
        return summarise(self.samples_ns(key), own, self.job.settings) if own else None

    def unfinished(self) -> List[str]:
        """Return the keys that need another pass: not failed, not narrow enough, passes left."""
        drift = self.drift()
        keys = []
        for key in self.job.keys:
            summary = None if key in self.failed else self.latency(key, drift)
            full = summary is not None and len(summary.drift) >= self.job.settings.max_passes
            if key not in self.failed and not full and not (summary and summary.converged):
                keys.append(key)
        return keys


def _identity(started: Started) -> Tuple[str, Dict[str, Any]]:
    """What must not change between the passes of one job."""
    fixed = {name: value for name, value in started.machine.items() if name != "memory_bytes"}
    return started.engine_version, fixed
