"""Getting in: addresses, the user's SSH configuration, host keys, keys, passwords, jump hosts."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from edgenas.core.errors import InputError, TargetError
from edgenas.targets.config import Access, Connection, resolve
from edgenas.targets.remote import address, host_keys, ssh_config
from edgenas.targets.remote.ssh_config import Endpoint
from edgenas.targets.remote.transport import LinkLostError, Login, LoginError, connect
from edgenas.targets.ssh import SshTarget, create
from helpers.boards.loopback import LoopbackBoard, make_key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pi@raspberrypi.local", ("pi", "raspberrypi.local", 0)),
        ("pi@10.0.0.7:2222", ("pi", "10.0.0.7", 2222)),
        ("pi@[fe80::1]:22", ("pi", "fe80::1", 22)),
        ("a b'; rm -rf \"$HOME@board", ("a b'; rm -rf \"$HOME", "board", 0)),
        ("me@corp@board", ("me@corp", "board", 0)),
        ("board", ("", "board", 0)),
    ],
)
def test_addresses(text: str, expected: tuple[str, str, int]) -> None:
    read = address.parse_address(text)
    assert (read.user, read.host, read.port) == expected


@pytest.mark.parametrize("text", ["pi@", "@board", "pi@board:ssh", "pi@board:70000", "pi@a:1:2"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InputError, match="is not an address"):
        address.parse_address(text)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh" / "more").mkdir(parents=True)
    return tmp_path


def configure(home: Path, text: str) -> None:
    (home / ".ssh" / "config").write_text(text)


def test_alias_is_completed_by_the_users_configuration(home: Path) -> None:
    configure(home, "Include more/*\nHost *\n  User somebody\n")
    (home / ".ssh/more/boards").write_text(
        "Host desk desk-*\n HostName 10.1.2.3\n Port 2200\n IdentityFile ~/.ssh/board\n"
        " IdentitiesOnly yes\n ProxyJump a@one:1,two\n UserKnownHostsFile ~/known\n"
    )
    server = ssh_config.endpoint(Connection(host="desk"))
    assert (server.host, server.port, server.user) == ("10.1.2.3", 2200, "somebody")
    assert server.key_files == (str(home / ".ssh/board"),) and server.only_these_keys
    assert server.known_hosts == (home / "known",)
    assert server.jump is not None and server.jump.host == "two"
    assert server.jump.jump is not None and str(server.jump.jump) == "a@one:1"
    assert "desk" in ssh_config.aliases() and "desk-*" not in ssh_config.aliases()
    target = resolve("desk")
    assert target.name == "desk"


def test_what_is_typed_wins_over_the_configuration(home: Path) -> None:
    configure(home, "Host desk\n User somebody\n Port 2200\n")
    server = ssh_config.endpoint(Connection(host="desk", user="pi", port=22, key_file="/k"))
    assert (server.user, server.port, server.key_files) == ("pi", 22, ("/k",))


def test_unknown_name_is_no_target(home: Path) -> None:
    configure(home, "Host desk\n")
    with pytest.raises(InputError, match=r"no target 'dseks'.*user@host"):
        resolve("dseks")


def test_jump_hosts_that_go_in_a_circle(home: Path) -> None:
    configure(home, "Host a\n ProxyJump b\nHost b\n ProxyJump a\n")
    with pytest.raises(InputError, match="do not end"):
        ssh_config.endpoint(Connection(host="a"))


# ---------------------------------------------------------------- host keys


Open = Callable[..., SshTarget]


@pytest.fixture
def target(board: LoopbackBoard) -> Iterator[Open]:
    opened = []

    def open_one(access: Access | None = None, **connection: object) -> SshTarget:
        opened.append(create(board.target_config(dict(connection)), access))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def known_hosts() -> Path:
    return Path("~/.ssh/known_hosts").expanduser()


def fingerprint_of(board: LoopbackBoard) -> str:
    return host_keys.fingerprint(paramiko.PKey.from_path(board.host_key))


@pytest.mark.smoke
def test_unknown_host_key_is_shown_and_accepted_once(board: LoopbackBoard, target: Open) -> None:
    (known_hosts().parent / "config").write_text("HashKnownHosts no\n")
    known_hosts().write_text("# mine")  # without an end of line
    with pytest.raises(TargetError) as refused:
        target().probe()
    assert fingerprint_of(board) in refused.value.message
    assert "--accept-new-host-key" in refused.value.hint
    assert known_hosts().read_text() == "# mine"
    told: list[str] = []
    target(Access(accept_new_host_key=True, told=told.append)).probe()
    assert fingerprint_of(board) in told[0]
    assert known_hosts().read_text() == "# mine\n" + board.known_hosts_line()
    target().probe()


def test_fingerprint_is_what_ssh_keygen_prints(board: LoopbackBoard) -> None:
    import subprocess

    printed = subprocess.check_output(["ssh-keygen", "-lf", board.host_key], text=True)
    assert printed.split()[1] == fingerprint_of(board).split()[1]


@pytest.mark.parametrize("accept", [False, True])
def test_changed_host_key_is_always_refused(
    board: LoopbackBoard, target: Open, tmp_path: Path, accept: bool
) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()[1]
    known_hosts().write_text(f"[127.0.0.1]:{board.port} ssh-ed25519 {other}\n")
    before = known_hosts().read_text()
    with pytest.raises(host_keys.HostKeyError, match="CHANGED") as refused:
        target(Access(accept_new_host_key=accept)).probe()
    assert f"ssh-keygen -R '[127.0.0.1]:{board.port}'" in refused.value.hint
    assert known_hosts().read_text() == before


def test_revoked_host_key_is_refused(board: LoopbackBoard, target: Open) -> None:
    known_hosts().write_text("@revoked * " + board.known_hosts_line().split(" ", 1)[1])
    with pytest.raises(host_keys.HostKeyError, match="revoked"):
        target(Access(accept_new_host_key=True)).probe()


@pytest.mark.smoke
def test_hashed_name_is_known(board: LoopbackBoard, target: Open) -> None:
    name = f"[127.0.0.1]:{board.port}"
    line = board.known_hosts_line().replace(name, paramiko.HostKeys.hash_host(name))
    known_hosts().write_text(line)
    target().probe()


# ---------------------------------------------------------------- authentication


def test_wrong_key_says_what_was_tried(board: LoopbackBoard, target: Open, tmp_path: Path) -> None:
    wrong = make_key(tmp_path / "wrong")
    with pytest.raises(LoginError) as refused:
        target(key_file=str(wrong)).probe()
    assert str(wrong) in refused.value.message and "ssh-copy-id" in refused.value.hint


def test_missing_key_file_is_named(board: LoopbackBoard, target: Open) -> None:
    with pytest.raises(LoginError, match=r"/nowhere \(missing\)"):
        target(key_file="/nowhere").probe()


def test_wrong_user_with_metacharacters(board: LoopbackBoard, target: Open, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(LoginError, match="refuses the user"):
        target(user=f"a'; touch {mark}; $(touch {mark})").probe()
    assert not mark.exists()


def test_encrypted_key_asks_for_its_passphrase(board: LoopbackBoard, target: Open) -> None:
    import subprocess

    change = ["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", str(board.user_key)]
    subprocess.run(change, check=True, stdout=subprocess.DEVNULL)
    with pytest.raises(LoginError, match="encrypted") as refused:
        target().probe()
    assert f"ssh-add {board.user_key}" in refused.value.hint
    with pytest.raises(LoginError, match="wrong passphrase"):
        target(Access(ask_password=lambda prompt: "wrong")).probe()
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return "open sesame"

    one = target(Access(ask_password=ask))
    one.probe()
    one.close()
    one.probe()  # a new connection does not ask again
    assert prompts == [f"Passphrase of {board.user_key}: "]


class PasswordServer(paramiko.ServerInterface):
    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_none(self, username: str) -> int:
        return paramiko.AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if password == "s3cret" else paramiko.AUTH_FAILED


@pytest.fixture
def password_server(home: Path) -> Iterator[Endpoint]:
    key = make_key(home / "server_key")
    listener = socket.create_server(("127.0.0.1", 0))
    open_transports = []

    def serve() -> None:
        while True:
            try:
                made, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(made)
            transport.add_server_key(paramiko.PKey.from_path(key))
            transport.start_server(server=PasswordServer())
            open_transports.append(transport)

    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    yield Endpoint("here", "127.0.0.1", port, "me", known_hosts=(home / "known",))
    listener.close()
    for transport in open_transports:
        transport.close()


@pytest.mark.smoke
def test_password_is_asked_again_when_wrong_and_never_kept(
    password_server: Endpoint, caplog: pytest.LogCaptureFixture, home: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = iter(["wrong", "s3cret"])
    login = Login(True, lambda prompt: next(answers))
    connect(password_server, login).close()
    connect(password_server, login).close()  # as after a cut: nobody is asked
    assert "s3cret" not in repr(login) and "s3cret" not in caplog.text
    assert all(b"s3cret" not in path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_three_wrong_passwords_are_enough(password_server: Endpoint) -> None:
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return "wrong"

    with pytest.raises(LoginError, match="tried: password"):
        connect(password_server, Login(True, ask))
    assert prompts == ["Password of me@127.0.0.1: "] * 3


# ---------------------------------------------------------------- reaching


def test_nothing_listens(board: LoopbackBoard, target: Open) -> None:
    board.link.cut()
    with pytest.raises(LinkLostError, match="cannot be reached") as lost:
        target().probe()
    assert "ssh -v" in lost.value.hint


def test_name_that_does_not_exist(board: LoopbackBoard, target: Open) -> None:
    with pytest.raises(LinkLostError, match="name is not known"):
        target(host="no-such-board.invalid").probe()


def test_server_that_says_nothing(board: LoopbackBoard) -> None:
    board.link.silence()
    server = ssh_config.endpoint(board.target_config().connection)
    with pytest.raises(LinkLostError, match="cannot be reached"):
        connect(server, Login(silence_s=0.5))


@pytest.mark.smoke
def test_through_a_jump_host(board: LoopbackBoard) -> None:
    inner = LoopbackBoard().start()
    try:
        known_hosts().write_text(
            board.known_hosts_line() + inner.known_hosts_line(inner.link.behind)
        )
        Path("~/.ssh/config").expanduser().write_text(
            f"Host jump\n HostName 127.0.0.1\n Port {board.port}\n User {board.user}\n"
            f" IdentityFile {board.user_key}\n"
        )
        link = connect(
            ssh_config.endpoint(
                Connection("127.0.0.1", inner.user, inner.link.behind, str(inner.user_key), "jump")
            ),
            Login(),
        )
        channel = link.run("echo $SSH_CONNECTION")
        assert channel.recv(100).split()[3] == str(inner.link.behind).encode()
        assert board.link.sent_bytes > 0
        link.close()
    finally:
        inner.close()
