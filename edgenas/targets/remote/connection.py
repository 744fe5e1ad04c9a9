"""One agent on a board, at the other end of one SSH link: requests and checked answers."""

from __future__ import annotations

import base64
import errno
import functools
import json
import re
import shlex
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

from device_runtime import protocol
from device_runtime.json_text import read_json_text
from edgenas.core.errors import MeasurementError, TargetError
from edgenas.targets.remote.transport import Link, LinkLostError

LONG_S = 300.0  # unpacking on a slow card, importing an engine for the first time
_STATUS_S = 1.0
_NO_STATUS = -1  # of a process that a signal ended, or whose link was lost
_LEAST_PYTHON = (3, 8)
_MAX_PAYLOAD_BYTES = 1 << 21  # a block of a file, or what a probe prints
_MAX_ERRORS_BYTES = 4000  # of what is quoted, its end
_PIECE_BYTES = 1 << 16
_RUNTIME = Path(protocol.__file__).resolve().parent
_AGENT_MODULES = (
    "__init__",
    "interpreter",
    "machine",
    "inventory",
    "wire",
    "own_folder",
    "board_files",
    "board_lock",
    "agent",
)
_GREETING = b"edgenas-python"

# Runs in any Python: it tells its version, and goes on only if that is new enough.
_BOOT = f"""
import sys
sys.stdout.write("{_GREETING.decode()} %d %d\\n" % tuple(sys.version_info[:2]))
sys.stdout.flush()
if sys.version_info >= {_LEAST_PYTHON}:
    import json, os, types, zlib
    def take(size):
        content = b""
        while len(content) < size:
            piece = os.read(0, size - len(content))
            if not piece: sys.exit(1)
            content += piece
        return content
    sent = json.loads(zlib.decompress(take(int(take(8)))).decode())
    for name, source in sent["modules"]:
        module = sys.modules[name] = types.ModuleType(name)
        module.__path__ = []
        exec(compile(source, name, "exec"), module.__dict__)
    sys.modules["device_runtime.agent"].main(sent["root"])
"""


# What to do where things cannot be kept in the usual folder.
PRIVATE_FOLDER = (
    "Make a folder there that is yours alone: mktemp -d /var/tmp/edgenas-XXXXXXXX. "
    'Then name it in the target file: [board] cache_dir = "…"'
)


class BoardError(TargetError):
    """The board answered that it could not do it. number : the errno, if there was one."""

    def __init__(self, message: str, hint: str = "", number: int | None = None) -> None:
        super().__init__(message, hint)
        self.number = number


@dataclass(frozen=True)
class AnswerLimits:
    """What an answer may take, and what the board's shell says before the first one.

    silence_s : until it is whole, its files apart. most_mb : its length, its files apart.
    slowest_kb_s : the least speed of files, either way.
    """

    silence_s: float = 20.0
    most_mb: float = 1.0
    slowest_kb_s: float = 2.0


class Connection:
    """One agent at the other end of one link."""

    def __init__(
        self, name: str, link: Link, python: str, root: str, limits: AnswerLimits | None = None
    ) -> None:
        self._name = name
        self._link = link
        self._limits = limits or AnswerLimits()
        self._expect(self._limits.silence_s)
        boot = base64.b64encode(_BOOT.encode()).decode()
        program = f"exec(__import__('base64').b64decode('{boot}').decode())"
        # the one command that the board's shell ever sees; all else goes through stdin
        self._channel = link.run(f"{quoted_program(python)} -I -u -c {shlex.quote(program)}")
        self._unread = self._errors = b""
        self._greet(python)
        modules = [
            ["device_runtime" + f".{name}" * (name != "__init__"), _source(name)]
            for name in _AGENT_MODULES
        ]
        sent = zlib.compress(json.dumps({"modules": modules, "root": root}).encode())
        self._expect(self._limits.silence_s, len(sent))
        self._send(b"%08d" % len(sent) + sent)
        if "hello" not in self._answer():
            raise self._nonsense("no greeting")

    def close(self) -> None:
        self._link.close()

    def ask(
        self, do: str, payload: bytes, timeout_s: float, fields: dict[str, Any]
    ) -> tuple[dict[str, Any], bytes]:
        """Return the answer and its payload to one request."""
        self._request(do, len(payload), timeout_s, fields)
        self._send(payload)
        self._expect(timeout_s)
        return self._answered()

    def put(self, payload: bytes, fields: dict[str, Any], advance: Callable[[float], None]) -> None:
        """Send files as one stream; `advance` is told of the bytes sent."""
        self._request("put", len(payload), LONG_S, fields)
        for start in range(0, len(payload), _PIECE_BYTES):
            piece = payload[start : start + _PIECE_BYTES]
            self._send(piece)
            advance(len(piece))
        self._expect(LONG_S)
        self._answered()

    def _expect(self, timeout_s: float, size: int = 0) -> None:
        """Begin the time and the bytes of what comes next, a line and `size` bytes of files."""
        self._until = time.monotonic() + timeout_s + size / (1e3 * self._limits.slowest_kb_s)
        self._bytes_left = int(1e6 * self._limits.most_mb) + size

    def _request(self, do: str, size: int, timeout_s: float, fields: dict[str, Any]) -> None:
        self._expect(timeout_s, size)
        self._send(json.dumps({**fields, "do": do, "bytes": size}).encode() + b"\n")

    def _answered(self) -> tuple[dict[str, Any], bytes]:
        answer = self._answer()
        size = answer.pop("bytes", None)
        if type(size) is not int or not 0 <= size <= _MAX_PAYLOAD_BYTES:
            raise self._nonsense(f"{size!r} bytes")
        self._until += size / (1e3 * self._limits.slowest_kb_s)
        self._bytes_left += size
        while len(self._unread) < size:
            self._more()
        content, self._unread = self._unread[:size], self._unread[size:]
        if "error" in answer:
            raise _board_error(self._name, answer["error"])
        return answer, content

    def _greet(self, python: str) -> None:
        """Skip what the board's shell prints at login; check the version of Python."""
        printed = b""  # without an end of line, it stands before the greeting in one line
        try:
            while True:
                line = self._line()
                before, greeting, version_text = line.partition(_GREETING)
                if greeting:
                    break
                printed = before.strip() or printed
        except LinkLostError as lost:
            said = self._said(self._unread.strip() or printed)
            if self._python_ended():
                raise self._no_python(python, said) from None
            if said and said not in lost.message:
                raise LinkLostError(f"{lost.message} Before that it said: {said}.") from None
            raise
        try:
            version = tuple(int(word) for word in version_text.split()[:2])
        except ValueError:
            raise self._nonsense(repr(line[:60])) from None
        if version < _LEAST_PYTHON:
            raise self._too_old(".".join(map(str, version)))

    def _too_old(self, version: str) -> TargetError:
        return TargetError(
            f"Target '{self._name}' has Python {version}; "
            f"{'.'.join(map(str, _LEAST_PYTHON))} or newer is needed.",
            "Install a newer one there, and name it in the target file: "
            '[board] python = "/usr/bin/python3.11"',
        )

    def _python_ended(self) -> bool:
        """Return whether Python there ended, and not the link to it."""
        if not self._channel.status_event.wait(_STATUS_S):  # it comes after the end of the output
            return False
        if self._channel.recv_exit_status() != _NO_STATUS:
            return True
        transport = self._channel.get_transport()
        transport.join(_STATUS_S)  # a link that is lost closes its channels before it ends
        return transport.is_alive()

    def _said(self, printed: bytes) -> str:
        """Return the board's own words: what it wrote to stderr, or else the last it printed."""
        self._channel.status_event.wait(_STATUS_S)  # what it says may come after its end
        if self._channel.recv_stderr_ready() and len(self._errors) < _MAX_ERRORS_BYTES:
            self._errors += self._channel.recv_stderr(_MAX_ERRORS_BYTES - len(self._errors))
        text = (self._errors.strip() or printed)[-600:].decode("utf-8", "replace")
        signs = (sign if sign.isprintable() else " " for sign in text)
        return " ".join("".join(signs).split()).rstrip(".")

    def _no_python(self, python: str, said: str) -> TargetError:
        status = self._channel.recv_exit_status()
        if status in (126, 127):
            return TargetError(
                f"Target '{self._name}' has no '{python}': {said or f'status {status}'}.",
                "On the board: sudo apt install python3. Or name the one it has in the target "
                'file: [board] python = "/usr/bin/python3.11"',
            )
        if "Unknown option: -I" in said:  # new in 3.4
            return self._too_old("3.3 or older")
        how = "was killed" if status == _NO_STATUS else f"ended with status {status}"
        return TargetError(f"'{python}' on target '{self._name}' {how}: {said or 'silently'}.")

    def _send(self, content: bytes) -> None:
        view = memoryview(content)
        try:
            while view:
                self._channel.settimeout(self._seconds_left())
                view = view[self._channel.send(view[:_PIECE_BYTES].tobytes()) :]
        except (OSError, EOFError, paramiko.SSHException) as problem:
            raise _lost(self._name, problem) from problem

    def _answer(self) -> dict[str, Any]:
        line = self._line()
        try:
            answer = read_json_text(line)
        except ValueError:
            raise self._nonsense(repr(line[:60])) from None
        if not isinstance(answer, dict):
            raise self._nonsense(repr(line[:60]))
        return answer

    def _line(self) -> bytes:
        while b"\n" not in self._unread:
            self._more()
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _more(self) -> None:
        try:
            self._channel.settimeout(self._seconds_left())
            chunk = self._channel.recv(_PIECE_BYTES)
        except (OSError, EOFError, paramiko.SSHException) as problem:
            raise _lost(self._name, problem) from problem
        if not chunk:
            raise _lost(self._name, EOFError(self._said(b"")[-300:]))
        self._unread += chunk
        self._bytes_left -= len(chunk)
        if self._bytes_left < 0:
            raise MeasurementError(
                f"Target '{self._name}' says more than an answer may have: "
                f"over {self._limits.most_mb:g} MB.",
                "If that is right, say more in the target file: [board] answer_mb = …",
            )

    def _seconds_left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _nonsense(self, what: str) -> MeasurementError:
        return MeasurementError(f"Target '{self._name}' answered what is no answer: {what}.")


def quoted_program(program: str) -> str:
    """Quote a program's name for any shell there; a `~` is the home folder on the board."""
    home, slash, rest = program.partition("/")
    if slash and home == "~":
        return f'"$HOME"/{shlex.quote(rest)}'
    if slash and re.fullmatch(r"~[A-Za-z_][\w-]*", home, re.ASCII):
        return f"{home}/{shlex.quote(rest)}"
    return shlex.quote(program)


def make_room(name: str, folder: Any, kept_bytes: Any) -> str:
    """Return what to do about a full disk; kept_bytes : what edgenas itself keeps in `folder`."""
    hint = "See there what takes the room: df -h."
    if type(kept_bytes) is int and kept_bytes > 0:
        hint += (
            f" edgenas itself keeps {kept_bytes / 2**20:.1f} MiB in {str(folder)[:200]}; "
            f"this removes them: edgenas target clean '{name}'"
        )
    return hint


@functools.cache
def _source(module: str) -> str:
    return (_RUNTIME / f"{module}.py").read_text("utf-8")


def _lost(name: str, problem: BaseException) -> LinkLostError:
    late = isinstance(problem, TimeoutError)
    why = "no whole answer in time" if late else str(problem) or "closed"
    return LinkLostError(f"The link to target '{name}' was lost: {why}.")


def _board_error(name: str, error: Any) -> BoardError:
    told = error if isinstance(error, dict) else {}
    number, text = told.get("errno"), str(told.get("text"))[:600]
    if number in (errno.ENOSPC, errno.EDQUOT):
        return BoardError(
            f"The disk of target '{name}' is full: {text}.",
            make_room(name, told.get("folder"), told.get("kept_bytes")),
            number,
        )
    if told.get("foreign") is True:
        return BoardError(
            f"Target '{name}' keeps nothing of edgenas there, and nothing was touched: {text}.",
            PRIVATE_FOLDER,
            number,
        )
    if number in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR):
        return BoardError(
            f"Target '{name}' does not let edgenas write: {text}.",
            PRIVATE_FOLDER,
            number,
        )
    return BoardError(f"Target '{name}' could not do it: {text}.", "", number)
