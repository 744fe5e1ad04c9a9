"""Oracle: onnxruntime's own post-training quantization of the same network and calibration images.

The networks are trained on scikit-learn's digits, because random weights have no real statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from sklearn.datasets import load_digits
from torch.nn import functional

from edgenas.exporters.onnx import emit
from edgenas.graph.ir import Graph
from edgenas.graph.lower import lower
from edgenas.graph.ranges import Ranges, calibrate
from edgenas.graph.reference import run
from edgenas.records import Architecture
from edgenas.spaces import mbv3_tiny
from edgenas.supernet.batch_norm import BatchNorm
from edgenas.supernet.blocks import Subnet

N_TRAIN, N_CALIBRATION = 1300, 128
ACTIVATION_TYPES = {"u8s8": QuantType.QUInt8, "s8s8": QuantType.QInt8}


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network, the images [n, 1, 8, 8] and labels [n] that it has not seen."""

    subnet: Subnet
    graph: Graph
    ranges: Ranges
    calibration: np.ndarray
    images: np.ndarray
    labels: np.ndarray


def load_images() -> tuple[np.ndarray, np.ndarray]:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = digits.images[order, None].astype(np.float32)
    return (images - images.mean()) / images.std(), digits.target[order]


def train(subnet: Subnet, images: np.ndarray, labels: np.ndarray, epochs: int = 3) -> None:
    for module in subnet.modules():
        if isinstance(module, BatchNorm):
            module.momentum = 0.1
    inputs, targets = torch.from_numpy(images), torch.from_numpy(labels)
    steps = epochs * (len(images) // 50)
    optimizer = torch.optim.SGD(subnet.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
    batches = torch.cat([torch.randperm(len(images)) for _ in range(epochs)]).split(50)
    subnet.train()
    for batch in batches[:steps]:
        optimizer.zero_grad()
        functional.cross_entropy(subnet(inputs[batch]), targets[batch]).backward()
        torch.nn.utils.clip_grad_norm_(subnet.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    subnet.eval()


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "squeeze-excite"])
def trained(request: pytest.FixtureRequest) -> Iterator[Trained]:
    space = mbv3_tiny.create(10, 1, 16)
    stages = tuple(replace(stage, squeeze_excite=request.param) for stage in space.stages)
    space = replace(space, resolutions=(8,), stages=stages)
    network = Architecture("mbv3-tiny", 8, ((3,), (3, 5), (3,)), ((2,), (3, 2), (3,)))
    layers = space.layers(network)
    images, labels = load_images()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        subnet = Subnet(layers)
        train(subnet, images[:N_TRAIN], labels[:N_TRAIN])
    graph = lower(layers, subnet.numpy_state())
    calibration = images[:N_CALIBRATION]
    ranges = calibrate(graph, calibration)
    yield Trained(subnet, graph, ranges, calibration, images[N_TRAIN:], labels[N_TRAIN:])
    torch.set_num_threads(threads)


class Reader(CalibrationDataReader):
    def __init__(self, images: np.ndarray) -> None:
        self.feeds = iter([{"input": images[i : i + 1]} for i in range(len(images))])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def infer(model: bytes, images: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    return np.concatenate(
        [session.run(None, {"input": images[i : i + 1]})[0] for i in range(len(images))]
    )


def sqnr_db(reference: np.ndarray, logits: np.ndarray) -> float:
    return float(10 * np.log10(np.square(reference).sum() / np.square(logits - reference).sum()))


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logits.argmax(1) == labels).mean())


def test_lowering_keeps_what_was_learned(trained: Trained) -> None:
    with torch.inference_mode():
        expected = trained.subnet(torch.from_numpy(trained.images)).numpy()
    np.testing.assert_allclose(run(trained.graph, trained.images), expected, rtol=1e-3, atol=1e-4)
    assert accuracy(expected, trained.labels) > 0.9


@pytest.mark.parametrize("scheme", ACTIVATION_TYPES)
def test_int8_is_as_good_as_the_engines_own(trained: Trained, scheme: str, tmp_path: Path) -> None:
    source, quantized = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    source.write_bytes(emit(trained.graph, None))
    quantize_static(
        source,
        quantized,
        Reader(trained.calibration),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=ACTIVATION_TYPES[scheme],
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )
    reference = run(trained.graph, trained.images)
    oracle = infer(quantized.read_bytes(), trained.images)
    ours = infer(emit(trained.graph, trained.ranges, scheme=scheme), trained.images)
    figures = {
        "oracle_sqnr_db": sqnr_db(reference, oracle),
        "sqnr_db": sqnr_db(reference, ours),
        "fp32_accuracy": accuracy(reference, trained.labels),
        "oracle_accuracy": accuracy(oracle, trained.labels),
        "accuracy": accuracy(ours, trained.labels),
    }
    assert figures["sqnr_db"] > figures["oracle_sqnr_db"] - 1.5, figures
    assert figures["sqnr_db"] > 25, figures
    assert figures["accuracy"] > figures["oracle_accuracy"] - 0.005, figures
    assert (ours.argmax(1) == oracle.argmax(1)).mean() > 0.99
