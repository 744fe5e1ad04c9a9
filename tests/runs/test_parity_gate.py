"""The parity gate: an engine that computes a layer wrongly is caught, and the layer is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from scipy.stats import binomtest

from edgenas.core import plugins
from edgenas.core.files.run_folder import RunFolder, write_bytes
from edgenas.core.progress import Silent
from edgenas.core.records import (
    Candidate,
    ExportedModel,
    Interval,
    Outcome,
    ParityRecord,
    from_json,
    to_json,
)
from edgenas.data.base import Split
from edgenas.int8.engines.facts import find_engine, what_ran
from edgenas.int8.engines.host import logits
from edgenas.int8.graph import graph_file, integer_reference
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.quantize import quantize, stored_scheme
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import Ranges, calibrate
from edgenas.int8.graph.truncate import cut
from edgenas.runs.config import RunConfig
from edgenas.runs.models.parity_gate import Judged, judge
from edgenas.runs.run import RunContext
from edgenas.spaces import mbv3_tiny
from edgenas.targets.base import Inference, ModelFile, Preprocess

SPACE = mbv3_tiny.create(10, 1, 16)
NETWORK = SPACE.sample(np.random.default_rng(3))
LAYERS = SPACE.layers(NETWORK)
MEAN, STD = (0.5,), (0.25,)
OK = ("ok", "", "engine", "1", "CPU", {})

Broken = Callable[[bytes], bytes]


def normalize(images: np.ndarray) -> np.ndarray:
    values = (images.astype(np.float32) / 255 - MEAN[0]) / STD[0]
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


@pytest.fixture(scope="module")
def test_split() -> Split:
    size = NETWORK.resolution
    rng = np.random.default_rng(0)
    return Split(rng.integers(0, 256, (60, size, size, 1), np.uint8), rng.integers(0, 10, 60))


@pytest.fixture(scope="module")
def network(test_split: Split) -> tuple[Graph, Ranges]:
    graph = lower(LAYERS, random_state(LAYERS, 0))
    return graph, calibrate(graph, normalize(test_split.images))


class FakeTarget:
    """A target that runs what `broken` makes of each file in the host's engine."""

    name = "kitchen"

    def __init__(self, engine: str, broken: Broken) -> None:
        self.engine, self.broken = engine, broken
        self.jobs = 0

    def infer(
        self,
        model: ModelFile,
        images: np.ndarray,
        preprocess: Preprocess,
        job_dir: Path,
        progress: object,
    ) -> Inference:
        self.jobs += 1
        content = model.path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == model.sha256
        found = logits(
            self.broken(content),
            normalize(images.transpose(0, 2, 3, 1)),
            find_engine(self.engine).host_engine,
        )
        return Inference(Outcome(*OK), found.reshape(len(found), -1))


def depthwise_mirrored(content: bytes) -> bytes:
    """Return the file as an engine would run it that mirrors kernels of stride 2."""
    model = onnx.load_model_from_string(content)
    read = {node.output[0]: node.input[0] for node in model.graph.node}
    constants = {entry.name: entry for entry in model.graph.initializer}
    for node in model.graph.node:
        about = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        if node.op_type == "Conv" and about["group"] > 1 and about["strides"] == [2, 2]:
            entry = constants[read[node.input[1]]]
            mirrored = numpy_helper.to_array(entry)[..., ::-1]
            entry.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(mirrored), entry.name))
    return bytes(model.SerializeToString())


def judged(
    folder: Path, network: tuple[Graph, Ranges], split: Split, target: FakeTarget, scheme: str
) -> Judged:
    engine = find_engine(target.engine)
    exporter = plugins.load("exporters", engine.exporter)
    content = exporter.emit(*network, scheme=scheme)
    model = ExportedModel(
        candidate=Candidate(NETWORK, Interval(0, 0, 0), Interval(0, 0, 0)),
        int8_file="int8",
        fp32_file="fp32",
        sha256=hashlib.sha256(content).hexdigest(),
        int8_bytes=len(content),
        scheme=scheme,
        mean=MEAN,
        std=STD,
        class_names=tuple("0123456789"),
        val_int8_accuracy=0.1,
        val_fp32_accuracy=0.1,
        n_val=60,
        supernet_sha256="",
        format=engine.exporter,
        layout=exporter.LAYOUT,
        host_engine=engine.host_engine,
    )
    context = RunContext(RunFolder(folder), RunConfig(), Silent())
    context.__dict__.update(
        target=target,
        dataset=SimpleNamespace(normalize=normalize, synthetic=False, task_name="classification"),
    )
    name = f"{NETWORK.short_name}.graph.safetensors"
    write_bytes(context.folder.models / name, graph_file.write(*network))
    file = ModelFile("model", folder / "model", model.sha256)
    write_bytes(file.path, content)
    host = logits(content, normalize(split.images), engine.host_engine)
    pixels = np.ascontiguousarray(split.images.transpose(0, 3, 1, 2))
    device = target.infer(file, pixels, Preprocess(MEAN, STD), folder, None).logits
    assert device is not None
    return judge(context, model, split, engine=engine, host=host, device=device)


@pytest.mark.parametrize(
    ("engine", "scheme"), [("onnxruntime", "u8s8"), ("litert", "s8s8"), ("litert_builtin", "s8s8")]
)
def test_a_right_engine_passes_and_nothing_more_is_run(
    engine: str, scheme: str, tmp_path: Path, network: tuple[Graph, Ranges], test_split: Split
) -> None:
    if engine != "onnxruntime":
        pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    target = FakeTarget(engine, lambda content: content)
    found = judged(tmp_path, network, test_split, target, scheme)
    assert (found.problems, found.record.divergence, target.jobs) == ((), None, 1)
    reference, host, device = (found.record.at(p) for p in ("reference", "host", "target"))
    assert (reference.max_steps, reference.agreement) == (0, 1)
    assert (device.mean_steps, device.accuracy) == (host.mean_steps, host.accuracy)
    right = round(device.accuracy.mean * 60)
    interval = binomtest(right, 60).proportion_ci(method="wilson")
    assert device.accuracy.lower == pytest.approx(interval.low, abs=1e-6)
    assert device.accuracy.upper == pytest.approx(interval.high, abs=1e-6)
    document = to_json(found.record)
    assert from_json(document, ParityRecord, "it") == found.record


def test_a_wrong_depthwise_is_caught_and_the_first_one_is_named(
    tmp_path: Path, network: tuple[Graph, Ranges], test_split: Split
) -> None:
    target = FakeTarget("onnxruntime", depthwise_mirrored)
    found = judged(tmp_path, network, test_split, target, "u8s8")
    first = next(layer for layer in LAYERS if layer.kind == "depthwise" and layer.stride == 2)
    divergence = found.record.divergence
    assert divergence is not None
    assert (divergence.layer, divergence.kind) == (first.name, "depthwise")
    assert divergence.worst_channel_steps is not None
    assert divergence.worst_channel_steps > 10 > divergence.inputs_steps
    assert found.record.at("target").mean_steps > found.record.most_mean_steps
    assert found.record.at("host").mean_steps < found.record.most_mean_steps
    assert f"The first layer that diverges is '{first.name}' (depthwise)" in found.problems[-1]
    assert target.jobs < 1 + len(LAYERS) / 2  # by halves, not one by one


def in_layer(
    weight: np.ndarray, change: Callable[[onnx.ModelProto, onnx.NodeProto], None]
) -> Broken:
    """Return what changes the layer of that stored `weight`, in whichever file it is."""

    def broken(content: bytes) -> bytes:
        model = onnx.load_model_from_string(content)
        constants = {entry.name: entry for entry in model.graph.initializer}
        made = {node.output[0]: node for node in model.graph.node}
        for node in [one for one in model.graph.node if one.op_type in ("Conv", "Gemm")]:
            stored = numpy_helper.to_array(constants[made[node.input[1]].input[0]])
            if np.array_equal(stored, weight):
                change(model, node)
        return bytes(model.SerializeToString())

    return broken


def reads(
    model: onnx.ModelProto, node: onnx.NodeProto, end: int, place: int, change: Callable
) -> None:
    """Let `node` read its input `end` with a changed scale (place 1) or zero point (place 2)."""
    made = {one.output[0]: one for one in model.graph.node}
    constants = {entry.name: entry for entry in model.graph.initializer}
    read = made[node.input[end]]
    values = change(numpy_helper.to_array(constants[read.input[place]]))
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), "wrong"))
    own = onnx.helper.make_node("DequantizeLinear", read.input, ["wrongly_read"], axis=0)
    own.input[place] = "wrong"
    model.graph.node.insert(list(model.graph.node).index(node), own)
    node.input[end] = "wrongly_read"
    if not any(read.output[0] in one.input for one in model.graph.node):
        # Where the engine rewrites signed weights as unsigned, each may be read once only.
        model.graph.node.remove(read)


def zero_point(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    reads(model, node, 0, 2, lambda point: point + point.dtype.type(1))


def channel_scale(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    reads(model, node, 1, 1, lambda scale: np.r_[scale[:1] * np.float32(1.02), scale[1:]])


def padding(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    """Pad below and right instead of around."""
    (pads,) = (entry for entry in node.attribute if entry.name == "pads")
    before, after = pads.ints[0] - 1, pads.ints[2] + 1
    pads.ints[:] = [before, before, after, after]


DEPTHWISE = next(layer.name for layer in LAYERS if layer.kind == "depthwise" and layer.stride == 2)


@pytest.mark.parametrize(
    ("layer", "change"),
    [(DEPTHWISE, zero_point), (DEPTHWISE, padding), ("logits", channel_scale)],
    ids=["zero point off by one", "padding", "scale of one channel off by 2 %"],
)
def test_a_small_fault_is_caught_and_its_layer_is_named(
    layer: str,
    change: Callable[[onnx.ModelProto, onnx.NodeProto], None],
    tmp_path: Path,
    network: tuple[Graph, Ranges],
    test_split: Split,
) -> None:
    stored = quantize(*network, stored_scheme("u8s8", "onnx")).weights[layer].weight
    target = FakeTarget("onnxruntime", in_layer(stored, change))
    found = judged(tmp_path, network, test_split, target, "u8s8")
    assert found.problems, found.record
    assert found.record.divergence is not None, found.problems
    assert found.record.divergence.layer == layer, found.problems
    assert f"'{layer}'" in found.problems[-1]


def test_a_wrong_second_branch_is_followed_to_its_root(
    tmp_path: Path, network: tuple[Graph, Ranges], test_split: Split
) -> None:
    """An engine that adds wrongly: what an addition reads is right, so it is named itself."""

    def adds_once(content: bytes) -> bytes:
        model = onnx.load_model_from_string(content)
        for node in model.graph.node:
            if node.op_type == "Add":
                node.input[1] = node.input[0]
        return bytes(model.SerializeToString())

    additions = [node.output for node in network[0].nodes if node.kind == "add"]
    assert additions
    target = FakeTarget("onnxruntime", adds_once)
    found = judged(tmp_path, network, test_split, target, "u8s8")
    assert found.record.divergence is not None
    assert found.record.divergence.layer == additions[0]


@pytest.mark.parametrize(
    ("exporter", "scheme", "engine"),
    [
        ("onnx", "u8s8", "onnxruntime"),
        ("onnx", "s8s8", "onnxruntime"),
        ("tflite", "s8s8", "litert"),
    ],
)
def test_each_layer_of_the_reference_is_that_of_the_engines(
    exporter: str, scheme: str, engine: str, network: tuple[Graph, Ranges], test_split: Split
) -> None:
    if engine != "onnxruntime":
        pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    images = normalize(test_split.images[:8])
    emit = plugins.load("exporters", exporter).emit
    for node in network[0].nodes[::5]:
        graph, ranges = cut(*network, node.output)
        quantization = quantize(graph, ranges, stored_scheme(scheme, exporter))
        expected = integer_reference.run(graph, quantization, images)
        found = logits(emit(graph, ranges, scheme=scheme), images, engine)
        if exporter == "tflite" and expected.ndim == 4:
            found = found.reshape(np.moveaxis(expected, 1, 3).shape).transpose(0, 3, 1, 2)
        steps = (
            np.abs(found.reshape(expected.shape) - expected) / quantization.tensors["logits"].scale
        )
        assert steps.mean() < 0.5, node.output


@pytest.mark.parametrize(
    ("engine", "provider", "expected"),
    [
        ("litert", "XNNPACK", "litert"),
        ("litert", "built-in kernels", "litert_builtin"),
        ("litert_builtin", "built-in kernels", "litert_builtin"),
        ("tflite_runtime", "built-in kernels", "tflite_runtime_builtin"),
        ("onnxruntime", "CPUExecutionProvider; exact u8s8, as the CPU has no VNNI", "onnxruntime"),
    ],
)
def test_what_fell_back_is_held_against_what_it_fell_back_to(
    engine: str, provider: str, expected: str
) -> None:
    assert what_ran(find_engine(engine), provider).name == expected
