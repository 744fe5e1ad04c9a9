"""edgenas's reading of SSH configurations against `ssh -G`, on configurations made by chance.

EDGENAS_SSH_CONFIGURATIONS : how many are tried.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from edgenas.targets.openssh import client, config_file
from edgenas.targets.remote.address import Connection

COUNT = int(os.environ.get("EDGENAS_SSH_CONFIGURATIONS", "50"))
BATCH = 10

HOSTS = ("bench", "Bench", "lab-1", "lab-22", "pi.local", "10.0.0.7", "fe80::1", "127.1")
PATTERNS = ("*", "bench", "lab-*", "lab-?", "*.local", "10.0.*", "B*", "real-*", "?????", "nobody")
USERS = ("root", "pi", "me", "some*", "!pi")
VALUES: dict[str, tuple[str, ...]] = {
    "HostName": ("10.1.2.3", "Real-%h", "%h.example", "fe80::2%%usb0", '"quoted-%h"', "127.1"),
    "Port": ("2200", "ssh", "22", '"2022"'),
    "User": ("somebody", '"some body"', "me@corp", "'single'", r"back\\slash"),
    "IdentityFile": ("~/.ssh/id", '"~/.ssh/a key"', "/k/%h-%r", "none", "%d/x", r"/k/a\ b"),
    "CertificateFile": ("~/.ssh/id-cert.pub", '"/k/a cert.pub"'),
    "IdentitiesOnly": ("yes", "no", "true", "FALSE"),
    "IdentityAgent": ("~/.ssh/agent-%r", "none", "SSH_AUTH_SOCK", "$OTHER", "${PLACE}/sock", "/a"),
    "UserKnownHostsFile": (
        '"~/.ssh/known lab" ~/.ssh/b',
        "none",
        "/k/%h-%p-%n",
        "${PLACE}/known",
        "/a /b # c",
        "~/%C",
        "~/%k-%u-%L-%l-%i",
    ),
    "GlobalKnownHostsFile": ("/etc/known", "none", '"/etc/a b" /etc/c'),
    "HostKeyAlias": ("Jetson-3", "plain"),
    "StrictHostKeyChecking": ("yes", "no", "ask", "accept-new", "off"),
    "ProxyCommand": ("nc %h %p", "none", "nc ${ADDR:-127.0.0.1} %p # kept", '"/a b/nc" -X 5 %h'),
    "ProxyJump": (
        "hop",
        "u@hop:2022",
        "ssh://u@hop:22",
        "one,u@two",
        "[::1]:99",
        "none",
        "hop # c",
    ),
    "KnownHostsCommand": ("/bin/keys %H 'a b'", "none", '"/a b/keys" %I # kept', "keys", "# c"),
    "BatchMode": ("yes", "no"),
    "CanonicalizeHostname": ("yes", "no", "always"),
    "PasswordAuthentication": ("no", "yes"),
    "ChallengeResponseAuthentication": ("no",),
    "PreferredAuthentications": ("password,publickey",),
    "PubkeyAuthentication": ("no", "yes"),
    "NumberOfPasswordPrompts": ("1", "5"),
    "AddressFamily": ("inet", "inet6", "any"),
    "BindAddress": ("127.0.0.1",),
    "ConnectTimeout": ("5", "1m30s", "none"),
    "HashKnownHosts": ("yes", "no"),
    "NoHostAuthenticationForLocalhost": ("yes",),
    "ServerAliveInterval": ("30",),
    "SendEnv": ("LANG LC_*",),
    "ForwardAgent": ("yes",),
    "SetEnv": ('A="b c" D=e',),
}
OFTEN = ("HostName", "IdentityFile", "ProxyCommand", "ProxyJump", "User", "UserKnownHostsFile")


class Generator:
    """Writes files that ssh takes, of every kind of line that edgenas reads."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._rng = random.Random(seed)
        self._folder = folder
        self._files = 0

    def write(self) -> Connection:
        (self._folder / ".ssh").mkdir(exist_ok=True)
        self._write_file(self._folder / ".ssh" / "config", 0)
        return Connection(
            host=self._rng.choice(HOSTS),
            user=self._rng.choice(("", "", "pi", "me")),
            port=self._rng.choice((0, 0, 2222)),
        )

    def _write_file(self, path: Path, depth: int) -> None:
        lines: list[str] = []
        if depth == 0 and self._rng.random() < 0.2:
            lines += ["IgnoreUnknown Frob*,UseKeychain", "UseKeychain yes", "frobnicate a b c"]
        for _ in range(self._rng.randint(1, 5)):
            lines += self._block(depth)
        end = self._rng.choice(("\n", "\n", "\n", "\r\n"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((end.join(lines) + end).encode())

    def _block(self, depth: int) -> list[str]:
        begin = self._rng.choice((self._host, self._match, lambda: ""))()
        lines = [begin] if begin else []
        for _ in range(self._rng.randint(0, 4)):
            lines.append(self._option())
        if depth < 2 and self._rng.random() < 0.35:
            lines.append(self._include(depth))
        lines += self._rng.choice(([], [""], ["  # a comment with 'one quote"]))
        return lines

    def _host(self) -> str:
        some = self._rng.sample(PATTERNS, self._rng.randint(1, 3))
        some = [self._rng.choice(("", "", "", "!")) + pattern for pattern in some]
        if self._rng.random() < 0.2:
            some[0] = f'"{some[0]}"'
        return self._line("Host", " ".join(some), indent="")

    def _match(self) -> str:
        if self._rng.random() < 0.15:
            return self._line("Match", self._rng.choice(("all", "!all")), indent="")
        words = [self._criterion() for _ in range(self._rng.randint(1, 3))]
        return self._line("Match", " ".join(words), indent="")

    def _criterion(self) -> str:
        name = self._rng.choice(
            ("host", "originalhost", "user", "localuser", "exec", "final", "canonical")
        )
        negation = self._rng.choice(("", "", "!"))
        if name == "final":
            return name
        if name == "canonical":
            return negation + name
        if name == "exec":
            command = self._rng.choice(
                ("true", "false", '"test %h = bench"', '"test %n = lab-1 -a %p = 22"', '"exit 3"')
            )
            return f"{negation}exec {command}"
        values = USERS if "user" in name else PATTERNS
        argument = ",".join(self._rng.sample(values, self._rng.randint(1, 2)))
        if self._rng.random() < 0.3:
            argument = f'"{argument}"'
        return f"{negation}{name}{self._rng.choice((' ', '=', ' = ', '  '))}{argument}"

    def _option(self) -> str:
        name = self._rng.choice((*VALUES, *OFTEN, *OFTEN))
        return self._line(name, self._rng.choice(VALUES[name]), self._rng.choice(("  ", "\t", "")))

    def _line(self, name: str, value: str, indent: str) -> str:
        between = self._rng.choice((" ", " ", "=", " = ", "\t"))
        after = self._rng.choice(("", "", " ", "\t"))
        if name not in ("ProxyCommand", "ProxyJump") and "#" not in value:
            after = self._rng.choice((after, after, " # and a 'comment'"))
        return (
            indent + self._rng.choice((name, name.lower(), name.upper())) + between + value + after
        )

    def _include(self, depth: int) -> str:
        self._files += 1
        number = self._files
        base = self._folder / "in cluded"
        self._write_file(base / f"s{number}" / "config", depth + 1)
        if self._rng.random() < 0.5:
            self._write_file(base / f"s{number}" / "config.b", depth + 1)
        pattern = self._rng.choice(
            (
                f"s{number}/config",
                f"s{number}/*",
                f"s{number}*/config",
                f"s[{number}]/con???",
                "none/*",
            )
        )
        return f'  Include "{base}/{pattern}"'


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
@pytest.mark.parametrize("batch", range((COUNT + BATCH - 1) // BATCH))
def test_every_option_is_read_as_ssh_reads_it(
    batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", "/a place")
    for seed in range(batch * BATCH, min(COUNT, (batch + 1) * BATCH)):
        home = tmp_path / f"home {seed}"
        home.mkdir()
        monkeypatch.setenv("HOME", str(home))
        typed = Generator(seed, home).write()
        by_ssh, refusal = client.ask(typed)
        assert by_ssh is not None, f"seed {seed}: {refusal}"
        by_edgenas, problems = config_file.read(typed)
        assert not problems, f"seed {seed}"
        assert by_edgenas == by_ssh, f"seed {seed}: {typed}, {home}/.ssh/config"
