"""An int8 file of a model that the user brings: written, run on this computer, and judged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from edgenas.core import plugins
from edgenas.core.errors import ExportError
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.records import Answers, ImageInput, Interval
from edgenas.core.records.intervals import wilson
from edgenas.core.records.quantized import QuantizedFile
from edgenas.int8.checks.file import unlike_lowered
from edgenas.int8.checks.parity import compare, distance, float_step
from edgenas.int8.engines.facts import Engine, find_engine
from edgenas.int8.engines.host import logits, version
from edgenas.int8.exporters.base import Exporter
from edgenas.int8.graph import integer_reference
from edgenas.int8.graph.calibrated import Calibrated
from edgenas.int8.graph.ir import INPUT, OUTPUT, Graph
from edgenas.int8.graph.quantize import Scheme, find_scheme, quantize, stored_scheme
from edgenas.int8.graph.ranges import Ranges
from edgenas.runs.own_models.data import Examples

ENGINE_OF = {".onnx": "onnxruntime", ".tflite": "litert"}


@dataclass(frozen=True, eq=False)
class Int8File:
    """A file to write at `output`, and the images on which it is judged.

    asked : scheme of .onnx files; a .tflite file is signed, which all its engines are best at.
    exact : scores of the float file on the test images, [n, classes].
    """

    output: Path
    asked: str
    examples: Examples
    exact: np.ndarray

    @property
    def format(self) -> str:
        return self.output.suffix.lower()[1:]

    @property
    def scheme(self) -> str:
        return "s8s8" if self.format == "tflite" else self.asked

    @property
    def stored_scheme(self) -> Scheme:
        """How it stores what lies between its ends."""
        return stored_scheme(self.scheme, self.format)

    @cached_property
    def _engine(self) -> Engine:
        return find_engine(ENGINE_OF[self.output.suffix.lower()])

    @cached_property
    def _exporter(self) -> Exporter:
        exporter: Exporter = plugins.load("exporters", self.format)
        return exporter

    def content(self, graph: Graph, ranges: Ranges) -> bytes:
        """Return the file of a calibrated graph."""
        return self._exporter.emit(
            graph,
            ranges,
            scheme=self.scheme,
            made=self._made(graph),
            class_names=self.examples.class_names,
        )

    def in_float(self, graph: Graph) -> bytes:
        """Return the file of the graph in float32."""
        return self._exporter.emit(graph, None)

    def _made(self, graph: Graph) -> ImageInput | None:
        made = self.examples.made
        if made is None or self.format == "onnx":
            return made
        integers = np.dtype(find_scheme(self.scheme).activation.__name__)
        dtype = str(integers) if INPUT in graph.stored else "float32"
        return replace(made, layout="nhwc", dtype=dtype)  # type: ignore[arg-type]

    def scores(self, content: bytes, graph: Graph, images: np.ndarray) -> np.ndarray:
        """Return what the engine on this computer makes of images, [n, …], channels first."""
        try:
            values = logits(content, images, self._engine.host_engine)
        except (RuntimeError, ValueError) as problem:
            said = str(problem).strip().partition("\n")[0][:300]
            raise ExportError(
                f"{self._engine.title} does not run {self.output.name}: {said}",
                "Write the other format: -o FILE.tflite or FILE.onnx",
            ) from problem
        if self.format == "tflite" and gives_images(graph):
            _, channels, height, width = graph.shapes[OUTPUT]
            values = np.moveaxis(values.reshape(-1, height, width, channels), 3, 1)
        return values.reshape(len(images), -1)

    def written(self, best: Calibrated, graph: Graph, ranges: Ranges) -> QuantizedFile:
        """Write the file of a graph, run it, and return what came of it.

        best : the calibrated graph, of which `graph` is a mixture, or itself.

        Raises
        ------
        ExportError : the engine or the writer of the format is not installed.
        """
        content = self.content(graph, ranges)
        quantization = quantize(graph, ranges, self.stored_scheme)
        test, exact = self.examples.test, self.exact
        reference = integer_reference.run(graph, quantization, test).reshape(exact.shape)
        found = self.scores(content, graph, test)
        stored = quantization.tensors.get(OUTPUT)
        step = float_step(reference) if stored is None else float(stored.scale)
        parity = compare(reference, found, None, step, self._engine.name)
        unlike = unlike_lowered(content, graph, ranges, exporter=self.format, scheme=self.scheme)
        write_bytes(self.output, content)
        labels = self.examples.labels
        before, after = answers_of(exact, labels), answers_of(found, labels)
        changed = float((found.argmax(1) != exact.argmax(1)).mean())
        return QuantizedFile(
            path=str(self.output),
            format=self.format,
            scheme=self.scheme,
            sha256=hashlib.sha256(content).hexdigest(),
            model_bytes=len(content),
            engine=version(self._engine.host_engine),
            agreement=parity.agreement,
            mean_steps=parity.mean_steps,
            max_steps=parity.max_steps,
            problems=tuple(filter(None, (*distance(parity, "int8 reference"), unlike))),
            form=best.form,
            logits_snr_db=best.snr_db,
            changed=None if gives_images(graph) else changed,
            accuracy=accuracy_of(after),
            change=None if after is None or before is None else after.ahead_of(before),
        )


def gives_images(graph: Graph) -> bool:
    """Return whether the network gives images, no score a class."""
    return len(graph.shapes[OUTPUT]) == 4


def answers_of(scores: np.ndarray, labels: np.ndarray | None) -> Answers | None:
    """Return which images are right, of scores [n, classes]; None without labels."""
    return None if labels is None else Answers.of((scores.argmax(1) == labels).tolist())


def accuracy_of(answers: Answers | None) -> Interval | None:
    """Return the fraction of right answers with its 95 % interval."""
    if answers is None:
        return None
    return Interval(answers.accuracy, *wilson(answers.right, answers.n_images))
