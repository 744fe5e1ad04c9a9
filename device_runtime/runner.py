"""Does a job: checks each model in a fresh process, then times all in interleaved passes."""

from __future__ import annotations

import hashlib
import random
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np

from device_runtime import machine, power
from device_runtime.journal import Journal
from device_runtime.process import StopSwitch, Worker, WorkerDiedError, WorkerError
from device_runtime.protocol import (
    IMAGES_FILE,
    MAX_RUNS,
    MODELS_FOLDER,
    VERSION,
    Checked,
    Ended,
    Failed,
    Images,
    Inferred,
    Job,
    PassEnded,
    Record,
    Started,
    Timed,
    logits_file,
)
from device_runtime.readings import Operator, Powered, Profiled, Sensed
from device_runtime.summary import JobState

ANCHOR_EVERY = 8  # models of a pass between two timings of the anchor
IMAGES_AT_ONCE = 500  # what a crash can cost an infer job
_BLOCK_BYTES = 1 << 20
_IDLE_S = 2.0
_LEAST_POWER_S, _MOST_POWER_S = 1.0, 4.0  # of one model
_MEMORY_SHARE = 0.5  # of the available memory, that models kept loaded may take together


class Runner:
    """One job in its folder, gone on with from whatever its journal holds.

    root : where /proc and /sys are looked for.
    """

    def __init__(
        self,
        job: Job,
        folder: Path,
        journal: Journal,
        stop: StopSwitch,
        root: Path = machine.ROOT,
    ) -> None:
        self._root = root
        self._own_cpu_s = 0.0
        self._job = job
        self._folder = folder
        self._journal = journal
        self._stop = stop
        self._state = JobState(job)
        for record in journal.records:
            self._state.apply(record)
        self._worker: Optional[Worker] = None

    def run(self) -> None:
        """Do what is left of the job.

        Raises
        ------
        StopRequested : asked to stop; the journal holds all finished work.
        WorkerError : the engine itself does not start.
        """
        if self._state.ended:
            return
        try:
            version = self._spare().ready()
            self._append(
                Started(VERSION, self._job.job_id, self._job.engine, version, machine.describe())
            )
            work = {"infer": self._infer, "measure": self._measure, "profile": self._profile}
            self._append(Ended(work[self._job.kind]()))
        finally:
            self._drop()

    def _append(self, record: Record) -> None:
        self._journal.append(record)
        self._state.apply(record)

    def _spare(self) -> Worker:
        """Return the worker that has no models yet, or start one."""
        if self._worker is None or self._worker.gone:
            self._drop()
            self._worker = Worker(self._job, self._stop, self._root)
        return self._worker

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.close()
        self._worker = None

    def _path(self, key: str) -> str:
        return str(self._folder / MODELS_FOLDER / key)

    def _shapes(self, key: str) -> Dict[str, Tuple[int, ...]]:
        return next(m.shapes or {} for m in self._job.models if m.key == key)

    # ------------------------------------------------------------ checks

    def _check_models(self) -> None:
        state = self._state
        todo = [
            m for m in self._job.models if m.key not in state.checked and m.key not in state.failed
        ]
        for model in todo:
            worker, self._worker = self._spare(), None
            self._spare()  # its imports run beside this check
            try:
                self._append(self._check(model.key, model.sha256, worker))
            finally:
                worker.close()

    def _check(self, key: str, sha256: str, worker: Worker) -> Record:
        started = time.monotonic()
        problem = _wrong_file(Path(self._path(key)), sha256)
        if problem:
            return Failed(key, "check", problem)
        try:
            answer = worker.ask(do="check", path=self._path(key), shapes=self._shapes(key))
        except WorkerError as failure:
            return Failed(key, "check", str(failure))
        answer["affinity"] = tuple(answer["affinity"])
        return Checked(key=key, seconds=time.monotonic() - started, **answer)

    # ------------------------------------------------------------ passes

    def _measure(self) -> str:
        self._check_models()
        why = self._passes()
        self._power_pass()
        return why

    def _passes(self) -> str:
        keep = self._all_fit()
        while True:
            todo = self._state.unfinished()
            if not todo:
                return "finished"
            ends = self._state.pass_ends
            # the first pass is always whole, a later one starts only if it is likely to fit
            if ends and self._state.spent_s + ends[-1].seconds > self._job.settings.budget_s:
                return "budget"
            self._pass(todo, len(ends), keep)

    def _pass(self, todo: List[str], index: int, keep: bool) -> None:
        before = machine.state(root=self._root)
        started, own, self._own_cpu_s = time.monotonic(), time.process_time(), 0.0
        for key in self._order(todo, index):
            if key not in self._state.failed:
                self._append(self._time(key, index, keep))
        seconds, own_cpu_s = time.monotonic() - started, time.process_time() - own + self._own_cpu_s
        after = machine.state(root=self._root)
        self._append(PassEnded(index, seconds, before, after, own_cpu_s))

    def _order(self, todo: List[str], index: int) -> List[str]:
        """Return the keys of a pass: shuffled by seed and pass, the anchor at even distances."""
        settings = self._job.settings
        shuffled = [key for key in todo if key != settings.anchor]
        random.Random(f"{settings.seed}:{index}").shuffle(shuffled)
        if settings.anchor is None or settings.anchor in self._state.failed:
            return shuffled
        order = [settings.anchor]
        for start in range(0, len(shuffled), ANCHOR_EVERY):
            order += [*shuffled[start : start + ANCHOR_EVERY], settings.anchor]
        return order

    def _time(self, key: str, index: int, keep: bool) -> Record:
        settings = self._job.settings
        runs = self._state.runs.get(key)
        command = {
            "do": "time",
            "path": self._path(key),
            "shapes": self._shapes(key),
            "warmup_ms": settings.warmup_ms,
            "run_ms": 0.0 if runs else settings.run_ms,
            "min_runs": runs or settings.min_runs,
            "max_runs": MAX_RUNS,
        }
        try:
            try:
                answer = self._spare().ask(keep=keep, **command)
            except WorkerDiedError:  # perhaps by the fault of another model: once more, alone
                answer = self._spare().ask(keep=False, **command)
        except WorkerError as failure:
            return Failed(key, "timing", str(failure))
        self._own_cpu_s += answer["cpu_s"]
        return Timed(
            index,
            key,
            tuple(answer["samples_ns"]),
            Sensed(**answer["before"]),
            Sensed(**answer["after"]),
            answer["waited_ns"],
        )

    def _all_fit(self) -> bool:
        """Return whether all models can stay loaded in one worker."""
        available = machine.state()["available_memory_bytes"]
        grown = [
            record.peak_rss_bytes - record.rss_before_bytes
            for record in self._state.checked.values()
            if record.peak_rss_bytes is not None and record.rss_before_bytes is not None
        ]
        known = len(grown) == len(self._state.checked) and available is not None
        return known and sum(grown) < _MEMORY_SHARE * available

    # ------------------------------------------------------------ energy

    def _power_pass(self) -> None:
        """Sample power while one model after another runs, where there is a sensor."""
        state, limit_s = self._state, self._job.settings.energy_s
        keys = [k for k in self._job.keys if k not in state.failed and k not in state.powered]
        each_s = min(_MOST_POWER_S, (limit_s - _IDLE_S) / max(1, len(self._job.keys)))
        sensor = power.find(self._root) if keys and each_s > 0 else None
        if sensor is None:
            return
        worker = self._spare()
        worker.ready()
        idle_mw = self._idle_mw(sensor)
        # a share of a second tells too little: then only the first models are sampled
        for key in keys[: int((limit_s - _IDLE_S) / max(each_s, _LEAST_POWER_S))]:
            with power.Sampler(sensor) as sampler:
                try:
                    answer = self._spare().ask(
                        do="repeat",
                        path=self._path(key),
                        shapes=self._shapes(key),
                        seconds=max(each_s, _LEAST_POWER_S),
                    )
                except WorkerError:  # its latency stands; its energy is missing
                    continue
            active_mw = sampler.between(answer["began"], answer["ended"])
            seconds = answer["ended"] - answer["began"]
            self._append(
                Powered(key, sensor.name, seconds, answer["runs"], tuple(active_mw), idle_mw)
            )

    def _idle_mw(self, sensor: power.Sensor) -> Tuple[float, ...]:
        began = time.monotonic()
        with power.Sampler(sensor) as sampler:
            while time.monotonic() < began + _IDLE_S:
                self._stop.check()
                time.sleep(power.EVERY_S)
        return tuple(sampler.between(began, time.monotonic()))

    # ------------------------------------------------------------ operators

    def _profile(self) -> str:
        self._check_models()
        for key in self._job.keys:
            if key not in self._state.failed and key not in self._state.profiled:
                self._append(self._operators(key))
        return "finished"

    def _operators(self, key: str) -> Record:
        runs = self._job.settings.min_runs
        try:
            answer = self._spare().ask(
                do="profile", path=self._path(key), shapes=self._shapes(key), runs=runs
            )
        except WorkerError as failure:
            return Failed(key, "profile", str(failure))
        return Profiled(key, runs, tuple(Operator(**fields) for fields in answer["operators"]))

    # ------------------------------------------------------------ inference

    def _infer(self) -> str:
        self._check_models()
        model, images = self._job.models[0], self._job.images
        assert images is not None  # a Job is checked when it is made
        path = self._folder / IMAGES_FILE
        problem = _wrong_file(path, images.sha256)
        if problem and model.key not in self._state.failed:
            self._append(Failed(model.key, "infer", problem))
        while model.key not in self._state.failed:
            first = sum(part.rows for part in self._state.inferred)
            rows = min(IMAGES_AT_ONCE, len(np.load(path, mmap_mode="r")) - first)
            if rows <= 0:
                break
            self._append(self._logits(model.key, images, first, rows))
        return "finished"

    def _logits(self, key: str, images: Images, first: int, rows: int) -> Record:
        try:
            answer = self._spare().ask(
                do="infer",
                path=self._path(key),
                images=str(self._folder / IMAGES_FILE),
                first=first,
                rows=rows,
                mean=images.mean,
                std=images.std,
                output=str(self._folder / logits_file(first)),
            )
        except WorkerError as failure:
            return Failed(key, "infer", str(failure))
        return Inferred(key, first, rows, answer["classes"], answer["sha256"])


def _wrong_file(path: Path, sha256: str) -> str:
    """Return what is wrong with a file of the job; empty if it is the right one."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            for block in iter(lambda: stream.read(_BLOCK_BYTES), b""):
                digest.update(block)
    except OSError as problem:
        return f"{path.name} cannot be read: {problem.strerror}"
    if digest.hexdigest() != sha256:
        return f"{path.name} is not the file that was sent: its SHA-256 differs"
    return ""
