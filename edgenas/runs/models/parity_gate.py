"""The parity gate: reference, host and target on the same images, and where they part.

The reference is `graph.int8_reference`. What is tolerated of each engine is data with its reason,
`int8/engines/NAME.json`. Only when the target is off is its network cut short, after one
layer and another, to find the first one that it computes otherwise than the reference or the host.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgenas.core import plugins
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.records import Divergence, EngineParity, ExportedModel, Interval, ParityRecord
from edgenas.int8.checks.parity import (
    Parity,
    Tolerance,
    class_distance,
    compare,
    disagreement,
    distance,
)
from edgenas.int8.engines.facts import Engine
from edgenas.int8.engines.host import logits, version
from edgenas.int8.graph import integer_reference
from edgenas.int8.graph.ir import INPUT, OUTPUT, Graph
from edgenas.int8.graph.quantize import Scheme, quantize, stored_scheme
from edgenas.int8.graph.ranges import Ranges
from edgenas.int8.graph.truncate import cut
from edgenas.runs.models.exported import exported_graph
from edgenas.targets.base import ModelFile, Preprocess

if TYPE_CHECKING:
    from edgenas.data.base import Split
    from edgenas.runs.run import RunContext

# Of the images on which the target is furthest off: a layer is judged on so many, …
MOST_IMAGES = 8
# … or fewer, where a layer's output is larger than this many values in all.
MOST_VALUES = 4_000_000
Place = Literal["reference", "host", "target"]


@dataclass(frozen=True)
class Judged:
    """The record of it, and what is not tolerated, in sentences."""

    record: ParityRecord
    problems: tuple[str, ...]


def judge(
    context: RunContext,
    model: ExportedModel,
    test: Split,
    *,
    engine: Engine,
    host: np.ndarray,
    device: np.ndarray,
) -> Judged:
    """Compare the logits of host and target, float [n, classes], with the int8 reference.

    engine : that ran on the target, after any fallback.
    test : the images that they saw, at the model's own size.

    Raises
    ------
    ExportError : the logits do not belong to the images, or no tolerance of the engine is known.
    """
    graph, ranges = exported_graph(context, model)
    quantization = quantize(graph, ranges, stored_scheme(model.scheme, model.format))
    labels = None if context.dataset.synthetic else test.labels
    reference = reference_logits(context, model, test)
    scale = float(quantization.tensors[OUTPUT].scale)

    def compared(base: np.ndarray, values: np.ndarray) -> Parity:
        return compare(base, values, labels, scale, engine.name, context.dataset.task_name)

    to_reference = compared(reference, device)
    rows = (
        _row("reference", "int8 reference", compared(reference, reference)),
        _row("host", version(engine.host_engine), compared(reference, host)),
        _row("target", engine.name, to_reference),
    )
    to_host, tolerance = compared(host, device), to_reference.tolerance
    problems = [
        *disagreement(to_host, "host"),
        *distance(to_host, "host"),
        *class_distance(to_host),
        *distance(to_reference, "int8 reference"),
    ]
    divergence = None
    if problems:
        images = _worst(test, reference, device)
        layers = _Layers(
            context, model, (graph, ranges), images, engine=engine, tolerance=tolerance
        )
        divergence = layers.first_divergence()
        problems.append(_where(divergence, tolerance))
    tolerated = (tolerance.agreement, tolerance.mean_steps, tolerance.reason)
    record = ParityRecord(rows, len(test), scale, *tolerated, divergence)
    return Judged(record, tuple(problems))


def reference_logits(context: RunContext, model: ExportedModel, test: Split) -> np.ndarray:
    """Return what the int8 reference makes of `test`, float32 [n, classes]."""
    graph, ranges = exported_graph(context, model)
    quantization = quantize(graph, ranges, stored_scheme(model.scheme, model.format))
    return integer_reference.run(graph, quantization, context.dataset.normalize(test.images))


def _row(place: Place, engine: str, found: Parity) -> EngineParity:
    seen = found.device
    return EngineParity(
        place,
        engine,
        None if seen is None else Interval(seen.fraction, seen.lower, seen.upper),
        found.agreement,
        found.max_steps,
        found.mean_steps,
    )


def _worst(test: Split, reference: np.ndarray, device: np.ndarray) -> np.ndarray:
    """Return the images on which the target is furthest off, uint8 [n, height, width, channels]."""
    off = np.abs(device - reference).mean(1)
    return test.images[np.argsort(-off, kind="stable")[:MOST_IMAGES]]


def _where(found: Divergence | None, tolerance: Tolerance) -> str:
    if found is None:
        return (
            f"No single layer is to blame: none has a channel that is {tolerance.layer_steps:g} "
            f"steps off the int8 reference, or {tolerance.host_steps:g} off the host."
        )
    first = f"The first layer that diverges is '{found.layer}' ({found.kind}): "
    if found.worst_channel_steps is None:
        return f"{first}the network cut after it does not run there."
    return (
        f"{first}its worst channel is {found.worst_channel_steps:.3g} steps off the {found.base} "
        f"in the mean, what it reads {found.inputs_steps:.2g} at most."
    )


class _Layers:
    """What the target computes in each layer, found by sending it the network cut after it."""

    def __init__(
        self,
        context: RunContext,
        model: ExportedModel,
        network: tuple[Graph, Ranges],
        images: np.ndarray,
        *,
        engine: Engine,
        tolerance: Tolerance,
    ) -> None:
        graph, ranges = network
        largest = max(int(np.prod(shape)) for shape in graph.shapes.values())
        self.images = images[: max(1, MOST_VALUES // largest)]
        self.context, self.model, self.graph, self.ranges = context, model, graph, ranges
        self.nodes = {node.output: node for node in graph.nodes}
        self._engine = engine
        self._limits = {"int8 reference": tolerance.layer_steps, "host": tolerance.host_steps}
        self._steps: dict[str, dict[str, float]] = {INPUT: dict.fromkeys(self._limits, 0.0)}

    def first_divergence(self) -> Divergence | None:
        """Return a layer that is off although what it reads is not; None if the logits are right.

        By halves: of two layers that follow each other in the order of computation the second is
        off and the first is not. Where the second also reads another branch, that is looked into.
        """
        names = list(self.nodes)
        if not self._off(OUTPUT):
            return None
        right, wrong = -1, len(names) - 1
        while wrong - right > 1:
            middle = (right + wrong) // 2
            if self._off(names[middle]):
                wrong = middle
            else:
                right = middle
        name = names[wrong]
        while off := [one for one in self.nodes[name].inputs if self._off(one)]:
            name = off[0]
        node, steps = self.nodes[name], self.steps(name)
        base = max(steps, key=lambda one: steps[one] / self._limits[one])
        read = max(self.steps(one)[base] for one in node.inputs)
        known = steps[base] if np.isfinite(steps[base]) else None
        return Divergence(name, node.kind, known, read, len(self.images), base)

    def steps(self, name: str) -> dict[str, float]:
        """Return how far a layer's worst channel is off, mean, in steps, of reference and host.

        Infinite if it does not run.
        """
        if name not in self._steps:
            self._steps[name] = self._measured(name)
        return self._steps[name]

    def _off(self, name: str) -> bool:
        return any(steps > self._limits[base] for base, steps in self.steps(name).items())

    def _measured(self, name: str) -> dict[str, float]:
        graph, ranges = cut(self.graph, self.ranges, name)
        quantization = quantize(graph, ranges, self._scheme)
        content = self._emit(graph, ranges)
        expected = integer_reference.run(graph, quantization, self._normalized)
        host = logits(content, self._normalized, self._engine.host_engine)
        seen = self._on_target(name, graph, content)
        scale = float(quantization.tensors[OUTPUT].scale)
        return {
            "int8 reference": self._worst_channel(seen, expected, expected.shape) / scale,
            "host": self._worst_channel(seen, host, expected.shape) / scale,
        }

    def _worst_channel(
        self, seen: np.ndarray, expected: np.ndarray, shape: tuple[int, ...]
    ) -> float:
        """Return the mean difference of the worst channel; shape : [n, channels, …] of it."""
        off = np.abs(self._in_shape(seen, shape) - self._in_shape(expected, shape))
        return float(off.mean(axis=tuple(axis for axis in range(off.ndim) if axis != 1)).max())

    def _in_shape(self, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        if values.shape != shape and self.model.layout == "nhwc" and len(shape) == 4:
            n, channels, height, width = shape
            values = values.reshape(n, height, width, channels).transpose(0, 3, 1, 2)
        shaped: np.ndarray = values.reshape(shape)
        return shaped

    def _emit(self, graph: Graph, ranges: Ranges) -> bytes:
        exporter = plugins.load("exporters", self.model.format)
        return bytes(exporter.emit(graph, ranges, scheme=self.model.scheme))

    def _on_target(self, name: str, graph: Graph, content: bytes) -> np.ndarray:
        context, model = self.context, self.model
        key = f"{model.candidate.architecture.short_name}-cut-{list(self.nodes).index(name)}"
        path = context.folder.jobs / "cut" / key
        write_bytes(path, content)
        file = ModelFile(key, path, hashlib.sha256(content).hexdigest())
        pixels = np.ascontiguousarray(self.images.transpose(0, 3, 1, 2))
        how = Preprocess(model.mean, model.std)
        job_dir = context.job_dir("parity", [file])
        inference = context.target.infer(file, pixels, how, job_dir, context.progress)
        if inference.logits is None:
            return np.full((len(pixels), int(np.prod(graph.shapes[OUTPUT]))), np.inf)
        return inference.logits

    @cached_property
    def _normalized(self) -> np.ndarray:
        return self.context.dataset.normalize(self.images)

    @property
    def _scheme(self) -> Scheme:
        return stored_scheme(self.model.scheme, self.model.format)
