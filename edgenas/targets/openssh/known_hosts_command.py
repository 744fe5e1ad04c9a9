"""A KnownHostsCommand: a program of the user's own that prints lines of known_hosts."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgenas.core.printable import printable
from edgenas.targets.openssh import tokens, words

_PATIENCE_S = 30.0
_MOST_BYTES = 1 << 22
_PIECE_BYTES = 1 << 16
_ASKED = ("H", "I", "K", "f", "t")


class CommandError(ValueError):
    """The program failed: ssh connects to nobody then."""


@dataclass(frozen=True)
class KnownHostsCommand:
    """A program with its arguments, as the configuration has them; no shell reads them."""

    text: str
    known: tokens.Tokens

    def problem(self) -> str:
        """Return why ssh passes it over; empty if it is run.

        Raises
        ------
        InputError : a token is not known or a variable is not set.
        """
        program = self._words(dict.fromkeys(_ASKED, ""))[0]
        if not Path(program).is_absolute():
            return "its path is not absolute"
        try:
            Path(program).stat()
        except (OSError, ValueError) as problem:
            return getattr(problem, "strerror", None) or str(problem)
        return ""

    def lines(self, asked: Mapping[str, str]) -> list[str]:
        """Run it once and return the lines that it prints.

        asked : the values of %H, what the host is called; %I, why it is run; and %t, %f and %K,
        type, fingerprint and Base64 of the key that the host has shown, or NONE.

        Raises
        ------
        CommandError : it fails, does not end or prints too much; with what it said last.
        """
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                self._words(asked), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
            )
        except (OSError, ValueError) as problem:
            raise CommandError(f"cannot be run: {problem}") from problem
        with _Output(process) as output:
            status = output.finish()
        if status:
            how = f"ended with status {status}" if status > 0 else f"was killed, signal {-status}"
            raise CommandError(how + output.last_words())
        return output.printed.decode("utf-8", "replace").split("\n")

    def _words(self, asked: Mapping[str, str]) -> list[str]:
        """Return the program's name as it is written, and its arguments with tokens replaced."""
        program, *arguments = words.arguments(self.text, comments=False) or [""]
        values = {**self.known.values(), **asked}
        where = "KnownHostsCommand"
        return [program, *(tokens.expanded(text, values, where) for text in arguments)]


class _Output:
    """What a process prints, within bounds. At the end of the context nobody listens to it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.printed, self._errors = bytearray(), bytearray()
        self._process = process
        self._streams = {process.stdout: self.printed, process.stderr: self._errors}
        self._until_s = time.monotonic() + _PATIENCE_S

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *problem: object) -> None:
        for stream in self._streams:
            stream.close()  # whoever still writes to it is ended by that
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def finish(self) -> int:
        """Read until the process has ended; return its status."""
        with selectors.DefaultSelector() as waiting:
            for stream in self._streams:
                waiting.register(stream, selectors.EVENT_READ)
            while self._process.stdout in [key.fileobj for key in waiting.get_map().values()]:
                self._read(waiting, self._left_s())
            try:
                status = self._process.wait(self._left_s())
            except subprocess.TimeoutExpired:
                raise self._too_slow() from None
            self._read(waiting, 0)
        return status

    def last_words(self) -> str:
        """Return the last line that it wrote to stderr, else to stdout, after a colon."""
        for said in (self._errors, self.printed):
            text = said.decode("utf-8", "replace").strip()
            if text:
                return f": {printable(text.splitlines()[-1].strip()[-200:])}"
        return ""

    def _read(self, waiting: selectors.BaseSelector, patience_s: float) -> None:
        for key, _ in waiting.select(patience_s):
            piece = os.read(key.fd, _PIECE_BYTES)
            if not piece:
                waiting.unregister(key.fileobj)
            said = self.printed if key.fileobj is self._process.stdout else self._errors
            said += piece
            if len(said) > _MOST_BYTES:
                raise CommandError(f"prints more than {_MOST_BYTES >> 20} MiB")

    def _left_s(self) -> float:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise self._too_slow()
        return left_s

    def _too_slow(self) -> CommandError:
        return CommandError(f"has not ended for {_PATIENCE_S:g} s{self.last_words()}")
