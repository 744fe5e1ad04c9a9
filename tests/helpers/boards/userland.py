"""An ARM64 board without root: the host's sshd, every session inside an aarch64 userland.

proot and qemu-user run the board's own programs; file system and home are the board's.
"""

from __future__ import annotations

import shutil

from helpers.boards.emulated import IMAGE
from helpers.boards.loopback import LoopbackBoard

PROOT, QEMU = shutil.which("proot"), shutil.which("qemu-aarch64-static")


def missing() -> str:
    """Return why the board cannot be started; empty if it can."""
    if PROOT is None or QEMU is None:
        return "proot and qemu-user-static are not installed: run .ci/boards.sh"
    if not (IMAGE / "rootfs" / "usr" / "bin" / "python3").exists():
        return f"there is no root file system in {IMAGE}: run .ci/boards.sh"
    return ""


def userland_board() -> LoopbackBoard:
    """Return a board, not yet started, whose programs are aarch64."""
    board = LoopbackBoard()
    enter = board.folder / "enter"
    enter.write_text(
        "#!/bin/sh\nexport PATH=/usr/local/bin:/usr/bin:/bin QEMU_CPU=cortex-a72\n"
        f"exec {PROOT} -0 -q {QEMU} -r {IMAGE / 'rootfs'} -b /proc -b /dev -b {board.folder} "
        f'-w {board.home} /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    enter.chmod(0o755)
    board.settings = (f"ForceCommand {enter}",)
    return board
