"""A ProxyCommand: what the user's shell runs in the place of a connection."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import threading

_END_S = 1.0


class CommandSocket(socket.socket):
    """One end of a pair of sockets; the other one is a command's input and output."""

    def __init__(self, command: str) -> None:
        here, there = socket.socketpair()
        super().__init__(fileno=here.detach())
        self._said = ""
        self._ending = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the socket
        shell = os.environ.get("SHELL") or "/bin/sh"
        try:
            self._process = subprocess.Popen(
                [shell, "-c", f"exec {command}"],
                stdin=there.fileno(),
                stdout=there.fileno(),
                stderr=self._errors,
            )
        except BaseException:
            self._errors.close()
            super().close()
            raise
        finally:
            there.close()

    def last_words(self) -> str:
        """Return the last line that the command wrote to stderr; it is ended."""
        self.close()
        return self._said

    def close(self) -> None:
        super().close()
        with self._ending:
            if not self._errors.closed:
                self._end()
                self._errors.seek(0)
                lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
                self._said = lines[-1][-200:].strip() if lines else ""
                self._errors.close()

    def _end(self) -> None:
        """End the command, if it does not by itself now that nobody listens to it."""
        for end in (lambda: None, self._process.terminate, self._process.kill):
            end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
                return
