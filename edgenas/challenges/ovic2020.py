"""OVIC 2020: one .tflite that takes pixels, judged by what it gains over a frontier.

How the referee ranked models away from the target latency was not found: the score here is the gain
at the model's own latency, and says so when that is above the target.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edgenas.challenges.base import (
    Entry,
    Facts,
    Finding,
    Judging,
    Network,
    Parameters,
    Score,
    load_rules,
    require_facts,
    require_file,
)
from edgenas.challenges.class_order import class_order, plain_name
from edgenas.challenges.model_files import ModelFile, UnreadableModelError, read_tflite
from edgenas.core.counted import counted
from edgenas.core.errors import InputError
from edgenas.core.files.run_folder import write_bytes
from edgenas.int8.graph.pixels import take_pixels, with_background, with_class_order

RULES = load_rules("ovic2020")
FILE_NAME = "model.tflite"
_NUMBER = re.compile(r"n\d{8}(?!\d)")


def lint(path: Path) -> tuple[Finding, ...]:
    """Check a .tflite file: format, ends, custom operators and float islands."""
    try:
        model = read_tflite(require_file(path))
    except UnreadableModelError as problem:
        return (RULES.broken("format", str(problem), "Export a .tflite file, and copy all of it."),)
    return (*_input(model), *_output(model), *_operators(model), *RULES.remaining)


def build(entry: Entry, out: Path) -> Path:
    """Write a uint8 .tflite file that takes pixels: the background, then the judge's classes."""
    path = out / FILE_NAME
    content = entry.model("uint8.tflite", RULES.name)
    own = RULES.value("output", "classes") - 1
    if len(entry.class_names) != own:
        raise InputError(
            f"{entry.name} tells {len(entry.class_names)} classes apart, "
            f"{RULES.name} wants ImageNet's {own}, to which edgenas adds the background.",
            "Search on ImageNet, or hand in a model made elsewhere: edgenas submit --check FILE",
        )
    order = judged_order(entry.class_names)
    if order != tuple(range(own)):
        content = _in_order(entry.require_network(RULES.name), order)
    write_bytes(path, content)
    return path


def judged_order(own: Sequence[str]) -> tuple[int, ...]:
    """Return for each class of the judge which of `own` it is.

    A class is named by its WordNet number, whatever follows it ("n01440764", "n01440764_tench"), or
    by the first words that WordNet has for it ("tench"), where these name one class only.

    Raises
    ------
    InputError : the two do not name the same classes.
    """
    judged = [name.split(" ", 1) for name in RULES.value("classes", "names")]
    words = Counter(plain_name(word) for _, word in judged)
    numbers = {plain_name(word): number for number, word in judged if words[plain_name(word)] == 1}
    named = [
        found[0] if (found := _NUMBER.match(name)) else numbers.get(plain_name(name), name)
        for name in own
    ]
    who = "ImageNet's list, by WordNet number"
    return class_order(named, [number for number, _ in judged], who)


def _in_order(network: Network, order: Sequence[int]) -> bytes:
    """Return the file whose score number 1 + i is the network's number `order[i]`."""
    ordered = with_class_order(network.graph, order)
    mean, std = network.input.mean, network.input.std
    graph, ranges = take_pixels(ordered, network.ranges, mean, std)
    return network.emit("tflite", with_background(graph, ranges), ranges, "u8s8")


def judging(path: Path, entry: Entry) -> Judging:
    """Return that raw pixels are fed, channels last, and that class 0 is the background.

    How an image becomes square was not published: it is taken to be as the run's own was.
    """
    own = entry.require_network(RULES.name).input
    channels = len(own.mean)
    made = replace(
        own,
        formula="pixel",
        dtype="uint8",
        layout="nhwc",
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
    )
    names = tuple(entry.class_names[number] for number in judged_order(entry.class_names))
    return Judging(path, made, names, first_class=1)


def score(path: Path, facts: Facts | None, given: Parameters) -> Score:
    """Return the gain over the frontier at the model's own latency t, in percent of accuracy."""
    RULES.check_names(given)
    if facts is None and {"accuracy", "latency_ms"} <= set(given):
        facts = Facts(RULES.number("accuracy", given), RULES.number("latency_ms", given), 0)
    facts = require_facts(RULES, facts)
    k, a0 = RULES.number("frontier_k", given), RULES.number("frontier_a0", given)
    target_ms = RULES.number("target_ms", given)
    frontier = k * math.log(facts.latency_ms) + a0
    details = {
        "accuracy_percent": 100 * facts.accuracy,
        "latency_ms": facts.latency_ms,
        "target_ms": target_ms,
        "frontier_percent": frontier,
    }
    late = facts.latency_ms > target_ms
    notes = (f"Slower than the target of {target_ms:g} ms an image.",) if late else ()
    formula = "100 x accuracy - (k ln(latency_ms) + a0)"
    return Score(100 * facts.accuracy - frontier, formula, details, notes)


def _input(model: ModelFile) -> Iterator[Finding]:
    if len(model.inputs) != 1:
        yield RULES.broken(
            "input", f"The model has {len(model.inputs)} inputs.", "Keep the image only."
        )
        return
    (image,) = model.inputs
    largest, channels = RULES.value("input", "max_size"), RULES.value("input", "channels")
    shape = image.shape
    if len(shape) != 4 or shape[0] != 1 or shape[3] != channels:
        remedy = "Export with a batch of 1, channels last, and 3 of them."
        yield RULES.broken("input", f"The input has the shape {image.shown}.", remedy)
    elif not all(1 <= size <= largest for size in shape[1:3]):
        remedy = f"Export at a fixed size of 1 to {largest} pixels."
        yield RULES.broken("input", f"The input has the shape {image.shown}.", remedy)
    if image.dtype != RULES.value("input", "dtype"):
        remedy = "Export int8 with uint8 ends (scheme u8s8)."
        yield RULES.broken("input", f"The input is {image.dtype}.", remedy)


def _output(model: ModelFile) -> Iterator[Finding]:
    classes = RULES.value("output", "classes")
    if len(model.outputs) != 1:
        found = f"The model has {len(model.outputs)} outputs."
        yield RULES.broken("output", found, "Keep the class scores only.")
    elif model.outputs[0].shape != (1, classes):
        found = f"The output has the shape {model.outputs[0].shown}."
        remedy = "Put the background at index 0"
        if model.outputs[0].shape == (1, classes - 1):
            remedy += ": this model has the 1000 classes but not the background"
        yield RULES.broken("output", found, f"{remedy}.")


def _operators(model: ModelFile) -> Iterator[Finding]:
    custom = sorted(name for name in model.operators if not name.isupper() or "Flex" in name)
    if custom:
        found = f"The model has custom operators: {', '.join(custom)}."
        yield RULES.broken("operators", found, "Use built-in operators only.")
    if model.float_operators:
        names = ", ".join(model.float_operators[:3])
        tensors = counted(len(model.float_operators), "tensor is", "tensors are")
        found = f"{tensors} computed in float, the first: {names}."
        remedy = "Quantize these layers too."
        yield RULES.broken("integer", found, remedy, "warning")
