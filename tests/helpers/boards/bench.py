"""The host `bench` of an SSH configuration, reached as a search would and by ssh itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

from edgenas.targets.config import Access, Connection
from edgenas.targets.remote import ssh_config
from edgenas.targets.remote.host_keys import HostKeyError
from edgenas.targets.remote.transport import Login, connect
from helpers.boards.loopback import LoopbackBoard


def home() -> Path:
    return Path("~/.ssh").expanduser()


def configure(board: LoopbackBoard, *lines: str) -> None:
    """Describe `board` as the host bench."""
    text = (
        f"Host bench\n HostName 127.0.0.1\n Port {board.port}\n IdentityFile {board.user_key}\n"
        f" User {board.user}\n"
    )
    (home() / "config").write_text(text + "".join(f" {line}\n" for line in lines))


def refusal_of_ssh() -> str:
    """Return why ssh itself does not reach bench with the same files; it writes into a copy."""
    copy = home().parent / "known_hosts copy"
    mine = home() / "known_hosts"
    copy.write_bytes(mine.read_bytes() if mine.exists() else b"")
    options = ("-F", home() / "config", "-o", f'UserKnownHostsFile="{copy}"', "-o", "BatchMode=yes")
    command = ["ssh", *options, "bench", "echo here"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.stdout == "here\n" else done.stderr or f"status {done.returncode}"


def reach(accept: bool = False) -> list[str]:
    """Connect to bench as a search would; return what was told. ssh agrees, where it is asked."""
    if accept or "UserKnownHostsFile" in (home() / "config").read_text():
        return reached(accept)
    refusal = refusal_of_ssh()
    try:
        told = reached(accept)
    except HostKeyError:
        assert refusal, "ssh takes it"
        raise
    assert not refusal
    return told


def reached(accept: bool) -> list[str]:
    """Connect to bench, whatever ssh would do; return what was told."""
    told: list[str] = []
    access = Access(accept_new_host_key=accept, told=told.append)
    login = Login(access.accept_new_host_key, None, access.told)
    server = ssh_config.endpoint(Connection("bench"), told.append)
    link = connect(server, login)
    channel = link.run("echo here")
    assert channel.recv(10) == b"here\n"
    link.close()
    return told


def public(path: Path) -> str:
    """Return type and Base64 of a key."""
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


class Authority:
    """Signs the host key of a board that shows its certificate."""

    def __init__(self, folder: Path, kind: str = "ed25519") -> None:
        self.key = folder / f"authority-{kind}"
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(self.key)]
        subprocess.run(command, check=True)

    def sign(self, board: LoopbackBoard, *options: str) -> None:
        command = ["ssh-keygen", "-q", "-s", str(self.key), "-I", "board", "-h", *options]
        subprocess.run([*command, str(board.host_key) + ".pub"], check=True)

    def line(self, names: str) -> str:
        return f"@cert-authority {names} {public(self.key)}\n"
