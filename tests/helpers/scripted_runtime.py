"""A copy of the runtime with one more backend, whose "models" are words that say how to behave."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from edgenas.targets.base import MeasureSettings, ModelFile
from edgenas.targets.config import TargetConfig
from edgenas.targets.jobs.runtime import RUNTIME
from edgenas.targets.local import LocalTarget

BACKEND = '''
import ctypes, os, signal, sys, time
from pathlib import Path
import numpy as np

from device_runtime.inputs import Input

RUNS_OF_A_CHECK = 3

def version():
    return "1.0"

def open_model(path, threads):
    return Scripted(*Path(path).read_text().split())

class Scripted:
    inputs = (Input("image", (1, 3, 8, 8), "float32"),)
    input_shape = (1, 3, 8, 8)
    provider = "ScriptedProvider"

    def __init__(self, behaviour, argument="", *more):
        self.behaviour, self.argument, self.more, self.runs = behaviour, argument, more, 0
        if behaviour == "refuse":
            raise RuntimeError("no kernel for operator Foo")

    def feed(self, values):
        self.bind(values["image"])

    def bind(self, values):
        self.values = values

    def run(self):
        self.runs += 1
        getattr(self, self.behaviour)()

    def output(self):
        return self.values.mean(axis=(2, 3)).astype(np.float32)

    def sleep(self):
        time.sleep(float(self.argument))

    def write_at(self):
        """Write a text to a file at one run in the life of this process."""
        time.sleep(0.001)
        if self.runs == int(self.argument):
            Path(self.more[0]).write_text(self.more[1])

    def segfault(self):
        print("about to read address 0", file=sys.stderr, flush=True)
        ctypes.string_at(0)

    def chatter(self):
        print("{}")
        time.sleep(0.0002)

    def segfault_later(self):
        if self.runs > RUNS_OF_A_CHECK:
            self.segfault()

    def be_killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def hang(self):
        while True:
            pass

    def hang_later(self):
        if self.runs > RUNS_OF_A_CHECK:
            self.hang()

    def crash_once(self):
        """In the timing process that comes first; the next one finds the mark."""
        mark = Path(self.argument)
        if self.runs > RUNS_OF_A_CHECK and not mark.exists():
            mark.write_text("crashed")
            self.segfault()
'''

# Other work on this machine must not decide how many passes a test takes: nothing counts as busy.
QUICK = MeasureSettings(
    warmup_ms=0,
    run_ms=1,
    min_runs=3,
    min_passes=2,
    max_passes=3,
    relative_ci=0.5,
    timeout_s=20,
    busy_tolerance=100.0,
)


def model_file(path: Path) -> ModelFile:
    return ModelFile(path.stem, path, hashlib.sha256(path.read_bytes()).hexdigest())


def scripted_runtime(folder: Path) -> Path:
    """Return a copy of the runtime, below `folder`, that has the engine `scripted`."""
    runtime = folder / "device_runtime"
    if not runtime.exists():
        shutil.copytree(RUNTIME, runtime, ignore=shutil.ignore_patterns("__pycache__"))
        (runtime / "backends" / "scripted.py").write_text(BACKEND)
    return runtime


def scripted_target(folder: Path) -> LocalTarget:
    """Return a local target whose runtime, below `folder`, has the engine `scripted`."""
    config = TargetConfig(name="scripted", kind="local", source="test", engine="scripted")
    return LocalTarget(config, scripted_runtime(folder))


def scripted_model(folder: Path, key: str, behaviour: str) -> ModelFile:
    path = folder / f"{key}.txt"
    path.write_text(behaviour)
    return model_file(path)
