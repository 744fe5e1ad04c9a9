"""The one way to the terminal: text as it is, with nothing that a terminal would act on.

Names, paths and the words of boards are not trusted: escape sequences, control characters, line
ends and marks that turn the direction of writing are shown by their numbers (\\x1b). So is what the
terminal's encoding lacks.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from edgenas.core.printable import printable

_verbosity = {"level": 1}


def set_verbosity(level: int) -> None:
    """Set how much progress is shown: 0 warnings only, 1 as usual, 2 a bar for each task."""
    _verbosity["level"] = level


def is_quiet() -> bool:
    return _verbosity["level"] == 0


def is_verbose() -> bool:
    return _verbosity["level"] == 2


def say(text: str = "", *, err: bool = False) -> None:
    """Print one line on stdout, or with `err` on stderr.

    Raises
    ------
    OSError : stdout cannot be written. What stderr does not take is dropped: it ends no work.
    """
    # one write: lines of several threads do not run into each other
    line = printable(text) + "\n"
    if err:
        with contextlib.suppress(OSError):
            sys.stderr.write(line)
            sys.stderr.flush()
    else:
        sys.stdout.write(line)


def emit_json(document: dict[str, Any]) -> None:
    """Print one JSON document on stdout."""
    # JSON escapes every control character but this one
    text = json.dumps(document, indent=1, allow_nan=False).replace("\x7f", "\\u007f")
    sys.stdout.write(text + "\n")


def emit_script(text: str) -> None:
    """Print a program for another to read, as it is: it holds nothing that is not edgenas's."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def flush() -> None:
    """Let what was printed be read now, by a program too: more comes only later."""
    sys.stdout.flush()


class Stdout:
    """Python's stdout, with what went wrong when it was written; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.problem: OSError | None = None

    def write(self, text: str) -> int:
        with self._watched():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._watched():
            self._stream.flush()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            self.problem = problem
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def prepare() -> Stdout:
    """Let neither a character nor a stream that is not there end the program with a traceback.

    Returns what `sys.stdout` is from now on.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # started with it closed
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        with contextlib.suppress(AttributeError):  # a stream that is not Python's own
            getattr(sys, name).reconfigure(errors="backslashreplace")
    stdout = Stdout(sys.stdout)
    sys.stdout = cast("TextIO", stdout)
    return stdout


def finish() -> None:
    """Write out what was printed; what cannot be written is dropped before Python tries again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
