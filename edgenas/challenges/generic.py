"""A package for anybody: model, labels, card, hashes, evidence and the command to reproduce it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from device_runtime.json_text import read_json_text
from edgenas.challenges.base import (
    LARGEST_NUMBER,
    Entry,
    Facts,
    Finding,
    Judging,
    Parameters,
    Score,
    load_rules,
    require_facts,
)
from edgenas.challenges.class_order import class_order
from edgenas.challenges.model_files import (
    UnreadableModelError,
    broken_ends,
    read_onnx,
    read_tflite,
)
from edgenas.core.counted import counted
from edgenas.core.errors import InputError
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.records import ImageInput, from_json

RULES = load_rules("generic")
SUMS = "SHA256SUMS"
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.+)\Z")
_INTEGER = {"DequantizeLinear", "DEQUANTIZE", "QUANTIZE"}  # so the file means to be int8
_REBUILD = "Build the package again: edgenas submit RUN --challenge generic"


def lint(path: Path) -> tuple[Finding, ...]:
    """Check a package's folder: files, hashes, card, model against labels, evidence.

    Of a model file that is not in a package, only itself is checked.
    """
    if path.is_file() and path.suffix in RULES.value("files", "models"):
        return (*_one_model(path),)
    if not path.is_dir():
        raise InputError(
            f"There is no folder {path} to check.",
            "Give the package's folder, or a model file (.onnx, .tflite).",
        )
    return (*_files(path), *_hashes(path), *_card(path), *_model(path), *_evidence(path))


def build(entry: Entry, out: Path) -> Path:
    """Write the package into `out` and return it; the int8 model of the run's own engine."""
    own = f"int8.{entry.card.get('format', 'onnx')}"
    kinds = [k for k in (own, "int8.onnx", "int8.tflite", "uint8.tflite") if k in entry.models]
    kind = kinds[0] if kinds else "int8.onnx"
    files = {
        f"model.{kind.split('.')[1]}": entry.model(kind, RULES.name),
        "labels.txt": "".join(f"{name}\n" for name in entry.class_names).encode(
            "utf-8", "backslashreplace"
        ),
        "card.json": (json.dumps(dict(entry.card), indent=1, allow_nan=False) + "\n").encode(),
        "REPRODUCE.txt": _utf8(f"{entry.command}\n"),
        **{f"evidence/{name}": content for name, content in entry.evidence.items()},
    }
    sums = [f"{_sha256(content)}  {name}\n" for name, content in sorted(files.items())]
    for name, content in files.items():
        write_bytes(out / name, content)
    write_bytes(out / SUMS, "".join(sums).encode())
    return out


def judging(path: Path, entry: Entry) -> Judging:
    """Return what the package says: its model, card.json's input, the order of labels.txt."""
    (model,) = _models(path)
    made = _card_input(path, _read_card(path / "card.json") or {})
    own = tuple(_utf8(name).decode() for name in entry.class_names)
    labels = (path / "labels.txt").read_text("utf-8").splitlines()
    order = class_order(own, labels, "labels.txt")
    return Judging(model, made, tuple(entry.class_names[number] for number in order))


def score(path: Path, facts: Facts | None, given: Parameters) -> Score:
    """Return the measured accuracy in percent: there is no referee, and no other formula."""
    RULES.check_names(given)
    stated = _stated(path) if facts is None else None
    facts = require_facts(RULES, facts or stated)
    details = {"latency_ms": facts.latency_ms, "n_images": float(facts.n_images)}
    where = "as card.json says" if stated else "as measured on the target"
    return Score(100 * facts.accuracy, f"100 x accuracy, {where}", details)


def _stated(path: Path) -> Facts | None:
    """Return what the card of a package says; None where it does not, or is no card."""
    card = _read_card(path / "card.json") or {}
    values = []
    for name in ("accuracy", "latency_ms", "n_images"):
        value = card.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        values.append(value)
    accuracy, latency_ms, n_images = values
    return Facts(accuracy, latency_ms, n_images) if isinstance(n_images, int) else None


def _files(path: Path) -> Iterator[Finding]:
    for name in RULES.value("files", "required"):
        if not (path / name).is_file():
            yield RULES.broken("files", f"There is no {name}.", _REBUILD)
    models = _models(path)
    if len(models) != 1:
        found = f"There are {len(models)} models: {', '.join(p.name for p in models) or 'none'}."
        yield RULES.broken("files", found, _REBUILD)


def _hashes(path: Path) -> Iterator[Finding]:
    if not (path / SUMS).is_file():
        return
    listed: set[str] = set()
    for line in (path / SUMS).read_text("utf-8", "replace").splitlines():
        match = _SUM.match(line)
        name = match[2] if match else ""
        inside = name and not Path(name).is_absolute() and ".." not in Path(name).parts
        if not match or not inside:
            found = f"{SUMS} has a line that is no hash of a file in the package: {line[-40:]!r}."
            yield RULES.broken("hashes", found, _REBUILD)
            continue
        listed.add(name)
        if not (path / name).is_file():
            yield RULES.broken("hashes", f"{name} is listed but not there.", _REBUILD)
        elif _sha256((path / name).read_bytes()) != match[1]:
            yield RULES.broken("hashes", f"{name} is not the file that was hashed.", _REBUILD)
    there = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    more = sorted(there - listed - {SUMS})
    if more:
        found = f"{', '.join(more[:5])}{' and others' if len(more) > 5 else ''} not listed."
        yield RULES.broken("hashes", f"{SUMS} is not of all files: {found}", _REBUILD)


def _card(path: Path) -> Iterator[Finding]:
    if not (path / "card.json").is_file():
        return
    card = _read_card(path / "card.json")
    if card is None:
        yield RULES.broken("card", "card.json is no JSON object.", _REBUILD)
        return
    missing = [name for name in RULES.value("card", "fields") if card.get(name) in (None, "")]
    if missing:
        yield RULES.broken("card", f"card.json does not say {', '.join(missing)}.", _REBUILD)
    for name, least, most in (("accuracy", 0.0, 1.0), ("latency_ms", 1e-9, LARGEST_NUMBER)):
        value = card.get(name)
        if value is not None and not (isinstance(value, (int, float)) and least <= value <= most):
            yield RULES.broken("card", f"card.json gives {name} as {value!r}.", _REBUILD)
    if card.get("input") is not None:  # which packages of older versions do not say
        try:
            _card_input(path, card)
        except InputError as problem:
            yield RULES.broken("card", str(problem.message), _REBUILD)


def _card_input(path: Path, card: dict[str, Any]) -> ImageInput:
    return from_json(card.get("input"), ImageInput, f"The input in {path / 'card.json'}")


def _model(path: Path) -> Iterator[Finding]:
    labels = path / "labels.txt"
    for file in _models(path):
        yield from _one_model(file, labels if labels.is_file() else None)


def _one_model(file: Path, labels: Path | None = None) -> Iterator[Finding]:
    try:
        model = read_onnx(file) if file.suffix == ".onnx" else read_tflite(file)
    except UnreadableModelError as problem:
        yield RULES.broken("model", f"{file.name}: {problem}", "Export the model again.")
        return
    for found, remedy in broken_ends(model):
        yield RULES.broken("model", f"{file.name}: {found}", remedy)
    if model.float_operators and _INTEGER & set(model.operators):
        names = ", ".join(model.float_operators[:3])
        layers = counted(len(model.float_operators), "layer is", "layers are")
        found = f"{layers} computed in float, first {names}."
        yield RULES.broken("integer", found, "Quantize these layers too.", "warning")
    if labels is not None and model.outputs:
        count = len(labels.read_text("utf-8", "replace").splitlines())
        scores = {tensor.shape[-1] for tensor in model.outputs if tensor.shape}
        if scores != {count}:
            found = f"{file.name} gives {sorted(scores)} scores for {counted(count, 'label')}."
            yield RULES.broken("model", found, "Give one label for each score, in order.")


def _evidence(path: Path) -> Iterator[Finding]:
    folder = path / RULES.value("files", "evidence")
    files = [file for file in folder.rglob("*") if file.is_file()]
    if not any(file.stat().st_size for file in files):
        found = "There is no evidence: nobody can check the card's figures."
        yield RULES.broken("evidence", found, _REBUILD, "warning")


def _models(path: Path) -> list[Path]:
    suffixes = RULES.value("files", "models")
    return sorted(file for file in path.iterdir() if file.suffix in suffixes)


def _read_card(path: Path) -> dict[str, Any] | None:
    try:
        card = read_json_text(path.read_bytes())
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) else None


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")  # of names that are not UTF-8, the numbers


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
