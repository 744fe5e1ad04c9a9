"""A throw-away board: sshd on 127.0.0.1 with its own home, behind a link that tests can cut."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from edgenas.targets.config import BoardSetup, Connection, TargetConfig

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
MISSING = "" if Path(SSHD).exists() else "sshd is not installed: apt-get install openssh-server"


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def make_key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


class LoopbackBoard:
    """`start` and `stop` it; `port` is the link's, `home` the home folder on the board.

    started_by : words in front of sshd's, of a program that starts it.
    """

    name = "board"
    host = "127.0.0.1"
    started_by: tuple[str, ...] = ()

    def __init__(self, settings: tuple[str, ...] = (), environment: dict[str, str] | None = None):
        self.folder = Path(tempfile.mkdtemp(prefix="board-"))
        self.home = self.folder / "home"
        self.temporary = self.folder / "tmp"
        for folder in (self.home, self.temporary):
            folder.mkdir(mode=0o700)
        self.host_key = make_key(self.folder / "host_key")
        self.user_key = make_key(self.folder / "user_key")
        self.user = getpass.getuser()
        self.link = Link()
        self.settings = settings
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self.link.port

    @property
    def cache(self) -> Path:
        return self.home / ".cache" / "edgenas" / "edgenas-board"

    def start(self) -> LoopbackBoard:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        public = self.user_key.with_suffix(".pub").read_text()
        (self.folder / "authorized_keys").write_text(public)
        (self.folder / "sshd_config").write_text(self._configuration(self._bind()))
        log = self.folder / "sshd.log"
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [*self.started_by, SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stderr=errors,
            )
        deadline = time.monotonic() + 60
        while b"Server listening on" not in log.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text())
            time.sleep(0.01)
        return self

    def _bind(self) -> int:
        """Return a port for sshd; the link leads there."""
        self.link.behind = free_port()
        return self.link.behind

    def _configuration(self, port: int) -> str:
        variables = {
            "HOME": self.home,
            "TMPDIR": self.temporary,
            "EDGENAS_BOARD_LOCK": self.folder / "board.lock",  # other boards share this machine
            **self._environment,
        }
        set_env = " ".join(f'"{name}={value}"' for name, value in variables.items())
        lines = (
            f"ListenAddress {self.host}",
            f"Port {port}",
            f"HostKey {self.host_key}",
            f"PidFile {self.folder / 'sshd.pid'}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            "UsePAM no",
            "StrictModes no",  # keys below a temporary folder
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "UseDNS no",
            "AllowTcpForwarding yes",
            f"SetEnv {set_env}",
            *self.settings,
        )
        return "\n".join(lines) + "\n"

    def target_config(
        self, connection: dict[str, Any] | None = None, setup: dict[str, Any] | None = None
    ) -> TargetConfig:
        """A target file for this board, whose Python is the tests' own with its engines."""
        reached = {"host": self.host, "user": self.user, "port": self.port}
        return TargetConfig(
            self.name,
            "ssh",
            "test",
            connection=Connection(
                **{**reached, "key_file": str(self.user_key), **(connection or {})}
            ),
            board=BoardSetup(
                **{"python": sys.executable, "packages": "own", "reconnect_s": 120, **(setup or {})}
            ),
        )

    def known_hosts_line(self, port: int | None = None) -> str:
        kind, key = self.host_key.with_suffix(".pub").read_text().split()[:2]
        port = port or self.port
        known_as = self.host if port == 22 else f"[{self.host}]:{port}"
        return f"{known_as} {kind} {key}\n"

    def sessions(self) -> list[int]:
        """The processes of open connections."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def kill_sessions(self) -> None:
        for pid in self.sessions():
            for child in (*_descendants(pid), pid):
                if "device_runtime" not in _command(child):
                    _kill(child)

    def runtimes(self) -> list[int]:
        """The runtimes that work in this board's home."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            words = _command(int(folder.name))
            if str(self.cache) in words and "-m device_runtime " in words:
                found.append(int(folder.name))
        return found

    def stop(self) -> None:
        """Switch off: no process of the board is left."""
        if self._process is not None:
            self.kill_sessions()
            self._process.terminate()
            self._process.wait()
            self._process = None
        for pid in self.runtimes():
            _kill(pid)

    def close(self) -> None:
        self.stop()
        self.link.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Link:
    """A TCP relay: `state` is "up", "silent" (all that is sent vanishes) or "down"."""

    def __init__(self) -> None:
        self.behind = 0
        self.state = "up"
        self.sent_bytes = 0  # from the host to the board
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self) -> None:
        """Close what is open, and refuse what is new."""
        self.state = "down"
        self._hang_up()

    def silence(self) -> None:
        self.state = "silent"

    def mend(self) -> None:
        """Let new connections through; what was open while the link was silent stays dead."""
        self._hang_up()
        self.state = "up"

    def close(self) -> None:
        self.state = "closed"
        # a thread that still listens would take what comes to the next socket of that number
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(10)
        self._listener.close()
        self._hang_up()

    def _hang_up(self) -> None:
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def _accept(self) -> None:
        while self.state != "closed":
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self.state == "down":
                    raise OSError("the link is down")
                there = socket.create_connection(("127.0.0.1", self.behind), 5)
            except OSError:
                here.close()
                continue
            for end in (here, there):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [here, there]
            for source, sink in ((here, there), (there, here)):
                outward = source is here
                threading.Thread(
                    target=self._carry, args=(source, sink, outward), daemon=True
                ).start()

    def _carry(self, source: socket.socket, sink: socket.socket, outward: bool) -> None:
        try:
            while content := source.recv(1 << 16):
                if self.state != "up":
                    continue
                if outward:
                    self.sent_bytes += len(content)
                sink.sendall(content)
        except OSError:
            pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def own_python(folder: Path) -> str:
    """A Python whose name has a space and a quote: the tests' own."""
    path = folder / "py th'on"
    if not path.exists():
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        path.chmod(0o755)
    return str(path)


def _descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in children for found in (*_descendants(int(child)), int(child))]


def _command(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
