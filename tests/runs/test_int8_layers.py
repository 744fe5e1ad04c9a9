"""The int8 report by layer, against textbook ratios, numpy by hand and onnxruntime."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.errors import DataError, ExportError
from edgenas.core.files.run_folder import RunFolder, write_bytes, write_json
from edgenas.core.progress import Silent
from edgenas.core.records import (
    Candidate,
    ExportedModel,
    Int8Layers,
    Interval,
    Outcome,
    Verification,
    VerifiedModel,
    to_json,
)
from edgenas.data.base import Split
from edgenas.int8.checks.sensitivity import Sensitivity, macs, sensitivity
from edgenas.int8.engines.host import logits
from edgenas.int8.graph import graph_file
from edgenas.int8.graph.ir import INPUT, OUTPUT, Graph, WeightedNode
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.quantize import SCHEMES, quantize
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import Ranges, calibrate
from edgenas.reporting.words.int8_layers import sentences
from edgenas.runs.config import RunConfig
from edgenas.runs.models import int8_layers, node_data
from edgenas.runs.run import RunContext
from edgenas.spaces import mbv3_tiny

SPACE = mbv3_tiny.create(10, 1, 16)
NETWORK = SPACE.sample(np.random.default_rng(3))
LAYERS = SPACE.layers(NETWORK)
N = 48


def pointwise(name: str, source: str, weight: np.ndarray, side: int = 8) -> WeightedNode:
    shape = (1, len(weight), side, side)
    weight = weight.astype(np.float32)[..., None, None]
    return WeightedNode("conv", (source,), name, shape, weight, np.zeros(len(weight), np.float32))


def classifier(source: str, weight: np.ndarray) -> WeightedNode:
    bias = np.zeros(len(weight), np.float32)
    weight = weight.astype(np.float32)
    return WeightedNode("linear", (source,), OUTPUT, (1, len(weight)), weight, bias)


def of(graph: Graph, images: np.ndarray, labels: np.ndarray | None = None) -> Sensitivity:
    ranges = calibrate(graph, images)
    labels = np.zeros(len(images), np.int64) if labels is None else labels
    return sensitivity(graph, quantize(graph, ranges, SCHEMES["u8s8"]), images, labels)


@pytest.fixture(scope="module")
def network() -> Graph:
    return lower(LAYERS, random_state(LAYERS, 0))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    size = NETWORK.resolution
    return np.random.default_rng(0).standard_normal((N, 1, size, size), np.float32)


@pytest.mark.parametrize(
    ("signal", "textbook_db"),
    [
        (np.sin(np.arange(8192) * math.sqrt(2)), 6.02 * 8 + 1.76),
        (np.linspace(-1, 1, 8192), 6.02 * 8),
    ],
    ids=["sine", "uniform"],
)
def test_rounding_the_image_has_the_textbook_ratio(signal: np.ndarray, textbook_db: float) -> None:
    """A full-scale sine in n bits has 6.02 n + 1.76 dB, an even spread 6.02 n (Bennett 1948)."""
    rows = signal.astype(np.float32).reshape(128, 1, 8, 8)
    graph = Graph((1, 1, 8, 8), (classifier(INPUT, np.ones((2, 64))),))
    (image, _) = of(graph, rows).layers
    assert (image.name, image.kind) == (INPUT, "input")
    # Zero is exact, so half a step is cut off at one end, where a sine spends most of its time.
    assert image.snr_db == pytest.approx(textbook_db, abs=0.2)


def test_each_ratio_is_that_of_numpy_by_hand() -> None:
    rng = np.random.default_rng(1)
    first, last = rng.standard_normal((6, 3)), rng.standard_normal((4, 6 * 4))
    nodes = (pointwise("first", INPUT, first, 2), classifier("first", last))
    x = rng.standard_normal((200, 3, 2, 2)).astype(np.float32)
    labels = rng.integers(0, 4, 200)

    def rounded(values: np.ndarray, least: float, greatest: float) -> np.ndarray:
        scale = (greatest - least) / 255
        zero = round(-least / scale)
        return (np.clip(np.rint(values / scale) + zero, 0, 255) - zero) * scale

    def in_int8(weight: np.ndarray) -> np.ndarray:
        scale = np.abs(weight).max(1, keepdims=True) / 127
        return np.rint(weight / scale) * scale

    def of_first(weight: np.ndarray) -> np.ndarray:
        return np.einsum("oi,nihw->nohw", weight, x.astype(np.float64))

    middle = of_first(first)
    exact = middle.reshape(200, -1) @ last.T
    own = rounded(of_first(in_int8(first)), middle.min(), middle.max())
    logits_after = own.reshape(200, -1) @ last.T
    found = of(Graph((1, 3, 2, 2), nodes), x, labels).layers[1]

    assert found.snr_db == pytest.approx(decibels(middle, own), abs=0.05)
    assert found.logits_snr_db == pytest.approx(decibels(exact, logits_after), abs=0.05)
    right = [(scores.argmax(1) == labels).mean() for scores in (exact, logits_after)]
    assert found.accuracy_cost == pytest.approx(right[0] - right[1], abs=1 / 200)
    changed = (exact.argmax(1) != logits_after.argmax(1)).mean()
    assert found.changed == pytest.approx(changed, abs=1 / 200)


def decibels(exact: np.ndarray, seen: np.ndarray) -> float:
    return float(10 * np.log10((exact**2).sum() / ((seen - exact) ** 2).sum()))


@pytest.mark.parametrize("spoiled", [0, 1, 2])
def test_a_layer_with_one_channel_far_larger_is_named_the_worst(spoiled: int) -> None:
    """The next layer divides the channel by as much: in float the network is the same."""
    rng = np.random.default_rng(2)
    weights = [rng.standard_normal((6, 6)) / math.sqrt(6) for _ in range(4)]
    x = rng.standard_normal((64, 6, 4, 4)).astype(np.float32)
    names = ("a", "b", "c", "d")
    before = of(Graph((1, 6, 4, 4), chain(names, weights)), x)
    weights[spoiled][3] *= 1000
    weights[spoiled + 1][:, 3] /= 1000
    after = of(Graph((1, 6, 4, 4), chain(names, weights)), x)

    report = as_report(after)
    worst = report.worst_first[0]
    assert worst.name == names[spoiled]
    assert report.noise_shares[worst.name] > 0.5
    assert sum(report.noise_shares.values()) == pytest.approx(1)
    assert f"comes from {names[spoiled]} (conv" in sentences(report)[1]
    assert after.logits_snr_db is not None and before.logits_snr_db is not None
    assert after.logits_snr_db < before.logits_snr_db - 20
    assert min(one.logits_snr_db or 0 for one in before.layers) > 30


def chain(names: tuple[str, ...], weights: list[np.ndarray]) -> tuple[WeightedNode, ...]:
    sources = (INPUT, *names)
    last = np.random.default_rng(3).standard_normal((5, 6 * 16))
    convolutions = [pointwise(n, s, w, 4) for n, s, w in zip(names, sources, weights, strict=False)]
    return (*convolutions, classifier(names[-1], last))


def as_report(found: Sensitivity) -> Int8Layers:
    return Int8Layers(
        *("a" * 64, "u8s8", N, found.fp32_accuracy, found.int8_accuracy),
        *(found.logits_snr_db, found.changed, found.layers),
    )


def test_all_layers_at_once_are_the_int8_file_in_onnxruntime(
    network: Graph, images: np.ndarray
) -> None:
    emit, ranges = plugins.load("exporters", "onnx").emit, calibrate(network, images)
    fp32, int8 = (logits(emit(network, r, batch=None), images) for r in (None, ranges))
    labels = fp32.argmax(1)
    found = of(network, images, labels)

    assert found.logits_snr_db == pytest.approx(decibels(fp32.astype(float), int8), abs=0.5)
    assert found.fp32_accuracy == 1
    assert found.changed == pytest.approx(1 - found.int8_accuracy)
    assert found.int8_accuracy == pytest.approx((int8.argmax(1) == labels).mean(), abs=1 / N)
    assert [one.name for one in found.layers] == list(network.shapes)
    assert macs(network) == sum(layer.macs for layer in LAYERS)
    # Errors of different layers hardly depend on each other: their powers add up.
    total = sum(10 ** (-(one.logits_snr_db or 1000) / 10) for one in found.layers)
    assert -10 * math.log10(total) == pytest.approx(found.logits_snr_db, abs=2)


def test_what_loses_nothing_has_no_ratio() -> None:
    x = np.full((4, 1, 8, 8), 2.0, np.float32)
    graph = Graph((1, 1, 8, 8), (classifier(INPUT, np.zeros((3, 64))),))
    found = of(graph, x)
    assert [one.snr_db for one in found.layers] == [None, None]
    assert found.logits_snr_db is None
    assert sum(as_report(found).noise_shares.values()) == 0
    assert len(sentences(as_report(found))) == 1


def test_images_and_labels_must_belong_together(network: Graph, images: np.ndarray) -> None:
    with pytest.raises(ExportError, match="do not belong together"):
        of(network, images, np.zeros(3, np.int64))


class Gone:
    @property
    def val(self) -> Split:
        raise DataError("The images are gone.")


@pytest.fixture
def run(tmp_path: Path, network: Graph, images: np.ndarray) -> RunContext:
    """A verified run of one network, with its graph and 60 validation images."""
    rng, size = np.random.default_rng(0), NETWORK.resolution
    val = Split(rng.integers(0, 256, (60, size, size, 1), np.uint8), rng.integers(0, 10, 60))
    context = RunContext(RunFolder(tmp_path), RunConfig(), Silent())
    context.__dict__["dataset"] = SimpleNamespace(
        synthetic=False,
        task_name="classification",
        val=val,
        normalize=lambda pixels: (pixels / np.float32(64) - 2).transpose(0, 3, 1, 2),
    )
    ranges: Ranges = calibrate(network, images)
    name = f"{NETWORK.short_name}.graph.safetensors"
    write_bytes(context.folder.models / name, graph_file.write(network, ranges))
    return context


def verify(context: RunContext, sha256: str) -> None:
    promised = Interval(0.9, 0.8, 1.0)
    model = ExportedModel(
        *(Candidate(NETWORK, promised, promised), "m.int8.onnx", "m.fp32.onnx", sha256, 100),
        *("u8s8", (0.5,), (0.5,), tuple("0123456789"), 0.9, 0.9, 60, "c" * 64),
    )
    outcome = Outcome("ok", "", "onnxruntime", "1", "CPUExecutionProvider", {})
    verified = VerifiedModel(model, True, (), outcome, 0.9, 0.9, 0.9, 1.0, 60)
    document = to_json(Verification("kitchen", 5.0, 0.95, 1, (verified,)))
    write_json(context.folder.verification, document)


def test_a_run_keeps_its_report_until_the_file_is_another(run: RunContext) -> None:
    assert int8_layers.find(run) is None  # nothing is verified
    verify(run, "a" * 64)
    assert int8_layers.stored(run) is None
    found = int8_layers.find(run)
    assert found is not None
    assert (found.n_images, found.sha256, found.scheme) == (60, "a" * 64, "u8s8")
    assert len(found.layers) == 1 + len(graph_of(run).nodes)
    run.__dict__["dataset"] = Gone()
    assert int8_layers.find(run) == int8_layers.stored(run) == found

    verify(run, "b" * 64)
    assert int8_layers.stored(run) is None
    assert int8_layers.find(run) is None
    assert run.progress.warnings == [
        "What int8 costs each layer is not known: The images are gone."
    ]


def graph_of(context: RunContext) -> Graph:
    path = context.folder.models / f"{NETWORK.short_name}.graph.safetensors"
    return graph_file.read(path.read_bytes(), "it")[0]


def test_large_networks_see_fewer_images(run: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    verify(run, "a" * 64)
    monkeypatch.setattr(int8_layers, "MOST_MACS", 1.0)
    found = int8_layers.find(run)
    assert found is not None
    assert found.n_images == int8_layers.LEAST_IMAGES
    assert replace(found, n_images=0) != found


@pytest.mark.parametrize("exporter", ["onnx", "tflite"])
def test_node_data_names_tensors_of_the_exported_file(
    network: Graph, images: np.ndarray, exporter: str
) -> None:
    emit, ranges = plugins.load("exporters", exporter).emit, calibrate(network, images)
    content = emit(network, ranges, batch=1)
    found = as_report(of(network, images))
    document = node_data.of_noise(found)
    values = [one["value"] for one in document["results"].values()]
    assert len(values) == len(found.layers) - 1  # the image is no node
    assert all(name.encode() in content for name in document["results"])
    shares = [100 * found.noise_shares[name] for name in document["results"]]
    assert values == pytest.approx(shares)
    assert {one["stop"] for one in document["gradient"]} == {0, 1}


def test_a_report_leaves_node_data_beside_what_is_known(run: RunContext) -> None:
    verify(run, "a" * 64)
    node_data.write(run)
    assert not (run.folder.path / "node_data").exists()  # nothing is known yet
    assert int8_layers.find(run) is not None
    node_data.write(run)
    (file,) = (run.folder.path / "node_data").iterdir()
    assert file.name.endswith(".int8-noise.json")


def test_a_copy_for_netron_tells_each_layer_and_computes_the_same(
    network: Graph, images: np.ndarray
) -> None:
    import onnx

    content = plugins.load("exporters", "onnx").emit(network, calibrate(network, images), batch=1)
    found = as_report(of(network, images))
    told = node_data.texts(found, None)
    copied = node_data.annotated(content, told)
    model = onnx.load_model_from_string(copied)
    (source,) = (one.value for one in model.metadata_props if one.key == node_data.COPY_OF)
    assert source == hashlib.sha256(content).hexdigest()
    nodes = {node.output[0]: node for node in model.graph.node if node.metadata_props}
    assert nodes.keys() == {one.name for one in found.layers if one.kind != "input"}
    for name, node in nodes.items():
        (text,) = node.metadata_props
        assert text.key == "edgenas: int8 noise"
        assert text.value == f"{100 * found.noise_shares[name]:.2f} % of that at the logits"
    assert len(copied) - len(content) < 120 * len(nodes)
    ran = [logits(one, images[:8]) for one in (content, copied)]
    assert np.array_equal(*ran)
