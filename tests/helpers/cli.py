"""The command line, run inside the test's process: what it prints, and its exit code."""

from __future__ import annotations

import io
import signal
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgenas.cli import main


@dataclass(frozen=True)
class Done:
    """What a command came to, named as in `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def edgenas(*arguments: str, cwd: Path | None = None) -> Done:
    """Run `edgenas ARGUMENTS` in `cwd` as the program does, from its arguments to its exit code.

    Streams are files in UTF-8, no terminal; what the command changes of the process is put back.
    Warnings of other libraries are no errors: the program shows them too.
    """
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("default")
        if cwd is not None:
            patch.chdir(cwd)
        patch.setattr(sys, "argv", ["edgenas", *arguments])
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        patch.setattr(sys, "unraisablehook", sys.unraisablehook)
        try:
            main.run()
        except SystemExit as ended:
            code = ended.code
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    assert isinstance(code, int)
    out, err = (stream.buffer.getvalue().decode("utf-8") for stream in streams)  # type: ignore[attr-defined]
    return Done(code, out, err)
