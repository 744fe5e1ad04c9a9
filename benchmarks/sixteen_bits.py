"""Time convolutions with 16-bit activations and int8 weights beside float and int8 ones.

    OMP_NUM_THREADS=1 python benchmarks/sixteen_bits.py

Four layers of 64 channels at 28 x 28, on one thread, in ONNX Runtime (QDQ with uint16, opset 21)
and LiteRT (int16 activations), with XNNPACK and on the built-in kernels. The table has the least of
40 times, run in turn, and the operators that are left after the engine's own optimizations.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert import interpreter
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgenas.int8.exporters.flatbuffer import FlatbufferFile

CHANNELS, SIZE, LAYERS, ROUNDS = 64, 28, 4, 40
SHAPES = {"3 x 3": (3, False), "depthwise 3 x 3": (3, True), "1 x 1": (1, False)}
TYPES = {"float": np.float32, "int8": np.uint8, "int16": np.uint16}
Run = tuple[Callable[[], None], str]  # and what runs


def main() -> None:
    print("| layers | engine | float, ms | int8, ms | 16 bits, ms | what runs in 16 bits |")
    print("|---|---|---|---|---|---|")
    for layers, (window, depthwise) in SHAPES.items():
        for engine, opened in ENGINES.items():
            runs = {kind: opened(kind, window, depthwise) for kind in TYPES}
            times = timed({kind: run for kind, (run, _) in runs.items()})
            listed = " | ".join(f"{times[kind]:.3f}" for kind in TYPES)
            print(f"| {layers} | {engine} | {listed} | {runs['int16'][1]} |")


def timed(runs: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Return the least time of each in milliseconds."""
    seconds: dict[str, list[float]] = {kind: [] for kind in runs}
    for _ in range(ROUNDS):
        for kind, run in runs.items():
            begin = time.perf_counter()
            run()
            seconds[kind].append(time.perf_counter() - begin)
    return {kind: 1e3 * min(each) for kind, each in seconds.items()}


def weights_of(window: int, depthwise: bool, seed: int) -> np.ndarray:
    """Return float32 [out, in, k, k]; of a depthwise layer [out, 1, k, k]."""
    inputs = 1 if depthwise else CHANNELS
    values = np.random.default_rng(seed).standard_normal((CHANNELS, inputs, window, window))
    return (values / np.sqrt(inputs * window**2)).astype(np.float32)


def stored(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights as int8, and their scales by channel."""
    scale = (np.abs(weight).max((1, 2, 3)) / 127).astype(np.float32)
    return np.rint(weight / scale[:, None, None, None]).astype(np.int8), scale


def onnx_file(kind: str, window: int, depthwise: bool) -> bytes:
    constants, nodes = [], list[NodeProto]()

    def constant(name: str, value: np.ndarray | np.generic) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def rounded(name: str) -> str:
        if kind == "float":
            return name
        steps = int(np.iinfo(TYPES[kind]).max)
        about = [
            constant(f"{name}_scale", np.float32(8 / steps)),
            constant(f"{name}_zero", TYPES[kind]((steps + 1) // 2)),
        ]
        nodes.append(helper.make_node("QuantizeLinear", [name, *about], [f"{name}_stored"]))
        nodes.append(
            helper.make_node("DequantizeLinear", [f"{name}_stored", *about], [f"{name}_read"])
        )
        return f"{name}_read"

    source = rounded("input")
    for at in range(LAYERS):
        weight = weights_of(window, depthwise, at)
        name = f"weight{at}"
        if kind == "float":
            constant(name, weight)
        else:
            integers, scale = stored(weight)
            parts = [constant(f"{name}_stored", integers), constant(f"{name}_scale", scale)]
            parts.append(constant(f"{name}_zero", np.zeros(CHANNELS, np.int8)))
            nodes.append(helper.make_node("DequantizeLinear", parts, [name], axis=0))
        how = {"pads": [window // 2] * 4, "group": CHANNELS if depthwise else 1}
        nodes.append(helper.make_node("Conv", [source, name], [f"layer{at}"], **how))
        source = rounded(f"layer{at}")
    nodes.append(helper.make_node("Identity", [source], ["output"]))
    shape = [1, CHANNELS, SIZE, SIZE]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        for name in ("input", "output")
    ]
    graph = helper.make_graph(nodes, "layers", *ends, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(model.SerializeToString())


def in_onnxruntime(kind: str, window: int, depthwise: bool) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        options.optimized_model_filepath = os.fspath(path)
        session = onnxruntime.InferenceSession(
            onnx_file(kind, window, depthwise), options, providers=["CPUExecutionProvider"]
        )
        counts = Counter(node.op_type for node in onnx.load(path).graph.node)
    image = np.random.default_rng(0).standard_normal((1, CHANNELS, SIZE, SIZE), np.float32)
    what = ", ".join(f"{count} {name}" for name, count in counts.items())
    return lambda: session.run(None, {"input": image}), what


def tflite_file(kind: str, window: int, depthwise: bool) -> bytes:
    file, int16 = FlatbufferFile(), kind == "int16"
    dtype = np.dtype("float32" if kind == "float" else kind)
    scale = None if kind == "float" else np.array([8 / (65535 if int16 else 255)], np.float32)
    zeros = np.zeros(CHANNELS, np.int64)

    def activation(name: str) -> int:
        zero = None if scale is None else zeros[:1]
        return file.tensor(name, (1, SIZE, SIZE, CHANNELS), dtype, scale=scale, zero_point=zero)

    begin = source = activation("input")
    name, options = ("CONV_2D", "Conv2DOptions")
    if depthwise:
        name, options = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions")
    axis, order = (3, (1, 2, 3, 0)) if depthwise else (0, (0, 2, 3, 1))
    version = {"float": 1, "int8": 3, "int16": 5 if depthwise else 4}[kind]
    for at in range(LAYERS):
        weight = weights_of(window, depthwise, at)
        bias = np.zeros(CHANNELS, "int64" if int16 else "float32" if scale is None else "int32")
        if scale is None:
            values, about, of_bias = weight, {}, {}
        else:
            values, scales = stored(weight)
            about = {"scale": scales, "zero_point": zeros, "axis": axis}
            of_bias = {"scale": scale * scales, "zero_point": zeros}
        values = np.ascontiguousarray(values.transpose(order))
        inputs = [
            source,
            file.tensor(f"weight{at}", values.shape, values.dtype, data=values, **about),
            file.tensor(f"bias{at}", bias.shape, bias.dtype, data=bias, **of_bias),
        ]
        source = activation(f"layer{at}")
        how = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
        how |= {"depthMultiplier": 1} if depthwise else {}
        same = file.enum("Padding", "SAME")
        file.operator(name, version, inputs, source, options, padding=same, **how)
    return file.finish({"input": begin}, {"output": source}, {})


def in_litert(kind: str, window: int, depthwise: bool, *, xnnpack: bool) -> Run:
    resolvers = interpreter.OpResolverType
    loaded = interpreter.Interpreter(
        model_content=tflite_file(kind, window, depthwise),
        num_threads=1,
        experimental_op_resolver_type=resolvers.AUTO
        if xnnpack
        else resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    loaded.allocate_tensors()
    entry = loaded.get_input_details()[0]
    steps = {"float": 1, "int8": 32, "int16": 8000}[kind]
    values = np.random.default_rng(0).standard_normal(entry["shape"]) * steps
    limits = np.iinfo(np.int8 if kind == "int8" else np.int16)
    loaded.set_tensor(entry["index"], values.clip(limits.min, limits.max).astype(entry["dtype"]))
    names = Counter(one["op_name"] for one in loaded._get_ops_details())
    what = (
        "XNNPACK" if "DELEGATE" in names else ", ".join(f"{n} {name}" for name, n in names.items())
    )
    return loaded.invoke, what


ENGINES: dict[str, Callable[[str, int, bool], Run]] = {
    "ONNX Runtime": in_onnxruntime,
    "LiteRT, XNNPACK": lambda *what: in_litert(*what, xnnpack=True),
    "LiteRT, built-in": lambda *what: in_litert(*what, xnnpack=False),
}

if __name__ == "__main__":
    main()
