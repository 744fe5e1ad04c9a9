"""One agent on a board, at the other end of one SSH link: requests and checked answers."""

from __future__ import annotations

import base64
import errno
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko

from device_runtime import protocol
from edgenas.errors import MeasurementError, TargetError
from edgenas.targets.transport import Link, LinkLostError

LONG_S = 300.0  # unpacking on a slow card, importing an engine for the first time
_STATUS_S = 1.0
_NO_STATUS = -1  # of a process that a signal ended, or whose link was lost
_LEAST_PYTHON = (3, 8)
_MAX_LINE_BYTES = 1 << 20
_MAX_PAYLOAD_BYTES = 1 << 24
_PIECE_BYTES = 1 << 16
_RUNTIME = Path(protocol.__file__).resolve().parent
_AGENT_MODULES = ("__init__", "machine", "inventory", "wire", "board_files", "board_lock", "agent")
_GREETING = b"edgenas-python"

# Runs in any Python: it tells its version, and goes on only if that is new enough.
_BOOT = f"""
import sys
sys.path[:1] = []
sys.stdout.write("{_GREETING.decode()} %d %d\\n" % tuple(sys.version_info[:2]))
sys.stdout.flush()
if sys.version_info >= {_LEAST_PYTHON}:
    import json, os, types
    def take(size):
        content = b""
        while len(content) < size:
            piece = os.read(0, size - len(content))
            if not piece: sys.exit(1)
            content += piece
        return content
    sent = json.loads(take(int(take(8))).decode())
    for name, source in sent["modules"]:
        module = sys.modules[name] = types.ModuleType(name)
        module.__path__ = []
        exec(compile(source, name, "exec"), module.__dict__)
    sys.modules["device_runtime.agent"].main(sent["root"])
"""


class BoardError(TargetError):
    """The board answered that it could not do it. number : the errno, if there was one."""

    def __init__(self, message: str, hint: str = "", number: int | None = None) -> None:
        super().__init__(message, hint)
        self.number = number


class Connection:
    """One agent at the other end of one link."""

    def __init__(self, name: str, link: Link, python: str, root: str) -> None:
        self._name = name
        self._link = link
        boot = base64.b64encode(_BOOT.encode()).decode()
        program = f"exec(__import__('base64').b64decode('{boot}').decode())"
        # the one command that the board's shell ever sees; all else goes through stdin
        self._channel = link.run(f"{shlex.quote(python)} -u -c {shlex.quote(program)}")
        self._unread = b""
        self._greet(python)
        modules = [
            ["device_runtime" + f".{name}" * (name != "__init__"), _source(name)]
            for name in _AGENT_MODULES
        ]
        sent = json.dumps({"modules": modules, "root": root}).encode()
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
        return self._answered()

    def put(self, payload: bytes, fields: dict[str, Any], advance: Callable[[float], None]) -> None:
        """Send files as one stream; `advance` is told of the bytes sent."""
        self._request("put", len(payload), LONG_S, fields)
        for start in range(0, len(payload), _PIECE_BYTES):
            piece = payload[start : start + _PIECE_BYTES]
            self._send(piece)
            advance(len(piece))
        self._answered()

    def _request(self, do: str, size: int, timeout_s: float, fields: dict[str, Any]) -> None:
        self._channel.settimeout(timeout_s)
        self._send(json.dumps({**fields, "do": do, "bytes": size}).encode() + b"\n")

    def _answered(self) -> tuple[dict[str, Any], bytes]:
        answer = self._answer()
        size = answer.pop("bytes", None)
        if type(size) is not int or not 0 <= size <= _MAX_PAYLOAD_BYTES:
            raise self._nonsense(f"{size!r} bytes")
        while len(self._unread) < size:
            self._more()
        content, self._unread = self._unread[:size], self._unread[size:]
        if "error" in answer:
            raise _board_error(self._name, answer["error"])
        return answer, content

    def _greet(self, python: str) -> None:
        """Skip what the board's shell prints at login; check the version of Python."""
        try:
            while True:
                line = self._line()
                if line.startswith(_GREETING):
                    break
        except LinkLostError:
            if self._python_ended():
                raise self._no_python(python) from None
            raise
        try:
            version = tuple(int(word) for word in line.split()[1:3])
        except ValueError:
            raise self._nonsense(repr(line[:60])) from None
        if version < _LEAST_PYTHON:
            raise TargetError(
                f"Target '{self._name}' has Python {'.'.join(map(str, version))}; "
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

    def _no_python(self, python: str) -> TargetError:
        status = self._channel.recv_exit_status()
        said = self._channel.recv_stderr(600).decode("utf-8", "replace").strip()
        if status in (126, 127):
            return TargetError(
                f"Target '{self._name}' has no '{python}'.",
                "On the board: sudo apt install python3. Or name the one it has in the target "
                'file: [board] python = "/usr/bin/python3.11"',
            )
        how = "was killed" if status == _NO_STATUS else f"ended with status {status}"
        return TargetError(f"'{python}' on target '{self._name}' {how}: {said or 'silently'}.")

    def _send(self, content: bytes) -> None:
        view = memoryview(content)
        try:
            while view:
                view = view[self._channel.send(view[:_PIECE_BYTES].tobytes()) :]
        except (OSError, EOFError, paramiko.SSHException) as problem:
            raise _lost(self._name, problem) from problem

    def _answer(self) -> dict[str, Any]:
        line = self._line()
        try:
            answer = json.loads(line)
        except ValueError:
            raise self._nonsense(repr(line[:60])) from None
        if not isinstance(answer, dict):
            raise self._nonsense(repr(line[:60]))
        return answer

    def _line(self) -> bytes:
        while b"\n" not in self._unread:
            if len(self._unread) > _MAX_LINE_BYTES:
                raise self._nonsense("a line that does not end")
            self._more()
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _more(self) -> None:
        try:
            chunk = self._channel.recv(_PIECE_BYTES)
        except (OSError, EOFError, paramiko.SSHException) as problem:
            raise _lost(self._name, problem) from problem
        if not chunk:
            raise _lost(self._name, EOFError(self._last_words()))
        self._unread += chunk

    def _last_words(self) -> str:
        self._channel.status_event.wait(_STATUS_S)  # what it says may come after its end
        if not self._channel.recv_stderr_ready():
            return ""
        return self._channel.recv_stderr(2000).decode("utf-8", "replace").strip()[-300:]

    def _nonsense(self, what: str) -> MeasurementError:
        return MeasurementError(f"Target '{self._name}' answered what is no answer: {what}.")


def _source(module: str) -> str:
    return (_RUNTIME / f"{module}.py").read_text("utf-8")


def _lost(name: str, problem: BaseException) -> LinkLostError:
    why = "no answer in time" if isinstance(problem, TimeoutError) else str(problem) or "closed"
    return LinkLostError(f"The link to target '{name}' was lost: {why}.")


def _board_error(name: str, error: Any) -> BoardError:
    told = error if isinstance(error, dict) else {}
    number, text = told.get("errno"), str(told.get("text"))[:600]
    if number in (errno.ENOSPC, errno.EDQUOT):
        return BoardError(
            f"The disk of target '{name}' is full: {text}.",
            f"Make room there, for example: edgenas target clean '{name}'",
            number,
        )
    if number in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR):
        return BoardError(
            f"Target '{name}' does not let edgenas write: {text}.",
            "Name a folder that may be written in the target file: "
            '[board] cache_dir = "/var/tmp/edgenas"',
            number,
        )
    return BoardError(f"Target '{name}' could not do it: {text}.", "", number)
