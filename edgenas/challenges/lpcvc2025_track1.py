"""LPCVC 2025, track 1: an ONNX file for a hosted compile job, which only the user can start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgenas.challenges.base import (
    Entry,
    Facts,
    Finding,
    Judging,
    Parameters,
    Score,
    load_rules,
    require_facts,
    require_file,
)
from edgenas.challenges.class_order import class_order
from edgenas.challenges.model_files import (
    ModelFile,
    UnreadableModelError,
    is_traced_pytorch,
    read_onnx,
)
from edgenas.core.errors import InputError
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.records import ImageInput, canonical, from_json, to_json
from edgenas.core.records.image_input import CLASSES_KEY, INPUT_KEY, INPUT_TEXT_KEY
from edgenas.int8.graph.pixels import as_fed, with_class_order

RULES = load_rules("lpcvc2025-track1")
FILE_NAME = "model.onnx"
_SCHEME = "u8s8"
_FROM_RUN = f"Pack it from its run: edgenas submit RUN --challenge {RULES.name}"


def lint(path: Path) -> tuple[Finding, ...]:
    """Check an ONNX file: that it is valid and whole, its input, its output and what it says.

    A file that PyTorch traced is what the organisers' sample hands in; it is not looked into.
    """
    if is_traced_pytorch(require_file(path)):
        found = f"{path.name} is a traced PyTorch file, which cannot be checked here."
        remedy = "To have it checked, export the network as ONNX too: torch.onnx.export."
        return (RULES.broken("format", found, remedy, "unchecked"), *RULES.remaining)
    try:
        model = read_onnx(path)
    except UnreadableModelError as problem:
        return (RULES.broken("format", str(problem), "Export one self-contained ONNX file."),)
    return (*_input(model), *_output(model), *_stated(model), *RULES.remaining)


def build(entry: Entry, out: Path) -> Path:
    """Write the int8 and the float ONNX file that take what the judge feeds, in its class order.

    Mean and deviation are in the files, and so is the order of the classes.
    """
    path = out / FILE_NAME
    names, made = tuple(RULES.value("classes", "names")), judged_input()
    if len(entry.class_names) != len(names):
        raise InputError(
            f"{entry.name} tells {len(entry.class_names)} classes apart, "
            f"{RULES.name} has {len(names)}.",
            "Search on a data set with the challenge's classes.",
        )
    network = entry.require_network(RULES.name)
    if network.input.size != made.size or network.input.channels == "grey":
        kind = "grey" if network.input.channels == "grey" else "colour"
        raise InputError(
            f"The network of {entry.name} takes {kind} images of {network.input.size} x "
            f"{network.input.size} pixels, {RULES.name} feeds {made.size} x {made.size} in colour.",
            f"Search with --image-size {made.size} in a space of that size alone: "
            f"resolutions = [{made.size}] in --space FILE.toml.",
        )
    order = class_order(entry.class_names, names, RULES.name)
    ordered = with_class_order(network.graph, order)
    for file, int8 in ((path, True), (out / "model_fp32.onnx", False)):
        graph, ranges = as_fed(ordered, network.ranges, network.input, made, fold=not int8)
        known = ranges if int8 else None
        content = network.emit("onnx", graph, known, _SCHEME, made=made, class_names=names)
        write_bytes(file, _renamed(content, order))
    card = {**entry.card, "input": to_json(made), "mean": made.mean, "std": made.std}
    card |= {"input_text": str(made), "class_names": names}
    card["packed_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    write_bytes(out / "card.json", (json.dumps(card, indent=1) + "\n").encode())
    write_bytes(out / "labels.txt", "".join(f"{n}\n" for n in names).encode())
    return path


def judged_input() -> ImageInput:
    """Return what the judge feeds."""
    return from_json(RULES.value("feed", "image"), ImageInput, "the challenge's rules")


def judging(path: Path, entry: Entry) -> Judging:
    """Return what the rules say: the judge feeds and counts alike, whatever the package is."""
    return Judging(path, judged_input(), tuple(RULES.value("classes", "names")))


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


def _stated(model: ModelFile) -> Iterator[Finding]:
    """Hold what a file of edgenas says of itself against what the judge feeds and counts."""
    said, names = model.metadata.get(INPUT_KEY), model.metadata.get(CLASSES_KEY)
    wanted = judged_input()
    if said is not None and said != canonical(wanted):
        about = model.metadata.get(INPUT_TEXT_KEY, said)
        found = f"The file says of itself that its input is made so: {about}."
        yield RULES.broken("feed", found, _FROM_RUN)
    if names is not None and names != canonical(list(RULES.value("classes", "names"))):
        found = "The file says of itself that its scores are in another order, or of other classes."
        yield RULES.broken("classes", found, _FROM_RUN)


def _renamed(content: bytes, order: Sequence[int]) -> bytes:
    """Return the ONNX file with its only input called as the challenge wants it.

    order : the run's number of each class. Scores in 8 bits are often equal, and the first of equal
    ones counts: at the end of an int8 file each class loses a part of a step, under a half, by its
    number in the run, so that of equal scores the same class is first as where it was verified.
    """
    import onnx

    model = onnx.load_model_from_string(content)
    graph = model.graph
    entry, name = graph.input[0], RULES.value("input", "name")
    old, entry.name = entry.name, name
    for node in graph.node:
        node.input[:] = [name if source == old else source for source in node.input]
    last = graph.node[-1]
    if last.op_type == "DequantizeLinear":
        (scale,) = (one for one in graph.initializer if one.name == last.input[1])
        step = float(onnx.numpy_helper.to_array(scale))
        less = -step * np.asarray(order, np.float32) / (2 * len(order))
        graph.initializer.append(onnx.numpy_helper.from_array(less.astype(np.float32), "tie_order"))
        made, last.output[0] = last.output[0], "tied"
        graph.node.append(onnx.helper.make_node("Add", ["tied", "tie_order"], [made]))
    return bytes(model.SerializeToString(deterministic=True))
