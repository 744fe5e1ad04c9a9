"""KnownHostsCommand: what it is asked and prints counts as for ssh; what it may do is bounded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgenas.targets.openssh import known_hosts_command
from edgenas.targets.openssh.known_hosts_command import CommandError, KnownHostsCommand
from edgenas.targets.openssh.tokens import Tokens
from edgenas.targets.remote.host_keys import HostKeyError
from helpers.boards.bench import Authority, configure, home, public, reach
from helpers.boards.loopback import LoopbackBoard, make_key

ASKED = {"H": "[10.0.0.7]:2022", "I": "ORDER", "K": "NONE", "f": "NONE", "t": "NONE"}


def run(*arguments: str) -> list[str]:
    """Run this Python with `arguments`, as they are written in a configuration."""
    text = " ".join((f'"{sys.executable}"', *arguments))
    command = KnownHostsCommand(text, Tokens("bench", "10.0.0.7", 2022, "$(id); me"))
    assert command.problem() == ""
    return command.lines(ASKED)


def script(folder: Path, text: str) -> str:
    (folder / "script.py").write_text(f"import os, subprocess, sys, time\n{text}\n")
    return f'"{folder}/script.py"'


def test_arguments_are_what_ssh_makes_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "%h `id` ${HOME}")
    printing = script(tmp_path, "print('\\n'.join(sys.argv[1:]))")
    found = run(printing, "%H", "'%r  x'", '"a;b"', r"c\ d", "${PLACE}", "%%h", "#", "~", "*", "|")
    wanted = ["[10.0.0.7]:2022", "$(id); me  x", "a;b", "c d", "%h `id` ${HOME}", "%h", "#"]
    assert found == [*wanted, "~", "*", "|", ""]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_command_that_never_stops_printing_is_ended(tmp_path: Path, stream: str) -> None:
    program = script(
        tmp_path,
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        f"while True: sys.{stream}.write('x' * 65536)",
    )
    with pytest.raises(CommandError, match="prints more than 4 MiB"):
        run(program)
    assert is_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("closing", ["", "os.close(1); os.close(2)"])
def test_command_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closing: str
) -> None:
    monkeypatch.setattr(known_hosts_command, "_PATIENCE_S", 1.0)
    program = script(
        tmp_path,
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        f"print('asking', file=sys.stderr, flush=True)\n{closing}\ntime.sleep(600)",
    )
    with pytest.raises(CommandError, match=r"has not ended for 1 s: asking$"):
        run(program)
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_what_a_command_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    """As of a connection that is kept for later, which holds stderr open."""
    program = script(
        tmp_path,
        "subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE,"
        " stdout=subprocess.DEVNULL)\nprint('line', flush=True)\nos._exit(0)",
    )
    assert run(program) == ["line", ""]


def test_bytes_that_are_no_text_are_a_line_as_in_a_file(tmp_path: Path) -> None:
    found = run(script(tmp_path, "sys.stdout.buffer.write(b'\\xff\\n[x]:1 k k\\n')"))
    assert found == ["\N{REPLACEMENT CHARACTER}", "[x]:1 k k", ""]


def is_gone(process: int) -> bool:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


# ---------------------------------------------------------------- beside ssh


class Command:
    """The KnownHostsCommand of bench: prints what `printed` holds, notes what it is asked."""

    tokens = '%I %H %t %f %K %k %n %h %p %r %u %i %L %l %C %% "${HOME} #" a\\ b # %I'

    def __init__(self, board: LoopbackBoard, folder: Path, *options: str) -> None:
        self.program, self.printed = folder / "keys of hosts", folder / "printed"
        self._asked = folder / "asked"
        self.does(f"printf '<%s>' \"$@\" >> '{self._asked}'\necho >> '{self._asked}'")
        configure(board, *options, f'KnownHostsCommand "{self.program}" {self.tokens}')

    def does(self, script: str) -> None:
        self.program.write_text(f"#!/bin/sh\n{script}\ncat '{self.printed}'\n")
        self.program.chmod(0o755)

    def asked(self) -> list[str]:
        """Return what ssh has asked; edgenas, which came after it, has asked the same."""
        asked = self._asked.read_text().splitlines()
        by_ssh, by_edgenas = asked[: len(asked) // 2], asked[len(asked) // 2 :]
        assert by_edgenas == by_ssh
        return by_ssh


@pytest.mark.parametrize(
    "case",  # lines in the file, lines printed, an option, why it is refused
    [
        ("", "[127.0.0.1]:PORT MINE", "", ""),
        ("", "junk\n|1|x|y\n@cert-authority * OTHER\n[127.0.0.*]:* MINE a comment", "", ""),
        ("[127.0.0.1]:PORT MINE", "", "", ""),
        ("[127.0.0.1]:PORT OTHER", "[127.0.0.1]:PORT MINE", "", ""),
        ("[127.0.0.1]:PORT MINE", "[127.0.0.1]:PORT OTHER", "", ""),
        ("[127.0.0.1]:PORT MINE", "@revoked * MINE", "", "revoked"),
        ("", "[127.0.0.1]:PORT OTHER", "", "CHANGED"),
        ("", "127.0.0.1 MINE", "", "not known yet"),  # without its port in files only
        ("", "bench MINE", "", "not known yet"),
        ("", "jetson-3 MINE", "HostKeyAlias Jetson-3", ""),
        ("", "[127.0.0.1]:PORT MINE", "HostKeyAlias Jetson-3", "not known yet"),
    ],
)
def test_command_prints_more_lines(
    board: LoopbackBoard, tmp_path: Path, case: tuple[str, str, str, str]
) -> None:
    in_file, printed, option, problem = case
    command = Command(board, tmp_path, option)
    values = {
        "PORT": str(board.port),
        "MINE": public(board.host_key),
        "OTHER": public(make_key(tmp_path / "other")),
    }
    for path, lines in ((home() / "known_hosts", in_file), (command.printed, printed)):
        path.write_text(re.sub("PORT|MINE|OTHER", lambda name: values[name[0]], lines) + "\n")
    before = (home() / "known_hosts").read_text()
    if problem:
        with pytest.raises(HostKeyError, match=problem):
            reach()
    else:
        assert reach() == []
    assert [line.split(">")[0] for line in command.asked()] == ["<ORDER", "<HOSTNAME"]
    assert (home() / "known_hosts").read_text() == before


@pytest.mark.smoke
def test_names_that_a_command_prints_are_hashed(board: LoopbackBoard, tmp_path: Path) -> None:
    command = Command(board, tmp_path)
    command.printed.write_text(board.known_hosts_line())
    subprocess.run(["ssh-keygen", "-H", "-f", command.printed], check=True, capture_output=True)
    (home() / "known_hosts").write_text("")
    assert "127.0.0.1" not in command.printed.read_text() and reach() == []


@pytest.mark.parametrize("known", ["authority", "authority revoked", "key", "nothing"])
def test_command_is_asked_for_a_certificate(
    board: LoopbackBoard, tmp_path: Path, known: str
) -> None:
    board.stop()
    board.settings = (f"HostCertificate {board.host_key}-cert.pub",)
    authority = Authority(tmp_path)
    authority.sign(board, "-n", "127.0.0.1")
    board.start()
    command = Command(board, tmp_path)
    lines = {"authority": authority.line("*"), "key": board.known_hosts_line(), "nothing": ""}
    lines["authority revoked"] = f"{lines['authority']}@revoked * {public(authority.key)}\n"
    (home() / "known_hosts").write_text("")
    command.printed.write_text(lines[known])
    if known in ("authority", "key"):
        assert reach() == []
    else:
        with pytest.raises(HostKeyError, match="revoked" if "revoked" in known else "not known"):
            reach()
    assert [re.findall("<([^>]*)", line)[2] for line in command.asked()] == [
        "NONE",
        "ssh-ed25519-cert-v01@openssh.com",
    ]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo whatever; echo 'no\tnetwork' >&2; exit 3", r"ended with status 3: no\\tnetwork\."),
        ("echo on stdout; exit 1", r"ended with status 1: on stdout\."),
        ("kill -9 $$", r"was killed, signal 9\."),
    ],
)
def test_nothing_is_sent_where_a_command_fails(
    board: LoopbackBoard, tmp_path: Path, script: str, said: str
) -> None:
    command = Command(board, tmp_path)  # the file knows the key
    command.does(script)
    with pytest.raises(HostKeyError, match=f"KnownHostsCommand .* {said} "):
        reach()
    command.program.chmod(0o644)
    with pytest.raises(HostKeyError, match="cannot be run"):
        reach()


@pytest.mark.parametrize(
    ("command", "why"),
    [("/nowhere/keys %H", "No such file or directory"), ("keys %H", "its path is not absolute")],
)
def test_command_that_ssh_passes_over(board: LoopbackBoard, command: str, why: str) -> None:
    configure(board, f"KnownHostsCommand {command}")
    (told,) = reach()  # the file knows the key
    assert f"KnownHostsCommand '{command}': {why}" in told and "passed over" in told
