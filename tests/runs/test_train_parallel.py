"""Two processes train and evaluate one supernet, over gloo, as one does; or one of them dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.runs.open import open_run
from edgenas.spaces import mbv3_tiny
from edgenas.supernet import files
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import TrainSettings
from helpers.cli import edgenas

WORK = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from edgenas.cli import main
    from edgenas.supernet.packages import make
    from edgenas.supernet import trainer
    trainer.CHECKPOINT_EVERY_S = 0.0
    make.RANDOM_SUBNETS = 1
    sys.argv = ["edgenas", *sys.argv[1:]]
    main.run()
    """
)

pytestmark = pytest.mark.slow


def start(count: int, *words: str) -> list[subprocess.Popen[str]]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    variables = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    variables |= {"OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            (sys.executable, "-c", WORK, *words),
            env={**os.environ, **variables, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, dark and light, 12 px."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for part, n in (("train", 48), ("test", 8)):
        for name, brightness in (("dark", 90), ("light", 160)):
            (root / part / name).mkdir(parents=True)
            for index in range(n):
                pixels = np.clip(rng.normal(brightness, 40, (12, 12)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{index}.png")
    return root


@pytest.mark.parametrize("killed", [pytest.param(False, marks=pytest.mark.smoke), True])
def test_two_processes(killed: bool, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "two.safetensors"
    words = ("train", "--epochs", "10000" if killed else "3", "--data", f"imagefolder:{folder}")
    words += ("--batch-size", "16", "-o")
    processes = start(2, *words, str(output))
    try:
        if killed:
            _dead_worker(processes, output)
            return
        said = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes] == [0, 0], said
    assert "supernet:" in said[0][0]
    assert said[1][0] == ""
    assert "supernet:" in edgenas(*words, str(tmp_path / "one.safetensors")).stdout
    two, one = load_file(output), load_file(tmp_path / "one.safetensors")
    assert two.keys() == one.keys()
    flat_two, flat_one = (np.concatenate([w.ravel() for w in n.values()]) for n in (two, one))
    assert np.corrcoef(flat_two, flat_one)[0, 1] > 0.98
    assert not np.array_equal(flat_two, flat_one)


def _dead_worker(processes: list[subprocess.Popen[str]], output: Path) -> None:
    checkpoint = output.with_name(output.name + ".checkpoint")
    deadline = time.monotonic() + 240
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(processes[1].pid, signal.SIGKILL)
    _, said = processes[0].communicate(timeout=240)
    assert processes[0].returncode == 5, said
    assert "Another process of this work is gone" in said
    assert "--resume" in said
    assert checkpoint.exists()


def test_two_processes_package_as_one_does(folder: Path, tmp_path: Path) -> None:
    data = f"imagefolder:{folder}"
    dataset, space = base.load(data, seed=0, progress=Silent()), mbv3_tiny.create(2, 3, 12)
    files.save(Supernet(space, 3), tmp_path / "one.safetensors", dataset, TrainSettings())
    shutil.copy(tmp_path / "one.safetensors", tmp_path / "two.safetensors")
    words = ("--data", data, "--evaluate", "11", "--val-images", "4", "--test-images", "4")
    for count, name in ((1, "one"), (2, "two")):
        finished(start(count, "package", str(tmp_path / f"{name}.safetensors"), *words))
    for document in ("evaluations.json", "json"):
        one, two = (json.loads((tmp_path / f"{n}.{document}").read_text()) for n in ("one", "two"))
        unlike = {"images_sha256"}  # the order of what is beside the tensors is not fixed
        assert {k: one[k] for k in one if k not in unlike} == {
            k: two[k] for k in two if k not in unlike
        }


def test_two_processes_evaluate_a_run_as_one_does(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("--data", f"imagefolder:{folder}", "--epochs", "1")
    finished(start(1, "train", str(run), *words))
    shutil.copytree(run, tmp_path / "other")
    found = []
    for count, path in ((1, run), (2, tmp_path / "other")):
        finished(start(count, "evaluate", str(path), "--evaluate", "9"))
        with open_run(path, {}, Silent(), resume=True) as context:
            found.append({one.architecture: one for one in context.evaluations()})
    assert len(found[0]) == 9
    assert found[0] == found[1]


def finished(processes: list[subprocess.Popen[str]]) -> None:
    """Wait for the processes; only the first may say anything."""
    try:
        said = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes] == [0] * len(processes), said
    assert said[0][0]
    assert all(output == "" for output, _ in said[1:])
