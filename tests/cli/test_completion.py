"""Completion, driven as a user does: a shell on a terminal, and the tab key."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Shell:
    """bash on a terminal, with `edgenas` on its path and its completion loaded."""

    def __init__(self, folder: Path) -> None:
        command = folder / "bin" / "edgenas"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m edgenas "$@"\n', "utf-8")
        command.chmod(0o755)
        path = f"{command.parent}:{os.environ['PATH']}"
        self._terminal, there = pty.openpty()
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            stdin=there,
            stdout=there,
            stderr=there,
            cwd=folder,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "TERM": "dumb", "PS1": "> "},
            start_new_session=True,
        )
        os.close(there)
        os.set_blocking(self._terminal, False)
        self.typed('eval "$(edgenas completion bash)"; echo read"y"\n', "ready")

    def typed(self, text: str, awaited: str) -> str:
        """Type `text`; return what the terminal shows once it shows `awaited`."""
        os.write(self._terminal, text.encode())
        shown, end = "", time.monotonic() + 60
        while awaited not in shown:
            assert time.monotonic() < end, shown
            with contextlib.suppress(BlockingIOError):
                shown += os.read(self._terminal, 65536).decode().replace("\x07", "")
            time.sleep(0.02)
        return shown

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_commands_options_and_their_values(tmp_path: Path) -> None:
    (tmp_path / "runs" / "flowers").mkdir(parents=True)
    (tmp_path / "runs" / "flowers" / "run.json").touch()
    shell = Shell(tmp_path)
    try:
        for typed, completed in (
            ("edgenas sea", "edgenas search "),
            ("edgenas search --max-l", "--max-latency"),
            ("edgenas search --optimizer nsg", "nsga2"),
            ("edgenas search --target raspberrypi5", "raspberrypi5 "),
            ("edgenas search --space mbv3-ti", "mbv3-tiny"),
            ("edgenas search --data dig", "digits"),
            ("edgenas search --engine lite", "litert"),
            ("edgenas search --supernet cif", "cifar10"),
            ("edgenas optimize --predictors fox", "foxnas-192px"),
            ("edgenas pick runs/flo", "runs/flowers"),
        ):
            shell.typed(f"\x15{typed}\t", completed)
    finally:
        shell.close()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_get_a_script_that_they_can_read(shell: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgenas", "completion", shell],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "_EDGENAS_COMPLETE" in done.stdout
    if shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(done.stdout, "utf-8")
        subprocess.run([shell, "-n", str(script)], check=True, timeout=60)
