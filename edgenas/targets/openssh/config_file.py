"""OpenSSH's configuration files, read as its client reads them, where it cannot be asked."""

from __future__ import annotations

import codecs
import contextlib
import getpass
import glob
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgenas.core.errors import InputError
from edgenas.targets.openssh import criteria, options, patterns, tokens, words
from edgenas.targets.openssh.options import FAMILIES, Options
from edgenas.targets.remote.address import Connection, parse_address

_SYSTEM_FILE = Path("/etc/ssh/ssh_config")
_MAX_DEPTH = 16


def read(typed: Connection) -> tuple[Options, list[str]]:
    """Return the options of a connection and what is not understood, each with its file and line.

    What is not understood costs its line; where that line begins a block, the block.
    """
    reading = _Reading(typed)
    reading.run()
    return reading.options(), list(dict.fromkeys(reading.problems))


def hosts(matched: bool = True) -> list[str]:
    """Return the patterns of hosts that the user's configuration and its includes speak of.

    matched : those of `Match host` too, which may be what an alias leads to and no alias.
    """
    found: list[str] = []
    for keyword, text in _lines(user_file()):
        if keyword == "host":
            found += words.arguments(text) or []
        elif keyword == "match":
            with contextlib.suppress(criteria.CriterionError):
                for criterion in criteria.parse(text):
                    named = criterion.name == "originalhost" or (
                        matched and criterion.name == "host"
                    )
                    if named and not criterion.negated:
                        found += criterion.argument.split(",")
    return found


def includes() -> list[str]:
    """Return the names of files that the user's configuration includes, as they are written."""
    included = [text for keyword, text in _lines(user_file()) if keyword == "include"]
    return [name for text in included for name in words.arguments(text) or []]


def user_file() -> Path:
    return user_folder() / "config"


def user_folder() -> Path:
    return Path("~/.ssh").expanduser()


@dataclass(frozen=True)
class _Place:
    """A file that is read. folder : what it includes is there. never : no block of it counts."""

    path: Path
    folder: Path
    depth: int = 0
    never: bool = False

    def included(self, path: Path, active: bool) -> _Place:
        return replace(self, path=path, depth=self.depth + 1, never=self.never or not active)


class _Reading:
    """One reading of the files for one connection: the first value of an option counts."""

    def __init__(self, typed: Connection) -> None:
        self._typed = typed
        self._host = typed.host  # what it is called now: a second pass has its real name
        self._values: dict[str, list[str]] = {}
        self._ignored = ""
        self._final = False
        self._wants_final = False
        self.problems: list[str] = []
        if typed.user:
            self._values["user"] = [typed.user]
        if typed.port:
            self._values["port"] = [str(typed.port)]
        if typed.jump_host:
            self._proxy_jump(typed.jump_host)

    def run(self) -> None:
        self._files()
        self._host = self._named_host()
        self._host = self._resolved(self._host)
        if self._wants_final or self._one("canonicalizehostname", "no") != "no":
            self._values["hostname"] = [self._host]
            self._final = True
            self._files()

    def options(self) -> Options:
        """Return what was read, with defaults, as `ssh -G` prints it."""
        said = {name: tuple(values) for name, values in self._values.items()}
        said["hostname"] = (self._host,)
        said.setdefault("user", (getpass.getuser(),))
        if "hostkeyalias" in said:
            said["hostkeyalias"] = (said["hostkeyalias"][0].lower(),)
        said = {**options.DEFAULTS, **said}
        known = self._known(self._host)
        values = replace(known, alias=known.alias.lower()).values()
        for name in ("identityagent", "userknownhostsfile"):
            if name in said:
                said[name] = tuple(self._file_names(name, said[name], values))
        return options.heeded(said)

    def _file_names(
        self, name: str, files: tuple[str, ...], values: dict[str, str]
    ) -> Iterator[str]:
        for file in files:
            try:
                yield tokens.file_name(file, values, name)
            except InputError as problem:
                self.problems.append(problem.message.rstrip("."))

    def _files(self) -> None:
        self._file(_Place(user_file(), user_folder()), active=True)
        self._file(_Place(_SYSTEM_FILE, _SYSTEM_FILE.parent), active=True)

    def _file(self, place: _Place, active: bool) -> None:
        try:
            self._read(place, active)
        except OSError as problem:
            self.problems.append(f"{place.path}: {problem.strerror}")

    def _read(self, place: _Place, active: bool) -> None:
        never = place.never
        for number, keyword, text in _numbered(place.path):
            where = f"{place.path} line {number}"
            given = words.arguments(text)
            if keyword == "include":
                for name in given or []:
                    for file in _included(name, place.folder):
                        if place.depth < _MAX_DEPTH:
                            self._file(place.included(file, active), active)
                        else:
                            self.problems.append(f"{where}: more than {_MAX_DEPTH} files deep")
            elif keyword == "host":
                active = given is not None and not never and self._is_for(given)
            elif keyword == "match":
                active = self._matches(text, where) and not never
            if given is None:
                self.problems.append(f"{where}: a quote does not end")
            elif not given and not text.startswith("#") and keyword != "match":
                self.problems.append(f"{where}: '{keyword}' lacks its value")
            elif keyword not in ("include", "host", "match"):
                self._option(keyword, text, given, active, where)

    def _is_for(self, host_patterns: list[str]) -> bool:
        positive = False
        for pattern in host_patterns:
            if patterns.matches(self._host, pattern.removeprefix("!")):
                if pattern.startswith("!"):
                    return False
                positive = True
        return positive

    def _matches(self, text: str, where: str) -> bool:
        try:
            asked = criteria.parse(text)
        except criteria.CriterionError as problem:
            self.problems.append(f"{where}: {problem}")
            return False
        self._wants_final |= any(criterion.name == "final" for criterion in asked)
        try:
            return criteria.matches(asked, self._known(self._named_host()), self._final)
        except InputError as problem:
            self.problems.append(f"{where}: {problem.message.rstrip('.')}")
            return False

    def _named_host(self) -> str:
        """Return where `HostName` leads, as far as the files are read."""
        name = self._one("hostname")
        if not name or self._final:
            return name or self._host
        try:
            return tokens.percent(name, {"h": self._host}, "HostName")
        except InputError as problem:
            self.problems.append(problem.message.rstrip("."))
            return self._host

    def _known(self, host: str) -> tokens.Tokens:
        return tokens.Tokens(
            typed=self._typed.host,
            host=host,
            port=int(self._one("port", "22")),
            user=self._one("user") or getpass.getuser(),
            alias=self._one("hostkeyalias"),
        )

    def _one(self, name: str, default: str = "") -> str:
        return self._values.get(name, [default])[0]

    def _option(self, keyword: str, text: str, given: list[str], active: bool, where: str) -> None:
        keyword = options.OTHER_NAMES.get(keyword, keyword)
        if keyword in (*options.COMMANDS, "proxyjump"):
            kept = dict(self._values)
            try:
                self._command(keyword, text.lstrip(" \t\r\n="))
            except InputError as problem:
                self.problems.append(f"{where}: {problem.message.rstrip('.')}")
            if not active:
                self._values = kept
            return
        values = _values(keyword, given)
        if values is None:
            self.problems.append(f"{where}: '{keyword} {' '.join(given)}' is not understood")
        elif keyword == "ignoreunknown":
            self._ignored = self._ignored or (given[0] if active else "")
        elif not values and not (
            keyword in options.OTHERS or patterns.matches_list(keyword, self._ignored.lower())
        ):
            self.problems.append(f"{where}: there is no option '{keyword}'")
        elif values and active and (keyword not in options.TIMES or values != ["none"]):
            if keyword in options.REPEATED:
                so_far = self._values.setdefault(keyword, [])
                so_far += [value for value in values if value not in so_far]
            else:
                self._values.setdefault(keyword, values)

    def _command(self, keyword: str, text: str) -> None:
        """Take what has the rest of its line for value."""
        if keyword == "proxyjump":
            self._proxy_jump(text)
        else:
            self._values.setdefault(keyword, [text])

    def _proxy_jump(self, text: str) -> None:
        """The first of ProxyJump and ProxyCommand counts; a jump that is none hides no command."""
        jump = text.partition("#")[0].strip()
        if jump.lower() == "none":
            self._values.setdefault("proxyjump", ["none"])
            return
        jump = ",".join(_hop(hop) for hop in jump.split(","))
        if "proxycommand" not in self._values and "proxyjump" not in self._values:
            self._values |= {"proxyjump": [jump], "proxycommand": ["none"]}

    def _resolved(self, host: str) -> str:
        """Return an address in its usual form, a name in lower case, whole if that is asked for."""
        family = FAMILIES.get(self._one("addressfamily"), socket.AF_UNSPEC)
        try:
            found = socket.getaddrinfo(host, 22, family, flags=socket.AI_NUMERICHOST)
            usual = socket.getnameinfo(found[0][4], socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        except (OSError, UnicodeError):
            seems_one = "%" in host or ":" in host or set(host) <= set("0123456789.")
            return host if seems_one else self._canonical(host.lower())
        return host if host.lower() == usual[0].lower() else usual[0]

    def _canonical(self, host: str) -> str:
        """Return the whole name of `host` where its domain is to be looked for."""
        how = self._one("canonicalizehostname", "no")
        through = {self._one("proxycommand", "none"), self._one("proxyjump", "none")} != {"none"}
        dots = int(self._one("canonicalizemaxdots", "1"))
        if how == "no" or (through and how != "always") or host.count(".") > dots:
            return host
        for domain in self._values.get("canonicaldomains", []):
            with contextlib.suppress(OSError, UnicodeError):
                socket.getaddrinfo(f"{host}.{domain}.", None)
                return f"{host}.{domain}".lower()
        return host


def _values(keyword: str, given: list[str]) -> list[str] | None:
    """Return the values of an option that is heeded, none of others; None: they are not right."""
    if not given:
        return None
    first = given[0]
    if keyword in options.LISTS:
        alone = "none" not in [value.lower() for value in given] or len(given) == 1
        return given if alone and all(given) else None
    one: str | None = None
    if keyword in options.CHOICES:
        one = options.CHOICES[keyword].get(first.lower())
    elif keyword in (*options.ONE_WORD, *options.REPEATED):
        one = first or None
    elif keyword == "port":
        number = options.port_number(first)
        one = None if number is None else str(number)
    elif keyword in options.NUMBERS:
        one = first if first.isascii() and first.isdigit() else None
    elif keyword in options.TIMES:
        time_s = options.seconds(first)
        one = first if first == "none" else None if time_s is None else str(time_s)
    else:
        return []
    return None if one is None or len(given) > 1 else [one]


def _hop(text: str) -> str:
    """Return a jump host as `ssh -G` prints it."""
    hop = parse_address(text, services=True)
    numeric = ":" in hop.host or set(hop.host) <= set("0123456789.")
    host = f"[{hop.host}]" if numeric else hop.host
    return (f"{hop.user}@" if hop.user else "") + host + (f":{hop.port}" if hop.port else "")


def _numbered(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the number, keyword and raw arguments of each line that has some; of no file: none.

    Raises
    ------
    OSError : the file is there and cannot be read.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return
    text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    for number, line in enumerate(text.split("\n"), 1):
        keyword, rest = words.keyword_and_rest(line)
        if keyword:
            yield number, keyword, rest


def _lines(path: Path, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield keyword and arguments of a user's file and of all that it includes, in any block."""
    with contextlib.suppress(OSError):
        for _, keyword, text in _numbered(path):
            yield keyword, text
            if keyword == "include" and depth < _MAX_DEPTH:
                for name in words.arguments(text) or []:
                    for file in _included(name, user_folder()):
                        yield from _lines(file, depth + 1)


def _included(name: str, folder: Path) -> list[Path]:
    pattern = os.path.expanduser(name)  # noqa: PTH111 - a pattern, not a path
    if not pattern.startswith("/"):
        pattern = f"{glob.escape(str(folder))}/{pattern}"
    return [Path(file) for file in sorted(glob.glob(pattern))]  # noqa: PTH207
