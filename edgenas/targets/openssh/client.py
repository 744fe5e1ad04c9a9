"""What the installed OpenSSH client makes of a name: `ssh -G`, which connects to nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from edgenas.core.errors import InputError
from edgenas.targets.openssh import config_file, options
from edgenas.targets.openssh.options import Options
from edgenas.targets.remote.address import Connection

_SYSTEM_FILE = "/etc/ssh/ssh_config"
_PATIENCE_S = 30.0  # the user's own `Match exec` commands may ask the network
_USUAL_KEYS = {"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"}


def ask(typed: Connection) -> tuple[Options | None, str]:
    """Return the options of a connection, or None and why ssh does not say them.

    Raises
    ------
    InputError : ssh does not answer.
    """
    program = shutil.which("ssh")
    if program is None:
        return None, ""
    if _at_home():
        return _asked([program], typed)
    if any(not name.startswith("/") for name in config_file.includes()):
        return None, ""  # ssh would look for these in the home of the user database
    with tempfile.TemporaryDirectory() as folder:
        entry = Path(folder) / "config"
        files = (str(config_file.user_file()), _SYSTEM_FILE)
        entry.write_text("".join(f"Include {_quoted(name)}\n" for name in files), "utf-8")
        said, why = _asked([program, "-F", str(entry)], typed)
    return None if said is None else _moved(said), why


def _asked(command: list[str], typed: Connection) -> tuple[Options | None, str]:
    given = (("-l", typed.user), ("-p", str(typed.port or "")), ("-J", typed.jump_host))
    words = [word for flag, value in given if value for word in (flag, value)]
    try:
        done = subprocess.run(
            [*command, "-T", *words, "-G", "--", typed.host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        raise InputError(
            f"ssh -G {typed.host} has not answered for {_PATIENCE_S:.0f} s.",
            "Does a 'Match exec' command in ~/.ssh/config hang?",
        ) from problem
    except (OSError, ValueError) as problem:
        return None, str(problem)
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return None, lines[0].strip() if lines else f"ssh -G ended with {done.returncode}"
    said = read(done.stdout.decode("utf-8", "surrogateescape"))
    return (said, "") if "hostname" in said else (None, f"{command[0]} is not OpenSSH's")


def read(printed: str) -> Options:
    """Return the options that `ssh -G` has printed."""
    said: dict[str, tuple[str, ...]] = {}
    for line in printed.split("\n"):
        name, _, value = line.partition(" ")
        if name in options.FILE_LISTS:
            said[name] = tuple(_files(value))
        elif name in options.REPEATED:
            said[name] = (*said.get(name, ()), value)
        elif name:
            choices = options.CHOICES.get(name, {})
            said[name] = (choices.get(value, value),)
    if set(said.get("identityfile", ())) >= _USUAL_KEYS:
        del said["identityfile"]  # none is named: ssh prints those that it would look for
    no_files: dict[str, tuple[str, ...]] = dict.fromkeys(options.FILE_LISTS, ())
    return options.heeded({**options.DEFAULTS, **no_files, **said})  # old ones print fewer


def _files(printed: str) -> list[str]:
    """Return names that were printed without quotes: each begins at a root or at home."""
    parts = re.split(r" (?=[/~])", printed)
    relative = len(parts) == 1 and not parts[0].startswith(("/", "~"))
    return printed.split() if relative else parts


def _quoted(name: str) -> str:
    escaped = re.sub(r"([\[\]*?])", r"\\\1", name)
    return '"' + escaped.replace('"', '\\"') + '"'


def _at_home() -> bool:
    """Return whether ssh, which asks the user database for it, takes the same folder for home."""
    return Path("~").expanduser() == Path(_database_home())


def _database_home() -> str:
    try:
        import pwd
    except ImportError:  # Windows, where there is no other home
        return str(Path.home())
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return str(Path.home())


def _moved(said: Options) -> Options:
    """Return `said` with what ssh took for the user's files put into the user's home."""
    old, new = _database_home().rstrip("/") + "/", str(Path("~").expanduser()) + "/"

    def moved(name: str) -> str:
        return new + name[len(old) :] if name.startswith(old) and not name.startswith(new) else name

    return {
        name: tuple(map(moved, values))
        if name in ("identityagent", "userknownhostsfile")
        else values
        for name, values in said.items()
    }
