"""Oracle: onnxruntime's own post-training quantization of the same network and calibration images.

The networks are trained on scikit-learn's digits, because random weights have no real statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from edgenas.int8.engines.host import logits
from edgenas.int8.exporters.onnx import emit
from edgenas.int8.graph.float_reference import run
from helpers.trained_network import (
    Trained,
    accuracy,
    sqnr_db,
    trained_network,
)

ACTIVATION_TYPES = {"u8s8": QuantType.QUInt8, "s8s8": QuantType.QInt8}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "squeeze-excite"])
def trained(request: pytest.FixtureRequest) -> Iterator[Trained]:
    with trained_network(request.param) as network:
        yield network


class Reader(CalibrationDataReader):
    def __init__(self, images: np.ndarray) -> None:
        self.feeds = iter([{"input": images[i : i + 1]} for i in range(len(images))])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


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
    # Both in the product's own session, which sums exactly on every CPU: without VNNI, 16-bit sums
    # saturate in any other, and take 10 dB from both files.
    oracle = logits(quantized.read_bytes(), trained.images)
    ours = logits(emit(trained.graph, trained.ranges, scheme=scheme), trained.images)
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
