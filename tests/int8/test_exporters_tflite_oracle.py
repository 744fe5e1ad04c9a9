"""Oracle: ai-edge-quantizer on the same float file and the same calibration images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edgenas.int8.exporters.tflite import emit
from edgenas.int8.graph.float_reference import run
from helpers.tflite_logits import real_logits
from helpers.trained_network import Trained, accuracy, sqnr_db, trained_network

REASON = "needs ai-edge-quantizer (a development dependency)"
quantizer = pytest.importorskip("ai_edge_quantizer.quantizer", reason=REASON)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "squeeze-excite"])
def trained(request: pytest.FixtureRequest) -> Iterator[Trained]:
    with trained_network(request.param) as network:
        yield network


def official(model: bytes, images: np.ndarray) -> bytes:
    """Quantize a float file with static int8 and min-max calibration over `images`."""
    from ai_edge_quantizer import calibrator, recipe
    from ai_edge_quantizer.utils import qsv_utils

    work = quantizer.Quantizer(model, recipe.static_wi8_ai8())
    calibration = calibrator.Calibrator(
        model, num_threads=1, qsv_update_func=qsv_utils.min_max_update
    )
    samples = [{"input": image[None]} for image in images.transpose(0, 2, 3, 1)]
    calibration.calibrate({"serving_default": samples}, work._recipe_manager)
    return bytes(work.quantize(calibration.get_model_qsvs()).quantized_model)


@pytest.mark.filterwarnings("ignore:.*preserve_all_tensors")  # its way to calibrate
def test_int8_is_as_good_as_the_official_quantizer(trained: Trained) -> None:
    reference = run(trained.graph, trained.images)
    oracle_file = official(emit(trained.graph, None), trained.calibration)
    oracle = real_logits(oracle_file, trained.images)
    file = emit(trained.graph, trained.ranges)
    ours = real_logits(file, trained.images)
    figures = {
        "oracle_sqnr_db": sqnr_db(reference, oracle),
        "sqnr_db": sqnr_db(reference, ours),
        "oracle_accuracy": accuracy(oracle, trained.labels),
        "accuracy": accuracy(ours, trained.labels),
        "agreement": float((ours.argmax(1) == oracle.argmax(1)).mean()),
    }
    assert figures["sqnr_db"] > figures["oracle_sqnr_db"] - 1.5, figures
    assert figures["sqnr_db"] > 25, figures
    assert figures["accuracy"] > figures["oracle_accuracy"] - 0.005, figures
    assert figures["agreement"] > 0.99, figures
    assert len(file) <= len(oracle_file)
