"""LPCVC 2025, track 1: an ONNX file for a hosted compile job, which only the user can start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from edgenas.challenges.base import (
    Entry,
    Facts,
    Finding,
    Parameters,
    Score,
    load_rules,
    require_facts,
    require_file,
)
from edgenas.challenges.model_files import ModelFile, UnreadableModelError, read_onnx
from edgenas.errors import InputError
from edgenas.run_folder import write_bytes

RULES = load_rules("lpcvc2025-track1")
FILE_NAME = "model.onnx"


def lint(path: Path) -> tuple[Finding, ...]:
    """Check an ONNX file: that it is valid and whole, and its input and output."""
    try:
        model = read_onnx(require_file(path))
    except UnreadableModelError as problem:
        return (RULES.broken("format", str(problem), "Export one self-contained ONNX file."),)
    return (*_input(model), *_output(model), *RULES.remaining)


def build(entry: Entry, out: Path) -> Path:
    """Write the int8 and the float ONNX file with their input renamed, and what they expect."""
    path = out / FILE_NAME
    classes = RULES.value("output", "shape")[1]
    if len(entry.class_names) != classes:
        raise InputError(
            f"{entry.name} tells {len(entry.class_names)} classes apart, "
            f"{RULES.name} has {classes}.",
            "Search on a data set with the challenge's classes.",
        )
    write_bytes(path, _renamed(entry.model("int8.onnx", RULES.name)))
    write_bytes(out / "model_fp32.onnx", _renamed(entry.model("fp32.onnx", RULES.name)))
    write_bytes(out / "card.json", (json.dumps(dict(entry.card), indent=1) + "\n").encode())
    write_bytes(out / "labels.txt", "".join(f"{n}\n" for n in entry.class_names).encode())
    size = RULES.value("input", "shape")[3]
    if any(finding.severity == "error" for finding in lint(path)):
        raise InputError(
            f"{entry.name} does not take images of {size} x {size} pixels in colour.",
            f"Search at {size} pixels: the lint of {path} says what is wrong.",
        )
    return path


def score(path: Path, facts: Facts | None, given: Parameters) -> Score:
    """Return the top-1 accuracy in percent; the referee's own device and images decide."""
    RULES.check_names(given)
    if facts is None and {"accuracy", "latency_ms"} <= set(given):
        facts = Facts(RULES.number("accuracy", given), RULES.number("latency_ms", given), 0)
    facts = require_facts(RULES, facts)
    details = {"accuracy_percent": 100 * facts.accuracy, "latency_ms": facts.latency_ms}
    notes = ["Latency counts as AI Hub's profile job reports it, not as measured here."]
    if "latency_limit_ms" in given:
        limit_ms = RULES.number("latency_limit_ms", given)
        details["latency_limit_ms"] = limit_ms
        if facts.latency_ms > limit_ms:
            notes.append(f"Slower than {limit_ms:g} ms here: the entry may not be valid.")
    return Score(100 * facts.accuracy, "100 x top-1 accuracy", details, tuple(notes))


def _input(model: ModelFile) -> Iterator[Finding]:
    wanted, name = tuple(RULES.value("input", "shape")), RULES.value("input", "name")
    if len(model.inputs) != 1:
        found = f"The model has {len(model.inputs)} inputs."
        yield RULES.broken("input", found, "Keep the image only.")
        return
    (image,) = model.inputs
    if image.name != name:
        found = f"The input is called '{image.name}'."
        yield RULES.broken("input", found, f"Rename it to '{name}'.")
    if image.shape != wanted:
        found = f"The input has the shape {image.shown}."
        yield RULES.broken("input", found, f"Export with the fixed shape {list(wanted)}.")
    if image.dtype != RULES.value("input", "dtype"):
        found = f"The input is {image.dtype}."
        yield RULES.broken("input", found, "Take float images; quantize inside the model.")


def _output(model: ModelFile) -> Iterator[Finding]:
    wanted = tuple(RULES.value("output", "shape"))
    if len(model.outputs) != 1:
        found = f"The model has {len(model.outputs)} outputs."
        yield RULES.broken("output", found, "Keep the class scores only.")
    elif model.outputs[0].shape != wanted:
        found = f"The output has the shape {model.outputs[0].shown}."
        yield RULES.broken("output", found, f"Export {wanted[1]} class scores for one image.")


def _renamed(content: bytes) -> bytes:
    """Return the ONNX file with its only input called as the challenge wants it."""
    import onnx

    model = onnx.load_model_from_string(content)
    entry, name = model.graph.input[0], RULES.value("input", "name")
    old, entry.name = entry.name, name
    for node in model.graph.node:
        node.input[:] = [name if source == old else source for source in node.input]
    return bytes(model.SerializeToString(deterministic=True))
