"""From raw samples to numbers: what a journal adds up to, and when a model is measured enough.

Host and runtime share this, so that both stop for the same reason and count the same passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from device_runtime import energy, rejection
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
from device_runtime.readings import Powered, Profiled
from device_runtime.student import t975

_LEAST_GOOD = 2  # passes: one has no spread


@dataclass(frozen=True)
class LatencySummary:
    """Latency of one model over its passes; see `edgenas.core.records.Latency` for each field."""

    median_ms: float
    p90_ms: float
    ci95_ms: Tuple[float, float]
    drift: Tuple[float, ...]
    converged: bool
    narrow: bool


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
    narrow = half <= settings.relative_ci * median_ms
    return LatencySummary(
        median_ms,
        float(np.quantile(together, 0.9)),
        (median_ms - half, median_ms + half),
        tuple(drift),
        enough and narrow,
        narrow,
    )


def _half_width(medians: Sequence[float]) -> float:
    if len(medians) < 2:
        return math.inf
    deviation = float(np.std(medians, ddof=1))
    return t975(len(medians) - 1) * deviation / math.sqrt(len(medians))


class JobState:
    """What a journal says so far; `apply` takes its records in order.

    passes : one a finished pass: key -> samples in nanoseconds, rejected ones too.
    rejected : one a finished pass: key -> why its samples do not count.
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
        self.rejected: List[Dict[str, str]] = []
        self.pass_ends: List[PassEnded] = []
        self.inferred: List[Inferred] = []
        self.profiled: Dict[str, Profiled] = {}
        self.powered: Dict[str, Powered] = {}
        self.spent_s = 0.0
        self._rows = 0
        self.runs: Dict[str, int] = {}
        self._timings: List[List[Timed]] = [[]]

    @property
    def steps(self) -> int:
        """How much of the job is done, in records that add to it."""
        models = len(self.checked) + len(self.failed) + len(self.profiled) + len(self.powered)
        return models + len(self.passes) + len(self._timings[-1]) + len(self.inferred)

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
        elif isinstance(record, Profiled):
            self.profiled[record.key] = record
        elif isinstance(record, Powered):
            self.powered[record.key] = record
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
        self._timings[-1] = []  # a pass that was cut short is measured again as a whole

    def _apply_timed(self, record: Timed) -> None:
        if record.index != len(self.passes):
            raise ProtocolError(f"a time of pass {record.index} came in pass {len(self.passes)}")
        again = any(timed.key == record.key for timed in self._timings[-1])
        if again and record.key != self.job.settings.anchor:
            raise ProtocolError(f"{record.key!r} was timed twice in pass {record.index}")
        if len(self._timings[-1]) > 2 * len(self.job.keys):  # each once, and the anchor between
            raise ProtocolError(f"pass {record.index} has more times than the job has models")
        self._timings[-1].append(record)
        self.runs.setdefault(record.key, len(record.samples_ns))

    def _apply_pass(self, record: PassEnded) -> None:
        if record.index != len(self.passes):
            raise ProtocolError(f"pass {record.index} ended in pass {len(self.passes)}")
        if len(self.passes) >= self.job.settings.max_passes * len(self.job.keys):
            raise ProtocolError(f"pass {record.index} is more than the job asks for")
        samples: Dict[str, Tuple[int, ...]] = {}
        for timed in self._timings[-1]:
            samples[timed.key] = samples.get(timed.key, ()) + timed.samples_ns
        self.passes.append(samples)
        self.pass_ends.append(record)
        self.spent_s += record.seconds
        self.rejected = rejection.rejections(self.job, self._cores, self._timings, self.pass_ends)
        self._timings.append([])

    def _apply_inferred(self, record: Inferred) -> None:
        done = self.inferred
        if record.first != self._rows:
            raise ProtocolError(f"logits from image {record.first} on do not follow on the others")
        if done and record.classes != done[0].classes:
            raise ProtocolError("the number of classes changes between images")
        done.append(record)
        self._rows += record.rows

    @property
    def _cores(self) -> int:
        cores = self.started.machine.get("cores") if self.started else None
        return cores if type(cores) is int and cores > 0 else 1

    def timed_in(self, key: str) -> List[int]:
        """Return the passes that timed `key`, rejected ones too."""
        return [index for index, timed in enumerate(self.passes) if key in timed]

    def counted(self, key: str) -> List[int]:
        """Return the passes that count for `key`: all if fewer than two of them are good."""
        timed = self.timed_in(key)
        good = [index for index in timed if key not in self.rejected[index]]
        return good if len(good) >= _LEAST_GOOD else timed

    def stands_on_rejected(self, key: str) -> bool:
        """Return whether rejected passes had to count for `key`."""
        return any(key in self.rejected[index] for index in self.counted(key))

    def samples_ns(self, key: str) -> Tuple[Tuple[int, ...], ...]:
        """Return the samples of the passes that count for `key`, in nanoseconds."""
        return tuple(self.passes[index][key] for index in self.counted(key))

    def drift(self) -> List[float]:
        """Return, per pass, the anchor's median over its usual one; 1.0 without an anchor.

        Usual is the median of the anchor's medians in the passes that count for it.
        """
        anchor = self.job.settings.anchor
        medians = [
            float(np.median(timed[anchor])) if anchor in timed else None for timed in self.passes
        ]
        counted = [] if anchor is None else [medians[index] for index in self.counted(anchor)]
        known = [median for median in counted if median is not None]
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
        own = [factors[index] for index in self.counted(key)]
        if not own:
            return None
        summary = summarise(self.samples_ns(key), own, self.job.settings)
        return replace(summary, converged=summary.converged and not self.stands_on_rejected(key))

    def energy(self, key: str) -> Optional[energy.EnergySummary]:
        """Return the energy of an inference of `key`, None where it was not measured."""
        powered = self.powered.get(key)
        return None if powered is None else energy.summarise(powered)

    def unfinished(self) -> List[str]:
        """Return the keys that need another pass: not failed, not narrow enough, passes left."""
        drift = self.drift()
        return [key for key in self.job.keys if key not in self.failed and self._lacks(key, drift)]

    def _lacks(self, key: str, drift: Sequence[float]) -> bool:
        """Return whether another pass may still help `key`.

        After `min_passes` rejected ones the machine is taken to be always so.
        """
        settings, timed = self.job.settings, self.timed_in(key)
        summary = self.latency(key, drift)
        if summary is None:
            return True
        if len(timed) >= settings.max_passes or summary.converged:
            return False
        rejected = sum(key in self.rejected[index] for index in timed)
        return not (summary.narrow and rejected >= settings.min_passes)


def _identity(started: Started) -> Tuple[str, Dict[str, Any]]:
    """What must not change between the passes of one job."""
    fixed = {name: value for name, value in started.machine.items() if name != "memory_bytes"}
    return started.engine_version, fixed
