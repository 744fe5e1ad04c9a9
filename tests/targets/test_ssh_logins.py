"""Every way in that ssh finds: agents, certificates, questions, commands; and what is printed."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from edgenas.core.errors import TargetError
from edgenas.targets.config import Access, Connection
from edgenas.targets.remote import ssh_config
from edgenas.targets.remote.ssh_config import Endpoint
from edgenas.targets.remote.transport import LinkLostError, Login, LoginError, connect
from edgenas.targets.ssh import create
from helpers.boards import loopback
from helpers.boards.loopback import LoopbackBoard, make_key

pytestmark = pytest.mark.skipif(bool(loopback.MISSING), reason=loopback.MISSING)


def user_folder() -> Path:
    return Path("~/.ssh").expanduser()


def configure(board: LoopbackBoard, *lines: str) -> None:
    text = f"Host bench\n HostName 127.0.0.1\n Port {board.port}\n User {board.user}\n"
    (user_folder() / "config").write_text(text + "".join(f" {line}\n" for line in lines))


def reach(ask: Callable[[str], str] | None = None) -> None:
    link = connect(ssh_config.endpoint(Connection("bench")), Login(ask_password=ask))
    assert link.run("echo here").recv(10) == b"here\n"
    link.close()


def nobody(prompt: str) -> str:
    raise AssertionError(f"somebody was asked: {prompt}")


# ---------------------------------------------------------------- agents


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Start an agent that holds keys; return its socket."""
    started = []

    def start(*keys: Path) -> Path:
        path = tmp_path / f"agent{len(started)}"
        started.append(subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL))
        deadline = time.monotonic() + 60
        while not path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
        subprocess.run(["ssh-add", "-q", *keys], env=environment, check=True, capture_output=True)
        return path

    yield start
    for process in started:
        process.terminate()
        process.wait()


@pytest.mark.smoke
def test_public_file_names_the_agents_key(board: LoopbackBoard, agent: Callable[..., Path]) -> None:
    held = agent(make_key(board.folder / "another"), board.user_key)
    board.user_key.unlink()
    public = f"IdentityFile {board.user_key}.pub"
    configure(board, public, "IdentitiesOnly yes", f"IdentityAgent {held}")
    reach(nobody)
    configure(board, public, "IdentitiesOnly yes", "IdentityAgent none")
    with pytest.raises(LoginError, match="no agent holds its private key"):
        reach(nobody)


@pytest.mark.parametrize("form", ["OpenSSH", "PEM"])
def test_nobody_is_asked_for_a_passphrase_of_a_key_that_the_agent_holds(
    board: LoopbackBoard, agent: Callable[..., Path], form: str
) -> None:
    if form == "PEM":
        board.user_key.unlink()
        kind = ["-t", "rsa", "-m", "PEM"]
        subprocess.run(["ssh-keygen", "-q", *kind, "-N", "", "-f", board.user_key], check=True)
        public = board.user_key.with_suffix(".pub").read_text()
        (board.folder / "authorized_keys").write_text(public)
    held = agent(board.user_key)
    change = ["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", str(board.user_key)]
    change += ["-m", "PEM"] if form == "PEM" else []
    subprocess.run(change, check=True, stdout=subprocess.DEVNULL)
    configure(
        board, f"IdentityFile {board.user_key}", "IdentitiesOnly yes", f"IdentityAgent {held}"
    )
    reach(nobody)


def test_passphrase_is_asked_for_when_no_other_key_has_helped(board: LoopbackBoard) -> None:
    locked = make_key(board.folder / "locked")
    change = ["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", str(locked)]
    subprocess.run(change, check=True, stdout=subprocess.DEVNULL)
    configure(board, f"IdentityFile {locked}", f"IdentityFile {board.user_key}")
    reach(nobody)


def test_agent_of_the_environment(
    board: LoopbackBoard, agent: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(board)
    with pytest.raises(LoginError):
        reach(nobody)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent(board.user_key)))
    reach(nobody)
    configure(board, "IdentitiesOnly yes")
    with pytest.raises(LoginError):
        reach(nobody)


def test_more_keys_than_the_board_listens_to(
    board: LoopbackBoard, agent: Callable[..., Path]
) -> None:
    wrong = [make_key(board.folder / f"wrong{index}") for index in range(7)]
    held = agent(*wrong, board.user_key)
    configure(board, f"IdentityAgent {held}")
    with pytest.raises(LoginError, match="too many keys were offered") as refused:
        reach(nobody)
    assert "IdentityFile" in refused.value.hint and "IdentitiesOnly yes" in refused.value.hint
    # what the hint says is a remedy; and a key that is named comes before the agent's others
    configure(
        board, f"IdentityAgent {held}", f"IdentityFile {board.user_key}", "IdentitiesOnly yes"
    )
    reach(nobody)
    configure(board, f"IdentityAgent {held}", f"IdentityFile {board.user_key}")
    reach(nobody)


def test_methods_that_are_preferred_are_the_only_ones(
    board: LoopbackBoard, agent: Callable[..., Path]
) -> None:
    held = agent(*(make_key(board.folder / f"wrong{index}") for index in range(7)))
    configure(board, f"IdentityAgent {held}", "PreferredAuthentications password")
    with pytest.raises(LoginError, match=r"refuses the user .*tried: nothing"):
        reach(nobody)


def test_agent_that_refuses_to_sign_hides_no_other_key(
    board: LoopbackBoard, agent: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")  # which says no
    other = make_key(board.folder / "other")
    with (board.folder / "authorized_keys").open("a") as file:
        file.write(other.with_suffix(".pub").read_text())
    held = agent("-c", other)
    configure(board, f"IdentityAgent {held}", f"IdentityFile {board.user_key}")
    reach(nobody)


def test_board_may_want_two_keys(board: LoopbackBoard) -> None:
    board.stop()
    board.settings = ("AuthenticationMethods publickey,publickey",)
    board.start()
    other = make_key(board.folder / "other")
    with (board.folder / "authorized_keys").open("a") as file:
        file.write(other.with_suffix(".pub").read_text())
    configure(board, f"IdentityFile {board.user_key}")
    with pytest.raises(LoginError):
        reach(nobody)
    configure(board, f"IdentityFile {board.user_key}", f"IdentityFile {other}")
    reach(nobody)


@pytest.mark.parametrize("path", ["/nowhere/agent", "NOT_A_SOCKET"])
def test_agent_that_is_gone_hides_no_other_key(board: LoopbackBoard, path: str) -> None:
    path = path.replace("NOT_A_SOCKET", str(board.user_key))
    configure(board, f"IdentityAgent {path}", f"IdentityFile {board.user_key}")
    reach(nobody)


@pytest.mark.smoke
@pytest.mark.parametrize("named", ["CertificateFile", "beside the key", "in the agent"])
def test_certificate_of_a_user(
    board: LoopbackBoard, agent: Callable[..., Path], tmp_path: Path, named: str
) -> None:
    authority = make_key(tmp_path / "authority")
    command = ["ssh-keygen", "-q", "-s", authority, "-I", "me", "-n", board.user]
    subprocess.run([*command, f"{board.user_key}.pub"], check=True)
    board.stop()
    board.settings = (f"TrustedUserCAKeys {authority}.pub", "AuthorizedKeysFile none")
    board.start()
    certificate = Path(f"{board.user_key}-cert.pub")
    lines = [f"IdentityFile {board.user_key}"]
    if named == "CertificateFile":
        certificate = certificate.rename(tmp_path / "my certificate.pub")
        lines.append(f'CertificateFile "{certificate}"')
    elif named == "in the agent":
        lines = [f"IdentityAgent {agent(board.user_key)}"]
        certificate.unlink()
    configure(board, *lines)
    reach(nobody)


# ---------------------------------------------------------------- questions


class AskingServer(paramiko.ServerInterface):
    """Lets in who needs no password, or answers what it asks."""

    def __init__(self, methods: str, questions: list[list[str]]) -> None:
        self._methods = methods
        self._left = list(questions)

    def get_allowed_auths(self, username: str) -> str:
        return self._methods

    def check_auth_none(self, username: str) -> int:
        return paramiko.AUTH_FAILED if self._methods else paramiko.AUTH_SUCCESSFUL

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery:
        return self._next()

    def check_auth_interactive_response(self, responses: list[str]) -> object:
        if responses != [answer_to(text) for text in self._now]:
            return paramiko.AUTH_FAILED
        return self._next() if self._left else paramiko.AUTH_SUCCESSFUL

    def _next(self) -> paramiko.InteractiveQuery:
        self._now = self._left.pop(0)
        return paramiko.InteractiveQuery("", "", *self._now)


def answer_to(text: str) -> str:
    return "s3cret" if "assword" in text else "123456"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Endpoint]]:
    key = make_key(tmp_path / "server_key")
    open_things: list[object] = []

    def start(
        methods: str, questions: list[list[str]], kind: type[AskingServer] = AskingServer
    ) -> Endpoint:
        listener = socket.create_server(("127.0.0.1", 0))
        open_things.append(listener)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    transport = paramiko.Transport(listener.accept()[0])
                    open_things.append(transport)
                    transport.add_server_key(paramiko.PKey.from_path(key))
                    with contextlib.suppress(EOFError, paramiko.SSHException):
                        transport.start_server(server=kind(methods, questions))

        threading.Thread(target=accept, daemon=True).start()
        port = listener.getsockname()[1]
        return Endpoint("here", "127.0.0.1", port, "me", known_hosts=(tmp_path / "known",))

    yield start
    for thing in open_things:
        thing.close()  # type: ignore[attr-defined]


def test_account_without_a_password(serve: Callable[..., Endpoint]) -> None:
    connect(serve("", []), Login(True, nobody)).close()


@pytest.mark.parametrize(
    "questions",
    [
        [["Password: "]],
        [["Password: "], ["Verification code: "]],
        [["Password: ", "Verification code: "]],
        [["Verification code: "], []],
    ],
)
def test_board_may_ask_more_than_one_question(
    serve: Callable[..., Endpoint], questions: list[list[str]]
) -> None:
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return answer_to(prompt)

    connect(serve("keyboard-interactive", questions), Login(True, ask)).close()
    expected = [text.rstrip() for page in questions for text in page]
    assert len(prompts) == len(expected)
    for prompt, text in zip(prompts, expected, strict=True):
        usual = "Password of me@127.0.0.1: "
        assert prompt == (usual if text == "Password:" else f"(me@127.0.0.1) {text} ")


class TwoStepServer(AskingServer):
    """Wants a key, and then a password."""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._methods = "password"
        return paramiko.AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if password == "s3cret" else paramiko.AUTH_FAILED


def test_board_may_want_a_key_and_a_password(
    serve: Callable[..., Endpoint], tmp_path: Path
) -> None:
    server = serve("publickey", [], TwoStepServer)
    key = make_key(tmp_path / "key")
    connect(replace(server, key_files=(str(key),)), Login(True, answer_to)).close()


def test_question_cannot_write_to_the_terminal(serve: Callable[..., Endpoint]) -> None:
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return answer_to(prompt)

    connect(serve("keyboard-interactive", [["\x1b]0;x\x07Code\r\n: "]]), Login(True, ask)).close()
    assert prompts[0].isprintable() and "Code" in prompts[0]


def test_nobody_is_asked_without_a_terminal_or_in_batch_mode(
    serve: Callable[..., Endpoint],
) -> None:
    server = serve("password,keyboard-interactive", [["Password: "]])
    with pytest.raises(LoginError, match="tried: nothing"):
        connect(server, Login(True))
    with pytest.raises(LoginError, match="tried: nothing"):
        connect(replace(server, batch=True), Login(True, nobody))
    with pytest.raises(LoginError, match="tried: nothing"):
        connect(replace(server, methods=("publickey",)), Login(True, nobody))


# ---------------------------------------------------------------- commands in the place of a link


@pytest.fixture
def relay(tmp_path: Path) -> Path:
    path = tmp_path / "a relay"
    path.write_text(
        f"#!{sys.executable}\nimport os, socket, sys, threading\n"
        "link = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while content := os.read(0, 65536): link.sendall(content)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while content := link.recv(65536): os.write(1, content)\n"
    )
    path.chmod(0o755)
    return path


@pytest.mark.smoke
def test_command_is_run_by_a_shell_with_the_port_that_is_used(
    board: LoopbackBoard, relay: Path
) -> None:
    config = user_folder() / "config"
    config.write_text(
        f"IdentityFile {board.user_key}\nProxyCommand '{relay}' ${{NO_SUCH:-127.0.0.1}} %p\n"
    )
    (user_folder() / "known_hosts").write_text(board.known_hosts_line())
    server = ssh_config.endpoint(Connection("127.0.0.1", board.user, board.port))
    link = connect(server, Login())
    assert link.run("echo here").recv(10) == b"here\n"
    link.close()


def test_command_that_fails_is_quoted(board: LoopbackBoard) -> None:
    configure(board, "ProxyCommand echo no way through >&2; exit 3")
    with pytest.raises(LinkLostError, match="its ProxyCommand says: no way through"):
        reach()


# ---------------------------------------------------------------- what start-up files print


def probe(board: LoopbackBoard, **setup: object) -> None:
    one = create(board.target_config(setup=setup), Access())
    try:
        one.probe()
    finally:
        one.close()


def shell(board: LoopbackBoard, does: str) -> None:
    """Let the board's start-up files do something before each command."""
    path = board.folder / "shell"
    path.write_text(f'#!/bin/sh\n{does}\nexec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n')
    path.chmod(0o755)
    board.stop()
    board.settings = (f"ForceCommand {path}",)
    board.start()


@pytest.mark.parametrize(
    "prints",
    ["printf '\\033]0;board\\007'", "printf 'Welcome\\nto the board: '", "echo; echo x >&2"],
)
def test_greeting_is_found_wherever_it_stands(board: LoopbackBoard, prints: str) -> None:
    shell(board, prints)
    probe(board)


@pytest.mark.parametrize(
    ("does", "quoted"),
    [
        ("echo Please login as the user pi.; exit 142", "status 142: Please login as the user pi"),
        ("printf 'no newline'; exit 1", "status 1: no newline"),
        ("echo ignored; echo broken profile >&2; exit 2", "status 2: broken profile"),
        ("echo not here >&2; exit 127", "has no '.*': not here"),
    ],
)
def test_failure_quotes_what_the_board_said(board: LoopbackBoard, does: str, quoted: str) -> None:
    shell(board, does)
    with pytest.raises(TargetError, match=quoted):
        probe(board)


def test_start_up_that_waits_is_quoted(board: LoopbackBoard) -> None:
    shell(board, "printf 'Press Enter: '; sleep 60")
    with pytest.raises(LinkLostError, match="it said: Press Enter:"):
        probe(board, silence_s=2.0)


def test_python_in_the_boards_home(board: LoopbackBoard) -> None:
    folder = board.home / "my venv"
    folder.mkdir()
    (folder / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (folder / "python").chmod(0o755)
    probe(board, python="~/my venv/python")
