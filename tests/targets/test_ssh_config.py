"""The user's SSH configuration: asked of ssh, or read where it cannot be asked."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

import pytest

from edgenas.core.errors import InputError
from edgenas.targets.config import Connection, resolve
from edgenas.targets.remote import address, ssh_config
from edgenas.targets.remote.ssh_config import Endpoint


@pytest.fixture(params=["asked", "read"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, once with ssh installed and once without."""
    monkeypatch.setenv("HOME", str(tmp_path))
    if request.param == "read":
        monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def lookup(home: Path, text: str, typed: str = "bench") -> tuple[Endpoint, list[str]]:
    """Return what a name leads to, and the warnings."""
    (home / ".ssh" / "config").write_text(text.replace("HOME", str(home)))
    told: list[str] = []
    return ssh_config.endpoint(address.parse_address(typed), told.append), told


BENCH = "Host bench\n  HostName 127.0.0.1\n  Port 2022\n  IdentityFile /k\n"


@pytest.mark.parametrize(
    "block",
    [
        "Match host somewhere-else\n  User other\n",
        "Match host=vpn*\n  ProxyJump gateway.invalid\n",
        "Match final all\n  ServerAliveInterval 30\n",
        "Match !originalhost bench\n  User other\n",
        "Match exec false\n  User other\n",
        "Match localuser nobody-here\n  User other\n",
        "Match originalhost 127.0.0.1\n  User other\n",
        'Match user "x*,y*"\n  Port 1\n',
        "Match canonical\n  User other\n",
        "Host *.work.example\n  Include HOME/.ssh/work\n",
    ],
)
def test_block_for_another_connection_changes_nothing(home: Path, block: str) -> None:
    (home / ".ssh" / "work").write_text("User other\nHost bench\n  User other\n")
    for text in (block + BENCH, BENCH + block):
        server, told = lookup(home, text)
        assert (server.host, server.port, server.user) == ("127.0.0.1", 2022, getpass.getuser())
        assert server.jump is None and server.key_files == ("/k",) and not told


@pytest.mark.parametrize(
    "line",
    [
        "Match all",
        "Match host 127.0.0.1",
        "Match host=127.*",
        "Match originalhost bench",
        "Match !originalhost other exec true",
        'Match exec "test %n-%h-%p = bench-127.0.0.1-2022"',
        "Match final",
        "Match canonical",
        "Host b?nch # mine",
        'Host "bench"',
        "Host bench !other",
    ],
)
def test_block_for_this_connection_counts(home: Path, line: str) -> None:
    server, told = lookup(home, f"CanonicalizeHostname yes\n{BENCH}{line}\n  User chosen\n")
    assert server.user == "chosen" and not told


@pytest.mark.parametrize(
    "criterion",
    ["frobnicated 203.0.113.0/24", "host", "all host bench", "!frobnicated x", '"host bench'],
)
def test_block_that_is_not_understood_costs_only_itself(home: Path, criterion: str) -> None:
    text = f"IdentityFile /k\nMatch {criterion}\n  ProxyJump gateway.invalid\nHost *\n  User pi\n"
    server, told = lookup(home, text, "127.0.0.1:2022")
    assert server.jump is None and server.user == "pi" and server.key_files == ("/k",)
    assert len(told) == 1 and "config line 2" in told[0]


def test_lines_that_are_not_understood_are_named_in_one_warning(home: Path) -> None:
    server, told = lookup(home, 'Frobnicate yes\nPort many\nUser "pi\nUser dev\nHostName here\n')
    assert (server.user, server.port, server.host) == ("dev", 22, "here")
    (warning,) = told
    assert all(f"config line {number}" in warning for number in (1, 2, 3))


def test_what_is_to_be_ignored_is_no_fault(home: Path) -> None:
    server, told = lookup(home, "IgnoreUnknown Frob*,UseKeychain\nFrobnicate yes\nUser pi\n")
    assert server.user == "pi" and not told


@pytest.mark.parametrize("pattern", ["HOME/.ssh/sites/*/config", "HOME/.ssh/s?tes/lab/con*"])
def test_wildcards_count_in_every_part_of_an_included_path(home: Path, pattern: str) -> None:
    (home / ".ssh" / "sites" / "lab").mkdir(parents=True)
    (home / ".ssh" / "sites" / "lab" / "config").write_text(BENCH)
    server, told = lookup(home, f"Include {pattern} # all of them\nUser pi\n")
    # what stands after an included file is outside its blocks
    assert (server.port, server.user) == (2022, "pi") and not told


def test_include_without_a_root_is_below_the_users_own_folder(home: Path) -> None:
    (home / ".ssh" / "more").mkdir()
    (home / ".ssh" / "more" / "boards").write_text(BENCH)
    assert lookup(home, "Include more/*\n")[0].port == 2022
    assert lookup(home, "Include ~/.ssh/more/b*\n")[0].port == 2022


@pytest.mark.parametrize(
    ("jump", "expected"),
    [
        ("ssh://pi@gate:2022", ["pi@gate:2022"]),
        ("gate:ssh # the front door", ["me@gate:22"]),
        ("a@one:1,two", ["me@two:22", "a@one:1"]),
        ("pi@[::1]:99", ["pi@::1:99"]),
        ("none", []),
    ],
)
def test_jump_hosts(home: Path, jump: str, expected: list[str]) -> None:
    server, _ = lookup(home, f"Match originalhost bench\n ProxyJump {jump}\nMatch all\n User me\n")
    hops, hop = [], server.jump
    while hop is not None:
        hops.append(str(hop))
        hop = hop.jump
    assert hops == expected


def test_first_of_jump_and_command_counts(home: Path) -> None:
    server, _ = lookup(home, "Host bench\n ProxyCommand nc %h %p\n ProxyJump gate\n")
    assert server.jump is None and server.proxy_command == "nc bench 22"
    server, _ = lookup(home, "Host bench\n ProxyJump gate\n ProxyCommand nc %h %p\n")
    assert server.proxy_command is None
    assert server.jump is not None and server.jump.host == "gate"
    server, _ = lookup(home, "Host bench\n ProxyJump none\n ProxyCommand nc %h %p\n")
    assert server.jump is None and server.proxy_command == "nc bench 22"
    server, _ = lookup(home, "Host bench\n ProxyCommand none\n ProxyJump gate\n")
    assert server.jump is None and server.proxy_command is None


def test_command_has_the_port_and_user_that_are_used(home: Path) -> None:
    text = "ProxyCommand nc ${ADDR:-%h} %p -u %r -n %n %%\nPort 99\nHostName 10.0.0.1\n"
    server, _ = lookup(home, text, "pi@board:2022")
    assert server.proxy_command == "nc ${ADDR:-10.0.0.1} 2022 -u pi -n board %"


@pytest.mark.parametrize("user", ["a;touch x", "$(touch x)", "a'b", "-oX"])
def test_user_cannot_write_the_command_that_is_run(home: Path, user: str) -> None:
    (home / ".ssh" / "config").write_text("ProxyCommand nc %r %h\n")
    with pytest.raises(InputError, match="must not get into a command"):
        ssh_config.endpoint(Connection("board", user))


@pytest.mark.parametrize("home", ["read"], indirect=True)
def test_user_cannot_write_the_command_that_chooses_a_block(home: Path) -> None:
    """ssh 9.6 and later refuse such a user themselves."""
    text = f'Match exec "test %r = x; touch {home}/mark"\n  Port 99\n'
    (home / ".ssh" / "config").write_text(text)
    told: list[str] = []
    server = ssh_config.endpoint(Connection("board", "x;true"), told.append)
    assert server.port == 22 and not (home / "mark").exists()
    assert len(told) == 1 and "config line 1" in told[0]


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "a;b", "a b", "$(touch x)", "a`b"])
def test_host_that_ssh_refuses(home: Path, host: str) -> None:
    with pytest.raises(InputError, match="not the name of a host"):
        ssh_config.endpoint(Connection(host))


def test_zone_of_an_address(home: Path) -> None:
    server, _ = lookup(home, "Host jet\n  HostName fe80::1%%usb0\n", "jet")
    assert server.host == "fe80::1%usb0"


def test_files_whose_names_have_spaces_tokens_and_variables(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "/a place")
    text = (
        'Host bench\n UserKnownHostsFile "HOME/.ssh/known lab" ~/.ssh/%h-%p\n'
        ' IdentityFile "~/.ssh/my key %r"\n IdentityFile ${PLACE}/%n\n'
        ' CertificateFile "/c/a cert.pub"\n GlobalKnownHostsFile none\n HostKeyAlias Jetson-3\n'
        " IdentityAgent ~/.ssh/agent\n IdentitiesOnly yes\n User pi\n"
    )
    server, told = lookup(home, text)
    assert server.known_hosts == (home / ".ssh/known lab", home / ".ssh/bench-22")
    assert server.key_files == (f"{home}/.ssh/my key pi", "/a place/bench")
    assert server.certificates == ("/c/a cert.pub",) and server.global_known_hosts == ()
    assert server.key_alias == server.known_name == "jetson-3"
    assert server.agent == f"{home}/.ssh/agent" and server.only_these_keys and not told


def test_no_file_is_a_file_called_none(home: Path) -> None:
    server, _ = lookup(home, "UserKnownHostsFile none\nIdentityFile none\nIdentityAgent none\n")
    assert server.known_hosts == () and server.key_files == () and server.usual_keys == ()
    assert server.agent == ""


def test_agent_is_what_a_variable_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/usual")
    monkeypatch.setenv("OTHER", "/other")
    assert lookup(home, "")[0].agent == "/usual"
    assert lookup(home, "IdentityAgent $OTHER\n")[0].agent == "/other"


def test_how_to_log_in_and_connect(home: Path) -> None:
    text = (
        "PasswordAuthentication no\nChallengeResponseAuthentication no\nBatchMode yes\n"
        "NumberOfPasswordPrompts 1\nAddressFamily inet\nConnectTimeout 1m\nPort ssh\n"
        "BindAddress 127.0.0.1\nStrictHostKeyChecking accept-new\n"
    )
    server, _ = lookup(home, text)
    assert server.methods == ("publickey",) and server.batch and server.prompts == 1
    assert server.family == socket.AF_INET and server.connect_s == 60 and server.port == 22
    assert server.bind_address == "127.0.0.1" and server.strict == "accept-new"


def test_methods_are_tried_in_the_users_order(home: Path) -> None:
    text = "PreferredAuthentications gssapi-with-mic,password,publickey\n"
    assert lookup(home, text)[0].methods == ("password", "publickey")


def test_file_of_an_editor_that_marks_its_encoding(home: Path) -> None:
    (home / ".ssh" / "config").write_bytes(b"\xef\xbb\xbfHost bench\r\n Port 99\r\n")
    assert ssh_config.endpoint(Connection("bench")).port == 99
    assert ssh_config.endpoint(Connection("other")).port == 22


def test_bytes_that_are_no_text(home: Path) -> None:
    (home / ".ssh" / "config").write_bytes(b"Host x\xff\n User \xe9\nHost bench\n Port 9\n")
    assert ssh_config.endpoint(Connection("bench")).port == 9
    (home / ".ssh" / "config").write_bytes(b"User \xe9\n")
    with pytest.raises(InputError, match="not text in UTF-8"):
        ssh_config.endpoint(Connection("bench"))


def test_names_of_the_configuration_are_targets(home: Path) -> None:
    (home / ".ssh" / "config").write_text(
        "Host desk lab-*\nMatch originalhost bench-7\nHost *\n User pi\nMatch host other\n"
    )
    assert [resolve(name).name for name in ("desk", "lab-3", "bench-7")]
    with pytest.raises(InputError, match="There is no target 'nosuchhost'") as refused:
        resolve("nosuchhost")
    assert "bench-7" in refused.value.hint
    assert "other" not in refused.value.hint  # what an alias may lead to


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("127.0.0.1", ("", "127.0.0.1", 0)),
        ("127.0.0.1:2022", ("", "127.0.0.1", 2022)),
        ("[::1]:2022", ("", "::1", 2022)),
        ("::1", ("", "::1", 0)),
        ("pi@fe80::1%usb0", ("pi", "fe80::1%usb0", 0)),
        ("pi@[fe80::1%usb0]:22", ("pi", "fe80::1%usb0", 22)),
        ("ssh://pi@board:2022", ("pi", "board", 2022)),
        ("ssh://board", ("", "board", 0)),
        ("ssh://p%69@[::1]:22/", ("pi", "::1", 22)),
        ("localhost", ("", "localhost", 0)),
    ],
)
def test_typed_names_that_are_hosts(home: Path, name: str, expected: tuple[str, str, int]) -> None:
    assert ssh_config.is_host(name)
    read = address.parse_address(name)
    assert (read.user, read.host, read.port) == expected


@pytest.mark.parametrize(
    "text", ["-oProxyCommand=x", "pi@-x", "ssh://", "ssh://pi@b/x", "pi@b:0", "-l@b", "a b", "[::1"]
)
def test_typed_names_that_no_host_has(text: str) -> None:
    with pytest.raises(InputError, match="is not an address"):
        address.parse_address(text)


def test_ssh_itself_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no reading of the files could know: a program called ssh answers."""
    program = tmp_path / "ssh"
    program.write_text(
        "#!/bin/sh\nprintf 'hostname %s\\nuser pi\\nport 7\\nidentityagent none\\n' there\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert str(ssh_config.endpoint(Connection("board"))) == "pi@there:7"


@pytest.mark.parametrize(
    ("arguments", "problem"), [("%Q", "'%Q'"), ("%T", "'%T'"), ("${NOWHERE_SET}", "NOWHERE_SET")]
)
def test_command_for_keys_whose_arguments_ssh_refuses(
    home: Path, arguments: str, problem: str
) -> None:
    with pytest.raises(InputError, match="KnownHostsCommand") as refused:
        lookup(home, f"{BENCH}  KnownHostsCommand /bin/sh {arguments}\n")
    assert problem in refused.value.message


def test_command_for_keys_that_is_none(home: Path) -> None:
    assert lookup(home, f"{BENCH}  KnownHostsCommand none\n")[0].keys_command is None
