"""This machine with a scripted clock: engines run, but what a run takes follows from the file.

A run takes `NS_A_BYTE` for each byte of the model file, give or take half a percent, so that a
search ends in the same way whatever this machine does besides.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgenas.targets import local
from edgenas.targets.jobs.runtime import RUNTIME

NS_A_BYTE = 5
TIMED = "timed_runs(session.run, heartbeat.tick, warmed_up=look, **how)"
SCRIPTED = f'''

calls = itertools.count()


def scripted(path: str, look: Callable[[], None], *, min_runs: int, **_: Any) -> List[int]:
    """Return the times of `min_runs` runs by a clock that only knows the file's bytes."""
    look()
    content = Path(path).read_bytes()
    noise = np.random.default_rng([next(calls), *hashlib.sha256(content).digest()])
    return [int(len(content) * {NS_A_BYTE} * (1 + x)) for x in noise.uniform(-5e-3, 5e-3, min_runs)]
'''
MEASURING = """[measuring]
warmup_ms = 0.0
run_ms = 1.0
min_runs = 8
min_passes = 3
max_passes = 3
busy_tolerance = 100.0
clock_tolerance = 100.0
heat_tolerance = 100.0
energy_s = 0.0
"""


def runtime(folder: Path) -> Path:
    """Return a copy of the runtime, below `folder`, whose clock is scripted."""
    copy = folder / "scripted clock" / "device_runtime"
    if not copy.exists():
        shutil.copytree(RUNTIME, copy, ignore=shutil.ignore_patterns("__pycache__"))
        worker = copy / "worker.py"
        text = worker.read_text("utf-8")
        assert TIMED in text
        text = text.replace(TIMED, "scripted(path, look, **how)")
        text = text.replace("import io\n", "import io\nimport itertools\n")
        worker.write_text(text.replace("\n\ndef _told(", SCRIPTED + "\n\ndef _told("), "utf-8")
    return copy


@contextmanager
def ticking(folder: Path) -> Iterator[None]:
    """Give targets of this process, of kind "local", the runtime of `folder`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            local, "create", lambda config, access=None: local.LocalTarget(config, runtime(folder))
        )
        yield


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a process of edgenas whose runtime is that of `folder`."""
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(runtime(folder).parent), str(root)])
    return {**os.environ, "PYTHONPATH": path}


def target_file(folder: Path, name: str, *lines: str) -> str:
    """Write a target file for this machine, which measures quickly; return its path."""
    path = folder / f"{name}.toml"
    path.write_text("\n".join(['kind = "local"', f'name = "{name}"', *lines, MEASURING]))
    return str(path)
