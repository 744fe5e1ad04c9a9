"""Which keys a server may show: the lines of known_hosts files, certificates, what is stored."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgenas.core.errors import TargetError
from edgenas.targets.remote.host_keys import HostKeyError
from helpers.boards import loopback
from helpers.boards.bench import Authority, configure, home, public, reach, reached
from helpers.boards.loopback import LoopbackBoard, make_key


@pytest.fixture
def other(tmp_path: Path) -> str:
    return public(make_key(tmp_path / "other"))


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_any_of_several_keys_of_one_type(
    board: LoopbackBoard, other: str, hashed: bool, first: bool
) -> None:
    configure(board)
    mine, theirs = board.known_hosts_line(), f"[127.0.0.1]:{board.port} {other}\n"
    file = home() / "known_hosts"
    file.write_text(mine + theirs if first else theirs + mine)
    if hashed:
        subprocess.run(["ssh-keygen", "-H", "-f", file], check=True, capture_output=True)
        assert "127.0.0.1" not in file.read_text()
    assert reach() == []
    file.write_text(theirs)
    with pytest.raises(HostKeyError, match="has CHANGED"):
        reach(accept=True)


@pytest.mark.parametrize(
    "before",
    [
        b"@revoked old-board ssh-ed25519 AAAAC3Nza\n",
        b"@revoked * ssh-ed25519 AAAAC3Nza\n",
        b"\x00\xff\xfe binary \x80 junk\n",
        b"[127.0.0.1]:PORT ssh-ed25519\n",
        b"[127.0.0.1]:PORT ssh-ed25519 !!!\n",
        b"[127.0.0.1]:PORT ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n",
        b"[127.0.0.1]:PORT frobnicated AAAAC3NzaC1lZDI1NTE5AAAAIA==\n",
        b"[127.0.0.1]:PORT 1024 35 1234567\n",
        b"@unknown-marker [127.0.0.1]:PORT ssh-ed25519 AAAA\n",
        b"|1|not base64|at all ssh-ed25519 AAAA\n",
        b"|2|x|y ssh-ed25519 AAAA\n",
        b"  # a comment\n\n\t\n",
    ],
)
def test_line_that_cannot_be_read_is_passed_over(board: LoopbackBoard, before: bytes) -> None:
    configure(board)
    line = board.known_hosts_line().encode()
    before = before.replace(b"PORT", str(board.port).encode())
    (home() / "known_hosts").write_bytes(before + b"  " + line.rstrip() + b" a comment\r\n")
    assert reach() == []


@pytest.mark.parametrize(
    ("names", "known"),
    [
        ("[127.0.0.*]:*", True),
        ("other,[127.0.0.1]:*", True),
        ("[127.0.0.*]:*,![127.0.0.1]:*", False),
        ("127.0.0.1", True),  # ssh looks without the port, too
        ("127.*", True),
        ("bench", False),
    ],
)
def test_patterns_of_names(board: LoopbackBoard, names: str, known: bool) -> None:
    configure(board)
    (home() / "known_hosts").write_text(f"{names} {public(board.host_key)}\n")
    if known:
        assert reach() == []
    else:
        with pytest.raises(HostKeyError, match="not known yet"):
            reach()


def test_key_of_another_name_may_be_revoked(board: LoopbackBoard) -> None:
    configure(board)
    revoked = f"@revoked old-board {public(board.host_key)}\n"
    (home() / "known_hosts").write_text(revoked + board.known_hosts_line())
    assert reach() == []
    (home() / "known_hosts").write_text(
        revoked.replace("old-board", "*") + board.known_hosts_line()
    )
    with pytest.raises(HostKeyError, match="revoked"):
        reach(accept=True)


def test_alias_is_what_the_key_is_known_and_stored_by(board: LoopbackBoard) -> None:
    configure(board, "HostKeyAlias jetson-3", "HashKnownHosts no")
    file = home() / "known_hosts"
    file.write_text(f"jetson-3 {public(board.host_key)}\n")
    assert reach() == []
    file.write_text("")
    with pytest.raises(HostKeyError, match="not known yet"):
        reach()
    assert len(reach(accept=True)) == 1
    assert file.read_text() == f"jetson-3 {public(board.host_key)}\n"
    assert reach() == []


def test_new_keys_are_stored_under_a_hash_where_ssh_would_store_them_so(
    board: LoopbackBoard,
) -> None:
    configure(board, "HashKnownHosts yes")
    (home() / "known_hosts").write_text("")
    assert len(reach(accept=True)) == 1
    stored = (home() / "known_hosts").read_text()
    assert stored.startswith("|1|") and "127.0.0.1" not in stored
    assert reach() == []  # ssh finds it, too


def test_file_whose_name_has_a_space_is_one_file(board: LoopbackBoard, other: str) -> None:
    configure(board, f'UserKnownHostsFile "{home()}/known lab"')
    (home() / "known_hosts").unlink()
    reach(accept=True)
    assert sorted(path.name for path in home().iterdir()) == ["config", "known lab"]
    assert reach() == []
    file = home() / "known lab"
    file.write_text(f"[127.0.0.1]:{board.port} {other}\n")
    with pytest.raises(HostKeyError, match="CHANGED") as changed:
        reach()
    # the command that is named removes the old key
    command = changed.value.hint.partition(": ")[2].partition(", then")[0]
    assert command.startswith("ssh-keygen ")
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    assert file.read_text() == ""


def test_none_is_no_file(
    board: LoopbackBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    configure(board, "UserKnownHostsFile none")
    before = (home() / "known_hosts").read_bytes()
    with pytest.raises(HostKeyError, match="not known yet"):
        reach()
    (told,) = reach(accept=True)
    assert "for this time" in told
    assert (home() / "known_hosts").read_bytes() == before
    assert not any(path.name == "none" for path in (*tmp_path.iterdir(), *home().iterdir()))


def test_global_file_counts(board: LoopbackBoard, tmp_path: Path) -> None:
    configure(board, f'GlobalKnownHostsFile "{tmp_path}/all of us"')
    (home() / "known_hosts").rename(tmp_path / "all of us")
    assert reach() == []


def test_strictness_is_the_users(board: LoopbackBoard, other: str) -> None:
    file = home() / "known_hosts"
    file.write_text("")
    configure(board, "StrictHostKeyChecking yes")
    with pytest.raises(HostKeyError, match="not known yet"):
        reach()
    configure(board, "StrictHostKeyChecking accept-new", "HashKnownHosts no")
    assert len(reach()) == 1
    assert file.read_text() == board.known_hosts_line()
    file.write_text(f"[127.0.0.1]:{board.port} {other}\n")
    with pytest.raises(HostKeyError, match="CHANGED"):
        reach()
    configure(board, "StrictHostKeyChecking no")
    (told,) = reach()
    assert "CHANGED" in told and "without passwords" in told
    configure(board, "NoHostAuthenticationForLocalhost yes")
    assert reach() == []


# ---------------------------------------------------------------- certificates


@pytest.fixture
def certified(board: LoopbackBoard) -> Iterator[LoopbackBoard]:
    """A board that shows a certificate, for whatever its file holds when it is started again."""
    board.stop()
    board.settings = (f"HostCertificate {board.host_key}-cert.pub",)
    yield board


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("options", [("-n", "other,127.0.0.1", "-V", "-1m:+1h"), ()])
def test_authority_is_believed(
    certified: LoopbackBoard, tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    authority = Authority(tmp_path, kind)
    authority.sign(certified, *options)
    certified.start()
    configure(certified)
    (home() / "known_hosts").write_text(authority.line("[127.0.0.1]:*"))
    # the newest ssh takes none that names nobody; all before it do
    assert (reach() if options else reached(False)) == []


@pytest.mark.parametrize(
    "options",
    [
        ("-n", "somewhere-else"),
        ("-n", "bench"),
        ("-n", "127.0.0.1", "-V", "-2h:-1h"),
        ("-n", "127.0.0.1", "-V", "+1h:+2h"),
        ("-n", "127.0.0.1", "-O", "critical:frobnicated=yes"),
    ],
)
def test_certificate_that_proves_nothing(
    certified: LoopbackBoard, tmp_path: Path, options: tuple[str, ...]
) -> None:
    authority = Authority(tmp_path)
    authority.sign(certified, *options)
    certified.start()
    configure(certified)
    file = home() / "known_hosts"
    file.write_text(authority.line("*"))
    with pytest.raises(HostKeyError, match="not known yet"):
        reach()
    # the plain key may still be known
    file.write_text(authority.line("*") + certified.known_hosts_line())
    assert reach() == []


def test_authority_for_other_names_and_revoked_ones(
    certified: LoopbackBoard, tmp_path: Path
) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "ecdsa")
    authority.sign(certified, "-n", "127.0.0.1")
    certified.start()
    configure(certified)
    file = home() / "known_hosts"
    for line in (authority.line("*.example"), stranger.line("*")):
        file.write_text(line)
        with pytest.raises(HostKeyError, match="not known yet"):
            reach()
    file.write_text(authority.line("*") + f"@revoked * {public(authority.key)}\n")
    with pytest.raises(TargetError, match="revoked"):
        reach(accept=True)


def test_alias_is_the_name_that_is_certified(certified: LoopbackBoard, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.sign(certified, "-n", "jetson-3")
    certified.start()
    configure(certified, "HostKeyAlias jetson-3")
    (home() / "known_hosts").write_text(authority.line("jetson-*"))
    assert reach() == []


pytestmark = pytest.mark.skipif(bool(loopback.MISSING), reason=loopback.MISSING)
