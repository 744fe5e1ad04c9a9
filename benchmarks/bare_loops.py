"""Hold `edgenas bench` against a bare loop of the engine's own Python call, again and again.

    OMP_NUM_THREADS=1 python benchmarks/bare_loops.py MODEL.onnx|MODEL.tflite [--repeat 20]

In each repetition the loop runs before and after the measuring. Told are the ratio of the medians
and whether the loop's median, of both runs together, is within the interval of `bench`. The loop
rejects nothing, so that other work on the machine shows in it; run it on an idle one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgenas.core.progress import Silent
from edgenas.runs.own_models.bench import bench
from edgenas.targets.config import Access

LOOP_S = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    once = _onnx(options.model) if options.model.suffix == ".onnx" else _tflite(options.model)
    ratios, covered = [], 0
    print("| repetition | bench, ms | loop, ms | ratio | covered |")
    print("|---|---|---|---|---|")
    for number in range(1, options.repeat + 1):
        times = looped(once)
        result = bench([options.model], ("local",), (), Access(), Silent(), shapes={})
        times += looped(once)
        (row,) = result.rows
        if row.median_ms is None or row.ci95_ms is None:
            print(f"| {number} | none | | | no |", flush=True)
            continue
        loop = statistics.median(times)
        inside = row.ci95_ms[0] <= loop <= row.ci95_ms[1]
        ratios.append(row.median_ms / loop)
        covered += inside
        interval = f"{row.median_ms:.4g} [{row.ci95_ms[0]:.4g}, {row.ci95_ms[1]:.4g}]"
        word = "yes" if inside else "no"
        print(f"| {number} | {interval} | {loop:.4g} | {ratios[-1]:.3f} | {word} |", flush=True)
    near = sum(abs(ratio - 1) <= 0.02 for ratio in ratios)
    print(f"\nmedian ratio {statistics.median(ratios):.3f}; of {options.repeat} repetitions")
    print(f"{near} within 2 %, {covered} covered")


def looped(once: Callable[[], object]) -> list[float]:
    """Return milliseconds of each call, for half a second."""
    for _ in range(10):
        once()
    times, end = [], time.perf_counter() + LOOP_S
    while time.perf_counter() < end:
        began = time.perf_counter()
        once()
        times.append(1e3 * (time.perf_counter() - began))
    return times


def _onnx(path: Path) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    shape = [size if isinstance(size, int) else 1 for size in entry.shape]
    image = {entry.name: np.random.default_rng(0).standard_normal(shape, np.float32)}
    return lambda: session.run(None, image)


def _tflite(path: Path) -> Callable[[], object]:
    from ai_edge_litert import interpreter

    judge = interpreter.Interpreter(model_path=str(path), num_threads=1)
    judge.allocate_tensors()
    return judge.invoke  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
