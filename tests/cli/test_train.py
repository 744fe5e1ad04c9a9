"""`edgenas train -o FILE`: killed and resumed, refused, and what it says of bad images."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save

from edgenas.cli import main

COMMAND = (sys.executable, "-m", "edgenas", "train")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of stripes, 12 px."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    wave = np.where(np.arange(12) // 2 % 2, 60, -60)
    for part, n in (("train", 66), ("test", 20)):
        for name, stripes in (("columns", wave[None]), ("rows", wave[:, None])):
            (root / part / name).mkdir(parents=True)
            for index in range(n):
                pixels = np.clip(rng.normal(128, 30, (12, 12)) + stripes, 0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(root / part / name / f"{index}.png")
    return root


Command = Callable[..., tuple[int, str, str]]


def words(folder: Path, output: Path, *more: str) -> list[str]:
    return ["--data", f"imagefolder:{folder}", "-o", str(output), "--batch-size", "16", *more]


@pytest.fixture
def train(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """The command in this process: its exit code, stdout and stderr."""

    def command(output: Path, *more: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edgenas", "train", *words(folder, output, *more)])
        with pytest.raises(SystemExit) as exited:
            main.run()
        return int(exited.value.code or 0), *capsys.readouterr()

    return command


@pytest.mark.slow  # by default: supernet/test_trainer.py interrupts and resumes in one process
def test_a_killed_training_is_resumed_to_the_same_supernet(
    folder: Path, tmp_path: Path, train: Command
) -> None:
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    process = subprocess.Popen((*COMMAND, *words(folder, killed, "--epochs", "6")))
    checkpoint = killed.with_name("killed.safetensors.checkpoint")
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not killed.exists()
    code, out, said = train(whole, "--epochs", "6", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["settings"]["flip"] is False
    assert [epoch["number"] for epoch in document["report"]["curve"]] == [1, 2, 3, 4, 5, 6]
    assert document["bytes"] == whole.stat().st_size
    assert "epoch 6 of 6" in said
    code, _, said = train(killed, "--epochs", "6")
    assert code == 2
    assert "--resume" in said
    code, _, said = train(killed, "--epochs", "6", "--resume")
    assert code == 0
    assert "Training goes on after" in said
    ours, theirs = load_file(killed), load_file(whole)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert not checkpoint.exists()
    code, _, said = train(whole, "--epochs", "6")
    assert code == 2
    assert "exists already" in said


def test_what_cannot_be_done_is_said_in_one_line(tmp_path: Path, train: Command) -> None:
    output = tmp_path / "supernet.safetensors"
    (tmp_path / "file").write_text("in the way")
    for file, more, message in (
        (output, ("--epochs", "0"), "--epochs must be 1 or more"),
        (output, ("--samples", "40"), "--samples is of a run"),
        (tmp_path / "file" / "net.safetensors", (), "Cannot write"),
    ):
        code, _, said = train(file, *more)
        assert code == 2
        assert message in said
        assert "Traceback" not in said
    assert not output.exists()


def test_a_full_disk_is_one_line_and_leaves_what_was_there(
    tmp_path: Path, train: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, said = train(tmp_path / "net.safetensors", "--epochs", "1")
    assert code == 2
    assert "No space left on device" in said
    assert "Free some space" in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == [".net.safetensors.lock"]


def test_a_checkpoint_of_a_newer_edgenas_is_refused(
    folder: Path, tmp_path: Path, train: Command
) -> None:
    output = tmp_path / "net.safetensors"
    about = {"edgenas": "checkpoint", "format_version": 99}
    text = {key: json.dumps(value) for key, value in about.items()}
    (tmp_path / "net.safetensors.checkpoint").write_bytes(save({}, text))
    code, _, said = train(output, "--resume")
    assert code == 2
    assert "is of a newer edgenas" in said
