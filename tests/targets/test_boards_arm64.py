"""ARM64 boards without hardware: real wheels, the real runtime, int8 outputs against the host's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from device_runtime.machine import u8s8_saturates
from edgenas.core import plugins
from edgenas.core.progress import Silent
from edgenas.int8.engines.host import logits
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import random_ranges
from edgenas.spaces import mbv3_tiny
from edgenas.targets.base import ModelFile, Preprocess
from edgenas.targets.config import open_target
from edgenas.targets.remote import wheels
from helpers.boards import emulated, userland
from helpers.boards.at_work import AtWork, passes, wait_until
from helpers.boards.emulated import IMAGE, EmulatedBoard
from helpers.boards.userland import userland_board
from helpers.scripted_runtime import model_file

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.emulated


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user whose wheels are kept beside the image between runs."""
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(IMAGE / "cache"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


def know(home: Path, line: str) -> None:
    (home / ".ssh" / "known_hosts").write_text(line)


def int8_model(path: Path) -> ModelFile:
    space = mbv3_tiny.create(10, 1, 16)
    layers = space.layers(space.largest())
    graph = lower(layers, random_state(layers, 0))
    exporter = plugins.load("exporters", "onnx")
    path.write_bytes(exporter.emit(graph, random_ranges(graph, 0), scheme="s8s8"))
    return model_file(path)


def normalised(images: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    mean, std = (
        np.asarray(value, np.float32)[:, None, None] for value in (preprocess.mean, preprocess.std)
    )
    return (images.astype(np.float32) / np.float32(255) - mean) / std


@pytest.mark.skipif(bool(userland.missing()), reason=userland.missing())
def require_the_boards_bits(logits_: np.ndarray, expected: np.ndarray) -> None:
    """Raise unless the host's logits are the board's, bit for bit.

    A host whose kernels saturate sums in other kernels, which round some ties the other way: there
    a logit in a hundred may be one step off.
    """
    if not u8s8_saturates():
        np.testing.assert_array_equal(logits_, expected)
        return
    step = np.diff(np.unique(expected)).min()
    off = np.abs(logits_ - expected)
    assert off.max() < 1.01 * step
    assert np.count_nonzero(off) <= off.size / 100


def test_aarch64_userland_gets_real_wheels_and_computes_the_hosts_bits(
    home: Path, tmp_path: Path
) -> None:
    board = userland_board().start()
    try:
        know(home, board.known_hosts_line())
        setup = {"python": "python3", "packages": "sent", "silence_s": 120}
        target = open_target(board.target_config(setup=setup))
        profile = target.probe()
        assert profile.machine == "aarch64" and "onnxruntime" in profile.engines
        assert target.scheme == "s8s8"
        model = int8_model(tmp_path / "model.onnx")
        size = mbv3_tiny.create(10, 1, 16).largest().resolution
        images = np.random.default_rng(0).integers(0, 256, (60, 1, size, size), np.uint8)
        preprocess = Preprocess((0.3,), (0.4,))
        inference = target.infer(model, images, preprocess, tmp_path / "jobs", Silent())
        assert inference.outcome.status == "ok" and inference.logits is not None
        expected = logits(model.path.read_bytes(), normalised(images, preprocess))
        require_the_boards_bits(inference.logits, expected)
        assert "Removed" in target.clean()  # type: ignore[attr-defined]
        target.close()  # type: ignore[attr-defined]
    finally:
        board.close()


@pytest.fixture(scope="module")
def booted() -> Iterator[EmulatedBoard]:
    board = EmulatedBoard()
    try:
        yield board.start(timeout_s=600)
    finally:
        board.stop()


@pytest.fixture
def arm64_board(booted: EmulatedBoard, home: Path) -> EmulatedBoard:
    """The one emulated board of this file, whose key is known to this test's user."""
    know(home, booted.known_hosts_line())
    return booted


@pytest.mark.skipif(bool(emulated.missing()), reason=emulated.missing())
def test_frozen_and_reset_board_loses_no_finished_pass(
    arm64_board: EmulatedBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(wheels.DISTRIBUTIONS, "scripted", ["numpy"])  # which is all it needs
    work = AtWork(arm64_board, tmp_path, seconds=0.05).start()
    work.wait_for_passes(2, seconds=900)
    arm64_board.freeze()
    frozen = passes(work.journal())
    wait_until(work.noticed, seconds=120)
    arm64_board.thaw()
    work.wait_for_passes(len(frozen) + 1, seconds=900)
    assert work.starts() == 1  # the runtime, too, was only frozen
    before = passes(work.journal())
    assert before[: len(frozen)] == frozen
    arm64_board.press_reset()
    work.assert_whole(seconds=900)
    assert passes(work.journal())[: len(before)] == before
    assert work.starts() == 2


@pytest.mark.skipif(bool(emulated.missing()), reason=emulated.missing())
def test_whole_search_on_the_emulated_board(arm64_board: EmulatedBoard, tmp_path: Path) -> None:
    target = tmp_path / "emulated.toml"
    target.write_text(arm64_board.target_file())
    run = tmp_path / "run"
    arguments = ["search", "--target", target, "--out", run, "--samples", "8", "--evaluate", "8"]
    arguments += ["--epochs", "2", "--top", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "edgenas", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=1800,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr  # 1: measured, and over its limit
    profile = json.loads((run / "profile.json").read_text())
    assert profile["machine"] == "aarch64" and "asimddp" in profile["cpu_features"]
    verified = json.loads((run / "verification.json").read_text())["models"]
    assert verified and all(model["agreement"] == 1.0 for model in verified)
    for model in verified:
        latency = model["outcome"]["latency"]
        low, high = latency["ci95_ms"]
        assert high - low < 0.04 * latency["median_ms"]  # the protocol's own 2 % either way
    assert_hosts_logits(run)


def assert_hosts_logits(run: Path) -> None:
    """The board's logits are the host's, bit by bit."""
    jobs = [path.parent for path in run.glob("jobs/infer-*/*/job.json")]
    assert jobs
    for folder in jobs:
        said = json.loads((folder / "job.json").read_text())["images"]
        images = np.load(folder / "images.npy", allow_pickle=False)
        inputs = normalised(images, Preprocess(tuple(said["mean"]), tuple(said["std"])))
        (model,) = (folder / "models").iterdir()
        parts = sorted(folder.glob("logits-*.npy"), key=lambda path: int(path.stem[7:]))
        computed = np.concatenate([np.load(part, allow_pickle=False) for part in parts])
        expected = logits(model.read_bytes(), inputs)
        if u8s8_saturates():  # then the host leaves part of a signed model in float
            np.testing.assert_array_equal(computed.argmax(1), expected.argmax(1))
        else:
            np.testing.assert_array_equal(computed, expected)
