"""Time the C file of a network beside the engines, image by image, on one core; print a table.

Run: OMP_NUM_THREADS=1 python benchmarks/c_file.py

Networks have seeded weights: only the time means something. The C file is compiled by gcc with the
flags of the page, and with those that suit the processor best. All are timed in turn, round by
round; the median of the rounds is told, and the least and the greatest.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgenas.core.records import ImageInput
from edgenas.int8.exporters import c
from edgenas.int8.exporters import onnx as onnx_exporter
from edgenas.int8.exporters import tflite as tflite_exporter
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import random_ranges
from edgenas.spaces import lite, mbv3_tiny
from edgenas.spaces.base import MobileSpace

ROUNDS = 9
ROUND_S = 0.1
FLAGS = {"C, -O2": ["-O2"], "C, -O3 -march=native": ["-O3", "-march=native"]}
_TIMED = """
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "network.c"
int main(int count, char **arguments) {
    static uint8_t pixels[EDGENAS_HEIGHT * EDGENAS_WIDTH * EDGENAS_CHANNELS];
    edgenas_value logits[EDGENAS_CLASSES];
    const int runs = count > 1 ? atoi(arguments[1]) : 1;
    struct timespec begin, end;
    for (size_t i = 0; i < sizeof pixels; ++i) pixels[i] = (uint8_t)(i * 37);
    edgenas_classify(pixels, logits);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < runs; ++i) edgenas_classify(pixels, logits);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.9f\\n", (end.tv_sec - begin.tv_sec + 1e-9 * (end.tv_nsec - begin.tv_nsec)) / runs);
    return 0;
}
"""


def main() -> None:
    print("| network | M MACs | " + " | ".join(f"{name}, ms" for name in _NAMES) + " |")
    print("|" + "---|" * (len(_NAMES) + 2))
    for name, space in (
        ("mbv3-tiny, 32 px", mbv3_tiny.create(10, 3, 32)),
        ("lite (EfficientNet-Lite0), 96 px", lite.create(12, 3, 96)),
    ):
        macs, times = timed(space)
        shown = [
            f"{statistics.median(own):.3g} [{min(own):.3g}, {max(own):.3g}]"
            for own in times.values()
        ]
        print(f"| {name} | {macs / 1e6:.3g} | {' | '.join(shown)} |", flush=True)


_NAMES = (*FLAGS, "onnxruntime", "litert")


def timed(space: MobileSpace) -> tuple[int, dict[str, list[float]]]:
    """Return the multiply-accumulates of the largest network, and milliseconds an image."""
    layers = space.layers(space.largest())
    graph = lower(layers, random_state(layers, 0))
    ranges = random_ranges(graph, 0)
    _, channels, height, width = graph.input_shape
    size = {"image_size": height, "size": width, "channels": "rgb" if channels == 3 else "grey"}
    mean = (0.5,) * channels
    made = ImageInput(fit="crop", mean=mean, std=mean, layout="nhwc", dtype="uint8", **size)  # type: ignore[arg-type]
    image = np.random.default_rng(0).standard_normal(graph.input_shape, np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "network.c").write_text(c.emit(graph, ranges, made, ()).text)
        (folder / "timed.c").write_text(_TIMED)
        runs = {what: _compiled(folder, what, flags) for what, flags in FLAGS.items()}
        runs["onnxruntime"] = _onnxruntime(onnx_exporter.emit(graph, ranges), image)
        runs["litert"] = _litert(tflite_exporter.emit(graph, ranges))
        counts = {what: max(3, int(ROUND_S / run(3))) for what, run in runs.items()}
        times: dict[str, list[float]] = {what: [] for what in runs}
        for _ in range(ROUNDS):
            for what, run in runs.items():
                times[what].append(1e3 * run(counts[what]))
    return c.emit(graph, ranges, made, ()).macs, times


def _compiled(folder: Path, what: str, flags: list[str]) -> Callable[[int], float]:
    program = folder / str(list(FLAGS).index(what))
    command = ["gcc", "-std=c99", *flags, "-o", str(program), "timed.c"]
    subprocess.run(command, cwd=folder, check=True)

    def run(count: int) -> float:
        done = subprocess.run([program, str(count)], capture_output=True, text=True, check=True)
        return float(done.stdout)

    return run


def _onnxruntime(content: bytes, image: np.ndarray) -> Callable[[int], float]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return _repeated(lambda: session.run(None, {"input": image}))


def _litert(content: bytes) -> Callable[[int], float]:
    from ai_edge_litert import interpreter

    judge = interpreter.Interpreter(model_content=content, num_threads=1)
    judge.allocate_tensors()
    return _repeated(judge.invoke)


def _repeated(once: Callable[[], object]) -> Callable[[int], float]:
    def run(count: int) -> float:
        once()
        began = time.perf_counter()
        for _ in range(count):
            once()
        return (time.perf_counter() - began) / count

    return run


if __name__ == "__main__":
    main()
