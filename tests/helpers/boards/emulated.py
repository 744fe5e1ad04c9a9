"""The emulated ARM64 board: a full system under QEMU whose clock counts instructions.

Its latencies repeat to a hundredth of a percent and know no cache, no heat and no other programs:
they are emulated, never a board's. Start one by hand with
`python tests/helpers/boards/emulated.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from edgenas.targets.config import BoardSetup, Connection, TargetConfig

if __package__:
    from helpers.boards.loopback import free_port
else:
    from loopback import free_port

ROOT = Path(__file__).parents[3]
QEMU = shutil.which("qemu-system-aarch64")
IMAGE = Path(os.environ.get("EDGENAS_BOARDS", Path("~/.cache/edgenas-boards").expanduser()))


def missing() -> str:
    """Return why the board cannot be started; empty if it can."""
    if QEMU is None:
        return "qemu-system-aarch64 is not installed: run .ci/boards.sh"
    if not (IMAGE / "disk.img").exists():
        return f"there is no image in {IMAGE}: run .ci/boards.sh"
    return ""


class EmulatedBoard:
    """Nothing that is written to its disk is kept. cpu : QEMU's name; a72 has no dot product."""

    def __init__(
        self, cpu: str = "cortex-a76", memory: str = "1G", port: int | None = None
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="emulated-"))
        self.port = port or free_port()
        self._console = self.folder / "console"
        self._command = self._arguments(cpu, memory)
        self._process: subprocess.Popen[bytes] | None = None

    def _arguments(self, cpu: str, memory: str) -> list[str]:
        forward = f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22"
        options = {
            "-M": "virt",
            "-cpu": cpu,
            "-smp": "1",
            "-m": memory,
            "-icount": "shift=1",  # 2 ns an instruction
            "-rtc": "clock=vm,base=2026-01-01",
            "-display": "none",
            "-serial": f"file:{self._console}",
            "-qmp": f"unix:{self.folder}/qmp,server=on,wait=off",
            "-kernel": str(IMAGE / "vmlinuz"),
            "-initrd": str(IMAGE / "initrd.gz"),
            "-append": "console=ttyAMA0 quiet loglevel=4",
            "-drive": f"file={IMAGE / 'disk.img'},format=raw,if=none,id=d0,snapshot=on",
            "-netdev": forward,
            "-object": "rng-random,filename=/dev/urandom,id=r0",
        }
        devices = (
            "virtio-blk-pci,drive=d0",
            "virtio-net-pci,netdev=n0,romfile=",
            "virtio-rng-pci,rng=r0",
        )
        words = [word for option in options.items() for word in option]
        words += [word for device in devices for word in ("-device", device)]
        return [str(QEMU), "-nodefaults", *words]

    def start(self, timeout_s: float = 120) -> EmulatedBoard:
        with (self.folder / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.wait(timeout_s)
        return self

    def wait(self, timeout_s: float = 120) -> None:
        """Wait for its SSH server: the forwarded port itself is open from the start."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                raise RuntimeError((self.folder / "qemu.log").read_text())
            try:
                with socket.create_connection(("127.0.0.1", self.port), 2) as made:
                    made.settimeout(10)
                    if made.recv(4) == b"SSH-":
                        return
            except OSError:
                pass
            time.sleep(0.25)
        raise TimeoutError(self._console.read_text(errors="replace")[-2000:])

    @property
    def user_key(self) -> Path:
        return IMAGE / "user_key"

    def known_hosts_line(self) -> str:
        kind, key = (IMAGE / "host_key.pub").read_text().split()[:2]
        return f"[127.0.0.1]:{self.port} {kind} {key}\n"

    def target_file(self) -> str:
        """The shipped target file, with this board's port and key."""
        text = (ROOT / "targets" / "emulated.toml").read_text("utf-8")
        text = text.replace("port = 2222", f"port = {self.port}")
        key = '# key_file = "…/edgenas-boards/user_key"'
        assert key in text
        return text.replace(key, f'key_file = "{self.user_key}"')

    def target_config(self, setup: dict[str, Any] | None = None) -> TargetConfig:
        """A target file for this board; what shall run there is sent."""
        reached = Connection("127.0.0.1", "root", self.port, str(self.user_key))
        board = BoardSetup(**{"silence_s": 45, "reconnect_s": 600, **(setup or {})})
        return TargetConfig("emulated", "ssh", "test", connection=reached, board=board)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    # ------------------------------------------------------------ faults

    def freeze(self) -> None:
        self._qmp("stop")

    def thaw(self) -> None:
        self._qmp("cont")

    def press_reset(self) -> None:
        self._qmp("system_reset")

    def _qmp(self, command: str, **arguments: Any) -> None:
        with socket.socket(socket.AF_UNIX) as made:
            made.connect(f"{self.folder}/qmp")
            stream = made.makefile("rw")
            stream.readline()
            for request in (
                {"execute": "qmp_capabilities"},
                {"execute": command, "arguments": arguments},
            ):
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
                assert "error" not in answer, answer


def main() -> None:
    board = EmulatedBoard(port=2222).start()
    sys.stderr.write(f"The emulated board answers on port {board.port}, key {board.user_key}\n")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        board.stop()


if __name__ == "__main__":
    main()
