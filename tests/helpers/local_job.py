"""A job of scripted models on this machine, and what its processes are doing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgenas.targets.jobs import job as jobs
from edgenas.targets.local import LocalTarget
from helpers.scripted_runtime import QUICK, scripted_model


class Board:
    """A runtime at work on two slow models, started without the host."""

    def __init__(self, target: LocalTarget, tmp_path: Path, run_s: float = 0.005) -> None:
        self.models = [scripted_model(tmp_path, key, f"sleep {run_s}") for key in ("a", "b")]
        self.settings = replace(QUICK, min_runs=5, min_passes=12, max_passes=12, anchor="a")
        self.job_dir = tmp_path / "jobs"
        job = jobs.measure_job(target._config, self.models, self.settings)
        self.folder = jobs.prepare(job, self.job_dir, self.models)
        self.journal = self.folder / "journal.jsonl"
        self._environment = {**os.environ, "PYTHONPATH": str(target._runtime.parent)}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "device_runtime", str(self.folder)]
        self.process = subprocess.Popen(
            command, env=self._environment, cwd=self.folder, stderr=subprocess.PIPE
        )
        return self.process

    def wait_for_passes(self, count: int) -> None:
        wait_until(lambda: len(self.passes()) >= count)

    def records(self) -> list[dict]:
        content = self.journal.read_bytes() if self.journal.exists() else b""
        return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]

    def passes(self) -> list[list[int]]:
        return passes(self.records())


def passes(journal: list[dict[str, Any]]) -> list[list[int]]:
    """Return model b's samples in each finished pass, in the journal's order."""
    finished: list[list[int]] = []
    timed: list[int] = []
    for record in journal:
        if record["type"] == "started":
            timed = []
        elif record["type"] == "timed" and record["key"] == "b":
            timed = record["samples_ns"]
        elif record["type"] == "pass":
            finished.append(timed)
    return finished


def wait_until(holds: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
