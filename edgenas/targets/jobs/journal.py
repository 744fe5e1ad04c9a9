"""Following a journal while the runtime writes it: records in order, progress, outcomes."""

from __future__ import annotations

import math
from typing import Any

from device_runtime.protocol import Job, ProtocolError, RecordReader
from device_runtime.summary import JobState
from edgenas.core.errors import MeasurementError
from edgenas.core.progress import Task
from edgenas.core.records import Energy, Latency, Outcome

_MOST_MB = 256.0
TITLES = {"measure": "Measuring", "infer": "Running images", "profile": "Timing operators"}


class Follower:
    """Takes a journal's bytes as they come, from `offset` on, in pieces of any size.

    most_mb : length of a journal, its last line too, beyond which it is refused.
    """

    def __init__(self, job: Job, target: str, source: str, most_mb: float = _MOST_MB) -> None:
        self.state = JobState(job)
        self.offset = 0
        self._target = target
        self._source = source
        self._line = 0
        self._reader = RecordReader()
        self._most_mb = most_mb

    def feed(self, content: bytes) -> int:
        """Take the whole lines of `content`; return how many records they were.

        A line without its end is left for the next time: a restarted runtime may cut it off.

        Raises
        ------
        MeasurementError : a line is not a valid record of this job, or the journal is too long.
        """
        if self.offset + len(content) > 1e6 * self._most_mb:
            raise MeasurementError(
                f"The journal of target '{self._target}' is longer than {self._most_mb:g} MB.",
                "If that is right, say more in the target file: [limits] journal_mb = …",
            )
        whole = content.rfind(b"\n") + 1
        lines = content[:whole].split(b"\n")[:-1]
        for line in lines:
            self._line += 1
            try:
                self.state.apply(self._reader.read(line.decode("utf-8")))
            except (UnicodeDecodeError, ProtocolError) as problem:
                raise self._error(str(problem)) from problem
        self.offset += whole
        return len(lines)

    def _error(self, what: str) -> MeasurementError:
        return MeasurementError(
            f"The journal of target '{self._target}' cannot be used, line {self._line}: {what}.",
            f"Remove {self._source} to measure again.",
        )


def stalled(target: str, seconds: float) -> MeasurementError:
    """Return the error of a job at work whose journal has had nothing new for `seconds`."""
    return MeasurementError(
        f"Target '{target}' is at work, and its journal has had nothing new for {seconds:g} s.",
        "What was finished is kept: run the same command again with --resume. Where models take so "
        "long, say more in the target file: [limits] stalled_s = …",
    )


class Bar:
    """Draws a job's state on a progress task whose total is the number of models or images."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._shown = 0.0
        self._counts = (0, 0)

    def show(self, state: JobState) -> None:
        """Advance to `state`; a model counts in full once it needs no further pass."""
        self._task.note(_note(state))
        finished = len(state.passes) + len(state.inferred) + len(state.profiled)
        counts = (finished, len(state.failed))
        if counts == self._counts:
            return  # nothing to work out beside a running pass
        self._counts = counts
        done = {"measure": _measured, "infer": _inferred, "profile": _profiled}[state.job.kind](
            state
        )
        if done > self._shown:
            self._task.advance(done - self._shown)
            self._shown = done


def _inferred(state: JobState) -> float:
    return float(sum(part.rows for part in state.inferred))


def _profiled(state: JobState) -> float:
    return float(len(state.profiled) + len(state.failed))


def _measured(state: JobState) -> float:
    unfinished = state.unfinished()
    passes = state.job.settings.max_passes
    shares = (len(state.timed_in(key)) / passes for key in unfinished)
    return len(state.job.keys) - len(unfinished) + sum(shares)


def _note(state: JobState) -> str:
    known = len(state.checked) + sum(f.stage == "check" for f in state.failed.values())
    if known < len(state.job.keys):
        return f"checked {known} of {len(state.job.keys)}"
    return f"pass {len(state.passes) + 1}, {len(state.failed)} failed"


def outcome(state: JobState, key: str) -> Outcome:
    """Return what the journal says of the model `key`, as a record."""
    started, checked = state.started, state.checked.get(key)
    failed, summary = state.failed.get(key), state.latency(key)
    reason = f"{failed.stage}: {failed.reason}" if failed else ""
    if not reason and state.job.kind == "measure" and summary is None:
        reason = "the target gave no times"
    latency = None
    if summary is not None and not reason:
        latency = Latency(
            summary.median_ms,
            summary.p90_ms,
            summary.ci95_ms if math.isfinite(summary.ci95_ms[1]) else None,
            state.samples_ns(key),
            summary.drift,
            summary.converged,
            tuple(
                (index, reasons[key])
                for index, reasons in enumerate(state.rejected)
                if key in reasons
            ),
            state.stands_on_rejected(key),
        )
    return Outcome(
        status="failed" if reason else "ok",
        reason=reason,
        engine=state.job.engine,
        engine_version=started.engine_version if started else "",
        provider=checked.provider if checked else "",
        environment=_environment(state, key),
        latency=latency,
        peak_rss_bytes=checked.peak_rss_bytes if checked else None,
        energy=None if reason else _energy(state, key),
    )


def _energy(state: JobState, key: str) -> Energy | None:
    summary = state.energy(key)
    if summary is None:
        return None
    powered = state.powered[key]
    return Energy(
        summary.energy_mj,
        summary.ci95_mj,
        summary.active_mw,
        summary.idle_mw,
        powered.sensor,
        powered.seconds,
        powered.runs,
    )


def _environment(state: JobState, key: str) -> dict[str, Any]:
    checked, ends = state.checked.get(key), state.pass_ends
    return {
        "machine": state.started.machine if state.started else {},
        "threads": state.job.threads,
        "affinity": list(checked.affinity) if checked else [],
        "before": ends[0].before if ends else {},
        "after": ends[-1].after if ends else {},
        "passes": len(ends),
        "restarts": max(0, state.restarts),
        "ended": state.ended.why if state.ended else "stopped",
    }
