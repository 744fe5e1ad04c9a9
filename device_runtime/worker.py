"""The process that holds models: one command a line on stdin, one answer a line on stdout.

Run by `process.Worker` as `python -m device_runtime.worker ENGINE THREADS AFFINITY ROOT`. Whatever
the engine does here (crash, hang, take all memory) is seen from outside and costs one model only.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, TextIO, Tuple

import numpy as np

from device_runtime import machine, sensors
from device_runtime.backends import base
from device_runtime.bench import Heartbeat, timed_runs
from device_runtime.inputs import random_values

_PR_SET_PDEATHSIG = 1
Shapes = Dict[str, List[int]]

_CHECK_RUNS = 3  # a second run may allocate what the first one did not


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends; elsewhere the closed stdin ends it."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def be_first_out_of_memory() -> None:
    """When memory runs out, this process shall be the one that the kernel ends."""
    with contextlib.suppress(OSError):  # no Linux, or not allowed: the kernel chooses by itself
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


class Models:
    """The models that this process has loaded, and what can be done with them.

    In all of it, `shapes` are those that were asked for, by input name.
    """

    def __init__(self, backend: Any, threads: int, root: Path, beat: Callable[[], None]) -> None:
        self._backend = backend
        self._threads = threads
        self._root = root
        self._beat = beat
        self._loaded: Dict[str, base.Session] = {}

    def check(self, path: str, shapes: Shapes) -> Dict[str, Any]:
        """Load and run the model; say what ran it and what memory that took."""
        before, _ = machine.memory_kept_bytes()
        session = self._load(path, shapes)
        for _ in range(_CHECK_RUNS):
            session.run()
        session.output()
        _, peak = machine.memory_kept_bytes()
        return {
            "provider": session.provider,
            "affinity": machine.affinity(),
            "rss_before_bytes": before,
            "peak_rss_bytes": peak,
        }

    def time(self, path: str, shapes: Shapes, keep: bool, **how: Any) -> Dict[str, Any]:
        """Return samples_ns, what was sensed around them, and the processor time of all of it.

        keep : the model stays loaded for the next pass.
        how : warmup_ms, run_ms, min_runs, max_runs of `bench.timed_runs`.
        """
        began_ns = time.process_time_ns()
        session = self._loaded.get(path) or self._load(path, shapes)
        if keep:
            self._loaded[path] = session
        seen: List[Tuple[Dict[str, Any], Dict[str, int]]] = []

        def look() -> None:
            seen.append((sensors.sense(self._root), sensors.waits_ns(self._root)))

        heartbeat = Heartbeat(self._beat)
        samples_ns = timed_runs(session.run, heartbeat.tick, warmed_up=look, **how)
        look()
        (before, first), (after, last) = seen
        return {
            "samples_ns": samples_ns,
            "before": before,
            "after": after,
            "waited_ns": sensors.waited_ns(first, last),
            "cpu_s": (time.process_time_ns() - began_ns) / 1e9,
        }

    def repeat(self, path: str, shapes: Shapes, seconds: float) -> Dict[str, Any]:
        """Run the model for so long; say when by `time.monotonic`, and how often."""
        session = self._loaded.get(path) or self._load(path, shapes)
        heartbeat = Heartbeat(self._beat)
        session.run()
        began, runs = time.monotonic(), 0
        while time.monotonic() < began + seconds:
            session.run()
            runs += 1
            heartbeat.tick(time.perf_counter_ns())
        return {"began": began, "ended": time.monotonic(), "runs": runs}

    def profile(self, path: str, shapes: Shapes, runs: int) -> Dict[str, Any]:
        """Return {"operators": […]}, each the fields of a `readings.Operator`."""
        profile = getattr(self._backend, "profile", None)
        if profile is None:
            name = self._backend.__name__.rpartition(".")[2]
            raise NotImplementedError(f"the engine {name} offers no timing by operator")
        return {"operators": profile(_told(path), self._threads, runs, shapes)}

    def infer(
        self,
        path: str,
        images: str,
        output: str,
        *,
        first: int,
        rows: int,
        mean: List[float],
        std: List[float],
    ) -> Dict[str, Any]:
        """Run the model on images `first` to `first + rows`; write their logits to `output`.

        mean, std : of `preprocess`; empty for inputs that are fed as they are.
        """
        session = self._loaded.get(path) or self._load(path, {})
        self._loaded[path] = session
        pixels = np.load(images, mmap_mode="r", allow_pickle=False)[first : first + rows]
        heartbeat = Heartbeat(self._beat)
        outputs = []
        for image in pixels:
            values = image[np.newaxis]
            session.bind(preprocess(values, mean, std) if mean else values)
            session.run()
            outputs.append(session.output().reshape(-1).copy())
            heartbeat.tick(time.perf_counter_ns())
        logits = np.stack(outputs)
        return {"classes": logits.shape[1], "sha256": _write_array(output, logits)}

    def _load(self, path: str, shapes: Shapes) -> base.Session:
        session: base.Session = self._backend.open_model(_told(path), self._threads)
        session.feed(random_values(session.inputs, shapes))
        return session


def _told(path: str) -> str:
    """Return a name of the file that engines take: one in UTF-8, by its folder where it is not."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        os.chdir(str(Path(path).parent))
        return Path(path).name
    return path


def preprocess(pixels: np.ndarray, mean: List[float], std: List[float]) -> np.ndarray:
    """Return (pixels / 255 - mean) / std per channel, float32, for uint8 [n, channels, h, w]."""
    means, stds = (np.asarray(v, np.float32)[:, np.newaxis, np.newaxis] for v in (mean, std))
    normalized: np.ndarray = (pixels.astype(np.float32) / np.float32(255) - means) / stds
    return normalized


def _write_array(path: str, values: np.ndarray) -> str:
    """Write `values` in one step and return the file's SHA-256."""
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    content = stream.getvalue()
    part = Path(f"{path}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return hashlib.sha256(content).hexdigest()


def serve(models: Models, answers: TextIO) -> None:
    """Answer the commands on stdin until it closes."""
    for line in sys.stdin:
        command = json.loads(line)
        do: Callable[..., Any] = getattr(models, command.pop("do"))
        try:
            answer = do(**command)
        except Exception as problem:  # noqa: BLE001 - engines raise types of their own
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        send(answers, answer)


def send(answers: TextIO, answer: Dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runtime, which ends this one
    die_with_parent()
    be_first_out_of_memory()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an engine prints is no answer
    engine, threads, cores, root = sys.argv[1:]
    try:
        if cores:
            os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
        backend = base.load(engine)
    except (ImportError, OSError, AttributeError) as problem:  # Attribute: no affinity on macOS
        sys.exit(f"the engine {engine} cannot start on cores {cores or 'all'}: {problem}")
    send(answers, {"engine_version": backend.version()})

    def beat() -> None:
        send(answers, {"alive": True})

    serve(Models(backend, int(threads), Path(root), beat), answers)


if __name__ == "__main__":
    main()
