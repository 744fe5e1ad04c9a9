"""What evidence says of people and machines: what no figure needs is left out, the rest listed.

A verdict follows from samples, logits, limits and predictors. Where the images lay, what the board
is called and who measured decide no figure.
"""

from __future__ import annotations

import getpass
import json
import platform
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_runtime.json_text import read_json_text
from device_runtime.protocol import (
    JOURNAL_FILE,
    Failed,
    ProtocolError,
    is_sealed,
    parse_record,
    write_record,
)
from edgenas.core.counted import counted
from edgenas.core.errors import RunFolderError

LEFT_OUT = "(left out)"
# Of a run's options, those that say with whose files and machines it was made.
_PRIVATE_OPTIONS = ("target", "data", "supernet", "warm_start")
_TITLES = {  # by the first part of a file's name
    "verification.json": "the verdict: latencies, accuracies, engine and its version, scheme, and "
    "the board's state around each pass (clock, temperature, load, free memory)",
    "search.json": "what the search found, and what it was asked",
    "run.json": "limits and options of the run",
    "profile.json": "what the board is: model, processor, system, Python, engines, problems",
    "models": "cards of the exported models: class names, hashes, accuracies",
    "predictors": "the predictors that the search used",
    "jobs": "raw samples, and in each journal the board's processor, system and memory",
    "labels.npy": "the class of each test image, but no image",
    "host_logits": "class scores of the test images, from this computer",
    "reference_logits": "class scores of the test images, from the int8 reference",
    "fp32_classes": "classes of the test images, from the float file",
    "SHA256SUMS": "hashes of all of these",
}


def private_words(config: Mapping[str, Any], folder: Path, names: Collection[str]) -> set[str]:
    """Return what names people, machines and places: of a run's options, and of this computer.

    config : the options. folder : of the run. names : of the target, its host and its user.
    """
    options = {str(config.get(name) or "") for name in _PRIVATE_OPTIONS}
    paths = {text.partition(":")[2] or text for text in options if "/" in text or ":" in text}
    homes = {f"/home/{name}" for name in names if name}
    words = {
        *options,
        *paths,
        *names,
        *homes,
        str(folder.absolute()),
        str(Path.home()),
        platform.node(),
    }
    with suppress(OSError, KeyError):  # a user without a name
        words.add(getpass.getuser())
    return {word for word in words if len(word) > 1 and word not in ("local", "digits", "root")}


def anonymous(files: Mapping[str, bytes], private: set[str]) -> dict[str, bytes]:
    """Return the files of a bundle without what no figure needs.

    Raises
    ------
    RunFolderError : a file of it cannot be read.
    """
    found = {}
    for name, content in files.items():
        if name == "profile.json" or name.startswith("models/"):
            continue
        try:
            found[name] = _file(name, content, private)
        except ValueError as problem:
            raise RunFolderError(f"{name} of the run is not valid: {problem}.") from problem
    return found


def contents(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return what is in a bundle, a line a kind of file."""
    by_title: dict[str, list[int]] = {}
    for name, content in files.items():
        title = _TITLES.get(name.partition("/")[0], name)
        by_title.setdefault(title, []).append(len(content))
    return tuple(
        f"{counted(len(sizes), 'file')}, {sum(sizes) / 1e3:.1f} kB: {title}"
        for title, sizes in by_title.items()
    )


def _file(name: str, content: bytes, private: set[str]) -> bytes:
    if name.endswith(JOURNAL_FILE):
        return _journal(content, private)
    if name not in ("verification.json", "search.json", "run.json"):
        return content
    document = read_json_text(content)
    if isinstance(document, dict):
        if name == "run.json" and isinstance(document.get("config"), dict):
            for option in _PRIVATE_OPTIONS:
                document["config"].pop(option, None)
        if "target" in document:
            document["target"] = LEFT_OUT
        if isinstance(made_from := document.get("verified_from"), dict):
            made_from.pop("options", None)
            made_from.pop("seal", None)  # of what was left out
    document = _without(document, _pattern(private))
    return (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()


def _journal(content: bytes, private: set[str]) -> bytes:
    """Return a journal whose reasons of failures name nobody; other lines are kept as they are."""
    pattern = _pattern(private)
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    return "\n".join(_line(line, pattern) for line in lines).encode("utf-8", "surrogateescape")


def _line(line: str, pattern: re.Pattern[str]) -> str:
    try:
        record = parse_record(line)
    except ProtocolError:  # a line that was cut is kept as it is
        return line
    if not (isinstance(record, Failed) and pattern.search(record.reason)):
        return line
    nameless = replace(record, reason=_without(record.reason, pattern))
    return write_record(nameless, sealed=is_sealed(line))  # as the lines around it


def _without(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(LEFT_OUT, value)
    if isinstance(value, list):
        return [_without(inside, pattern) for inside in value]
    if isinstance(value, dict):
        return {name: _without(inside, pattern) for name, inside in value.items()}
    return value


def _pattern(private: set[str]) -> re.Pattern[str]:
    words = "|".join(re.escape(word) for word in sorted(private, key=len, reverse=True))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{words or '(?!)'})(?![A-Za-z0-9])")
