"""Weights of 4 bits in an int8 .onnx file: bytes, milliseconds and accuracy in onnxruntime.

Run: OMP_NUM_THREADS=1 python benchmarks/int4_weights.py --work FOLDER [--data digits] [--epochs 15]
     [--space mbv3-tiny]

The largest network of the space is trained alone and exported in int8. Its files with weights of 4
bits are the same graph in opset 21: weights rounded to [-7, 7] with the scale of least squared
error for each output channel, stored as INT4, once of all layers but depthwise ones, once of all.
Nothing is trained after rounding. Accuracy is of test images. Times are medians of passes in turn,
one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from trained_networks import alone, open_recipe

from edgenas.core.progress import Silent

MOST = 7  # of an int4 that is symmetric
ROUNDS, EACH = 40, 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--space", default="mbv3-tiny")
    parser.add_argument("--epochs", type=int, default=15)
    arguments = parser.parse_args()
    recipe = open_recipe(arguments.data, arguments.epochs, arguments.work, Silent())
    space = recipe.space(arguments.space)
    single = alone(space, space.largest())
    network = recipe.deployable(recipe.trained(single, Silent()), single.largest())
    whole = onnx.load_from_string(network.emit(recipe.target.scheme, None))
    files = {
        "int8": whole.SerializeToString(),
        "int4, but depthwise": with_int4(whole, {"depthwise"}).SerializeToString(),
        "int4, all": with_int4(whole, set()).SerializeToString(),
    }
    test = recipe.data.test.resized(single.largest().resolution)
    images = recipe.data.normalize(test.images)
    sessions = {name: session(content) for name, content in files.items()}
    milliseconds = times(sessions, images[:1])
    base_bytes, base_ms = len(files["int8"]), milliseconds["int8"]
    print(f"{recipe.data.name}, {space.name}, largest, {len(test)} test images, onnxruntime "
          f"{onnxruntime.__version__}\n")  # fmt: skip
    print("| weights | bytes | | ms | | test accuracy, % |\n|---|---|---|---|---|---|")
    for name, one in sessions.items():
        right = (one.run(None, {"input": images})[0].argmax(1) == test.labels).mean()
        size, ms = len(files[name]), milliseconds[name]
        print(f"| {name} | {size:,} | {100 * (size / base_bytes - 1):+.0f} % | {ms:.4f} | "
              f"{ms / base_ms:.2f} x | {100 * right:.2f} |")  # fmt: skip


def with_int4(model: onnx.ModelProto, kept: Collection[str]) -> onnx.ModelProto:
    """Return the model with convolution and matrix weights of 4 bits, but those named in `kept`."""
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    del changed.opset_import[:]
    changed.opset_import.append(helper.make_opsetid("", 21))
    changed.ir_version = 10
    tensors = {one.name: one for one in changed.graph.initializer}
    for node in changed.graph.node:
        if node.op_type != "DequantizeLinear" or not node.input[0].endswith("weight_stored"):
            continue
        if any(word in node.input[0] for word in kept):
            continue
        stored, scale, zero = (tensors[name] for name in node.input)
        weights = numpy_helper.to_array(stored).astype(np.float64)
        scales = numpy_helper.to_array(scale).astype(np.float64)
        axis = next(a.i for a in node.attribute if a.name == "axis")
        shape = [1] * weights.ndim
        shape[axis] = -1
        rounded, steps = best(np.moveaxis(weights * scales.reshape(shape), axis, 0))
        packed = np.moveaxis(rounded, 0, axis)
        values = packed.astype(np.int64).ravel().tolist()
        stored.CopyFrom(helper.make_tensor(stored.name, TensorProto.INT4, packed.shape, values))
        scale.CopyFrom(numpy_helper.from_array(steps.astype(np.float32), scale.name))
        nothing = [0] * len(steps)
        zero.CopyFrom(helper.make_tensor(zero.name, TensorProto.INT4, [len(steps)], nothing))
    onnx.checker.check_model(changed)
    return changed


def best(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights [n, ...] as whole steps, and the step of least squared error of each."""
    rows = weights.reshape(len(weights), -1)
    greatest = np.maximum(np.abs(rows).max(1), 1e-12)
    steps, least = greatest / MOST, np.full(len(rows), np.inf)
    for share in np.linspace(0.4, 1.0, 61):
        step = share * greatest / MOST
        error = ((np.rint(rows / step[:, None]).clip(-MOST, MOST) * step[:, None] - rows) ** 2).sum(
            1
        )
        steps, least = np.where(error < least, step, steps), np.minimum(error, least)
    return np.rint(rows / steps[:, None]).clip(-MOST, MOST).reshape(weights.shape), steps


def session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def times(sessions: dict[str, onnxruntime.InferenceSession], image: np.ndarray) -> dict[str, float]:
    """Return the median milliseconds of one image; all sessions in turn."""
    taken: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(ROUNDS):
        for name, one in sessions.items():
            for _ in range(EACH):
                started = time.perf_counter()
                one.run(None, {"input": image})
                taken[name].append(1e3 * (time.perf_counter() - started))
    return {name: float(np.median(each)) for name, each in taken.items()}


if __name__ == "__main__":
    main()
