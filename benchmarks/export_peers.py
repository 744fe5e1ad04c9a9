"""Time the official tools that quantize a float file, beside emission; print a markdown table.

Run: OMP_NUM_THREADS=1 python benchmarks/export_peers.py

Every row begins with the float file of the same network, and 16 images to calibrate with. Times are
CPU seconds, median of 3.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_quantizer import calibrator, quantizer, recipe
from ai_edge_quantizer.utils import qsv_utils
from export import networks
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from edgenas.core import plugins
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate

IMAGES, REPEATS = 16, 3


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """The calibration images, one after another."""

    def __init__(self, images: np.ndarray) -> None:
        self.left = [{"input": image[None]} for image in images[::-1]]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self.left.pop() if self.left else None


def of_onnxruntime(content: bytes, images: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        before.write_bytes(content)
        quantize_static(
            str(before),
            str(after),
            Reader(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return after.read_bytes()


def of_ai_edge(content: bytes, images: np.ndarray) -> bytes:
    work = quantizer.Quantizer(content, recipe.static_wi8_ai8())
    found = calibrator.Calibrator(content, num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    samples = [{"input": image[None]} for image in images.transpose(0, 2, 3, 1)]
    found.calibrate({"serving_default": samples}, work._recipe_manager)
    return bytes(work.quantize(found.get_model_qsvs()).quantized_model)


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the median CPU seconds of `action`, and what it returned last."""
    seconds, result = [], None
    for _ in range(REPEATS):
        start = time.process_time()
        result = action()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), result


TOOLS = {"onnx": ("quantize_static", of_onnxruntime), "tflite": ("ai-edge-quantizer", of_ai_edge)}


def rows(name: str, graph: Graph) -> Iterator[str]:
    images = np.random.default_rng(0).standard_normal((IMAGES, *graph.input_shape[1:]), np.float32)
    calibration_s, ranges = timed(lambda: calibrate(graph, images))
    for exporter, (tool, quantize) in TOOLS.items():
        emit = plugins.load("exporters", exporter).emit
        before = emit(graph, None)
        emit_s, ours = timed(partial(emit, graph, ranges))
        with contextlib.redirect_stdout(sys.stderr):  # where the tools talk
            tool_s, theirs = timed(partial(quantize, before, images))
        cells = (name, exporter, f"{calibration_s:.2f}", f"{emit_s:.3f}", _kb(ours))
        yield f"| {' | '.join(cells)} | {tool} | {tool_s:.2f} | {_kb(theirs)} |"


def main() -> None:
    warnings.filterwarnings("ignore", ".*preserve_all_tensors")  # its way to calibrate
    print("| network | file | edgenas: calibrate, s | emit, s | kB | official tool | s | kB |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (space, architecture) in networks().items():
        layers = space.layers(architecture)
        for row in rows(name, lower(layers, random_state(layers, 0))):
            print(row, flush=True)


def _kb(content: bytes) -> str:
    return f"{len(content) / 1000:.0f}"


if __name__ == "__main__":
    main()
