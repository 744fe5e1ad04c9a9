"""Wheels for a board, resolved on the host: the board needs no pip, no root and no internet."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from device_runtime import interpreter
from edgenas.core.errors import RunFolderError, TargetError
from edgenas.core.files.cache import cache_folder
from edgenas.core.files.run_folder import read_json, write_bytes, write_json
from edgenas.targets.remote import hashed_pip

_PIP_S = 900.0
_INDEX_S = 10
_INDEX_KEPT_S = 7 * 86400.0
# Engine -> what it is installed as, and what pip shall resolve. A board may have a build of its own
# (onnxruntime-gpu). tflite-runtime was built against numpy 1.
DISTRIBUTIONS = {
    "onnxruntime": ["onnxruntime", "onnxruntime-gpu"],
    "litert": ["ai-edge-litert"],
    "litert_builtin": ["ai-edge-litert"],
    "tflite_runtime": ["tflite-runtime"],
    "tflite_runtime_builtin": ["tflite-runtime"],
}
_NUMPY = {"tflite-runtime": "numpy<2"}
_VERSION = re.compile(r"\d[A-Za-z0-9.+]{0,39}\Z")
_ARM_32 = ("armv6l", "armv7l", "armv8l")
# glibc at which older names of the same tags end
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


@dataclass(frozen=True)
class Platform:
    """What decides which wheels run. python : (3, 11). glibc : 36 for 2.36; None without glibc."""

    machine: str
    python: tuple[int, int]
    glibc: int | None

    @classmethod
    def of(cls, machine: str, bits: int, python: str, libc: str | None) -> Platform:
        """Return the platform that a probe describes; a 32-bit system may run on a 64-bit CPU."""
        version = re.match(r"(\d{1,3})\.(\d{1,3})(?!\d)", python)
        glibc = re.match(r"glibc 2\.(\d{1,3})(?!\d)", libc or "")
        narrow = machine == "aarch64" and bits == 32
        return cls(
            "armv7l" if narrow else machine,
            (int(version[1]), int(version[2])) if version else (3, 0),
            int(glibc[1]) if glibc else None,
        )

    @property
    def tags(self) -> list[str]:
        """The whole ladder of platform tags, from the board's glibc down: pip does not widen it."""
        lowest = 5 if self.machine in ("x86_64", "i686") else 17
        ladder: list[str] = []
        for minor in range(self.glibc or 0, lowest - 1, -1):
            ladder.append(f"manylinux_2_{minor}_{self.machine}")
            if minor in _LEGACY:
                ladder.append(f"{_LEGACY[minor]}_{self.machine}")
        return [*ladder, f"linux_{self.machine}"]

    def __str__(self) -> str:
        libc = f"glibc 2.{self.glibc}" if self.glibc else "no glibc"
        return f"Python {self.python[0]}.{self.python[1]}, {self.machine}, {libc}"


def version(engine: str, files: list[Path]) -> str:
    """Return the version of `engine` among resolved wheels."""
    names = [name.replace("-", "_") for name in DISTRIBUTIONS[engine]]
    versions = [path.name.split("-")[1] for path in files if path.name.split("-")[0] in names]
    return versions[0] if versions else "unknown"


def for_board(engine: str, platform: Platform, offline: bool, pinned: str) -> list[Path]:
    """Return the wheels that a board gets: of the version `pinned`, else of the host's version.

    Where the host has no version, or the board's platform has no wheels of it, of the newest.
    """
    if pinned:
        return resolve(engine, platform, offline, pinned)
    hosts = _hosts_version(engine)
    if hosts:
        with contextlib.suppress(TargetError):
            return resolve(engine, platform, offline, hosts)
    return resolve(engine, platform, offline)


def other_than_hosts(engine: str, files: list[Path], platform: Platform, pinned: str) -> str:
    """Return a sentence if a board gets the wheels `files`, of another version than the host's.

    Empty if it gets the host's version, or the one that the user pinned.
    """
    hosts, sent = _hosts_version(engine), version(engine, files)
    if pinned or hosts in ("", sent):
        return ""
    return (
        f"This host has {engine} {hosts}, of which there are no wheels for {platform}: the board "
        f"gets {sent}. To choose another: [board] engine_version in the target file."
    )


def _hosts_version(engine: str) -> str:
    """Return the version of `engine` that is installed here, empty for none."""
    for name in DISTRIBUTIONS.get(engine, ()):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return ""


def resolve(engine: str, platform: Platform, offline: bool, exact: str = "") -> list[Path]:
    """Return the wheels of `engine` for `platform`, from the host's cache or the package index.

    offline : use the cache only. exact : the engine's version; empty for the newest.

    Raises
    ------
    TargetError : there are none; the message has pip's reason.
    """
    if exact and not _VERSION.match(exact):
        raise TargetError(f"{exact[:40]!r} is no version of {engine}.", "Write it as 1.23.2.")
    known = _list_of(engine, platform, exact)
    wheels = known.parent
    cached = _cached(known)
    if cached:
        return cached
    wheels.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wheels) as folder:
        _download(engine, platform, offline, Path(folder), exact)
        found = sorted(Path(folder).glob("*.whl"))
        for path in found:
            write_bytes(wheels / path.name, path.read_bytes())
    listed = {path.name: _sha256(wheels / path.name) for path in found}
    write_json(known, listed)
    return [wheels / name for name in sorted(listed)]


def available(engine: str, platform: Platform, offline: bool) -> str:
    """Return the version of `engine` that would be sent; nothing is downloaded.

    What the package index answered is kept for a week. offline : only what was downloaded before.

    Raises
    ------
    TargetError : there is none; the message has the reason.
    """
    known = _list_of(engine, platform)
    cached = _cached(known)
    if cached:
        return version(engine, cached)
    if offline:
        raise TargetError(f"not among the wheels of this host ({known.parent})")
    if platform.glibc is None:
        raise TargetError(f"no wheels for {platform}")
    answered = known.with_suffix(".index")
    if answered.exists() and time.time() - answered.stat().st_mtime < _INDEX_KEPT_S:
        latest = answered.read_text("utf-8")
    else:
        latest = _ask_index(engine, platform)
        write_bytes(answered, latest.encode())
    if not latest:
        raise TargetError(f"no wheels for {platform}")
    return latest


def _ask_index(engine: str, platform: Platform) -> str:
    """Return the newest version that the package index has for `platform`; empty for none.

    With one retry pip tells an index that cannot be reached from one without the distribution.
    """
    asked = ["index", "versions", DISTRIBUTIONS[engine][0], "--disable-pip-version-check"]
    asked += [f"--timeout={_INDEX_S}", "--retries=1", *_selecting(platform)]
    try:
        done = _pip(asked)
    except subprocess.TimeoutExpired as problem:
        raise TargetError("the package index does not answer") from problem
    found = re.match(r"\S+ \((\S+)\)", done.stdout)
    if found:
        return found[1]
    if "No matching distribution" in done.stderr and "Retry" not in done.stderr:
        return ""
    raise TargetError(f"the package index cannot be asked: {_reason(done.stderr)}")


def _list_of(engine: str, platform: Platform, exact: str = "") -> Path:
    """Return the file that names the wheels of `engine` that were resolved for `platform`."""
    cp = f"cp{platform.python[0]}{platform.python[1]}"
    version = f"{engine}-{exact}" if exact else engine
    name = f"{version}-{cp}-{platform.machine}-glibc{platform.glibc}.json"
    return cache_folder() / "wheels" / name


def _cached(known: Path) -> list[Path]:
    """Return the wheels listed in `known`, unless one is missing or was changed."""
    listed = _listed(known)
    try:
        whole = all(_sha256(known.parent / name) == digest for name, digest in listed.items())
    except OSError:
        return []
    return [known.parent / name for name in sorted(listed)] if whole else []


def _listed(known: Path) -> dict[str, str]:
    """Return wheel -> SHA-256 of the list `known`; {} if there is none, or it is damaged."""
    try:
        listed = read_json(known)
    except RunFolderError:
        return {}
    if not isinstance(listed, dict) or any(Path(name).name != name for name in listed):
        return {}
    return listed


def _kept(wheels: Path) -> tuple[list[Path], list[Path]]:
    """Return the kept wheels that a list has with their SHA-256, and the others."""
    listed = {one for known in wheels.glob("*.json") for one in _listed(known).items()}
    checked: list[Path] = []
    others: list[Path] = []
    for path in sorted(wheels.glob("*.whl")):
        (checked if (path.name, _sha256(path)) in listed else others).append(path)
    return checked, others


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _download(
    engine: str, platform: Platform, offline: bool, folder: Path, exact: str = ""
) -> None:
    if platform.glibc is None:
        raise TargetError(
            f"There are no wheels of {engine} for {platform}.",
            "Install it there by other means, and say so in the target file: "
            '[board] packages = "own"',
        )
    asked = ["download", "--quiet", "--disable-pip-version-check", *_selecting(platform)]
    asked += ["--dest", str(folder), "--timeout=20"]
    wanted = requirements(engine, platform)
    refused = ""
    if offline:  # pip holds an index's wheels against its hashes, and kept ones against nothing
        checked, others = _kept(folder.parent)
        (folder / "checked").mkdir()
        for path in checked:
            shutil.copyfile(path, folder / "checked" / path.name)
        asked += ["--no-index", "--find-links", str(folder / "checked")]
        names = [re.split("[<=]", one)[0].replace("-", "_") for one in wanted]
        unlisted = [path.name for path in others if path.name.split("-")[0] in names]
        if unlisted:
            refused = (
                f" Not taken, as no list there has their SHA-256: {', '.join(unlisted)[:400]}."
            )
    if exact:
        wanted = (f"{wanted[0]}=={exact}", *wanted[1:])
    try:
        done = _pip([*asked, *wanted], module="pip" if offline else hashed_pip.__name__)
    except subprocess.TimeoutExpired as problem:
        raise TargetError(f"pip did not find {engine} for {platform} in time.") from problem
    if done.returncode:
        reason = _reason(done.stderr)
        raise TargetError(
            f"No wheels of {engine}{' ' + exact if exact else ''} for {platform}"
            f"{' in ' + str(folder.parent) if offline else ''}: {reason}{refused}",
            _remedy(reason, offline),
        )


def _remedy(reason: str, offline: bool) -> str:
    if offline:
        return "Run once without --offline, where there is internet."
    if hashed_pip.NO_HASH in reason:
        return (
            "Use an index that publishes SHA-256 hashes, as PyPI does (#sha256=… behind each "
            'file), or install it on the board: [board] packages = "own"'
        )
    if hashed_pip.OTHER_PIP in reason:
        return "Install a pip of 2022 to 2026 here: python -m pip install 'pip<27'"
    return 'Choose another engine, or install it on the board: [board] packages = "own"'


def _pip(arguments: list[str], module: str = "pip") -> subprocess.CompletedProcess[str]:
    """Run this Python's pip, wherever the current folder is and whatever lies in it.

    module : what starts it.
    """
    folders = interpreter.python_path()
    if module != "pip":
        folders = [str(Path(hashed_pip.__file__).parents[3]), *folders]
    return subprocess.run(
        interpreter.command(module, arguments, folders, interpreter.user_site()),
        cwd=interpreter.NEUTRAL_FOLDER,
        capture_output=True,
        text=True,
        timeout=_PIP_S,
        check=False,
    )


def _selecting(platform: Platform) -> list[str]:
    """Return pip's options for the wheels that run on `platform`."""
    major, minor = platform.python
    return [
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={major}.{minor}",
        *(f"--abi={abi}" for abi in (f"cp{major}{minor}", "abi3", "none")),
        *(f"--platform={tag}" for tag in platform.tags),
    ]


def requirements(engine: str, platform: Platform) -> tuple[str, ...]:
    """Return what has to be sent; numpy has no wheels for 32-bit ARM: it is the board's own."""
    if engine not in DISTRIBUTIONS:
        raise TargetError(
            f"There are no wheels of {engine} to send.",
            'Install it on the board, and say so in the target file: [board] packages = "own"',
        )
    name = DISTRIBUTIONS[engine][0]
    numpy = () if platform.machine in _ARM_32 else (_NUMPY.get(name, "numpy"),)
    return (name, *numpy)


def _reason(errors: str) -> str:
    lines = [line for line in errors.splitlines() if line.startswith("ERROR")]
    if "No module named pip" in errors:
        return "pip is missing here; python -m ensurepip"
    return (lines or errors.strip().splitlines() or ["pip gave no reason"])[-1][:400]
