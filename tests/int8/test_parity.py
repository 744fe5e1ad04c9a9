"""Parity of engines: differences in steps, accuracy with its interval, and what is tolerated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from device_runtime.backends import base
from edgenas.core import plugins
from edgenas.core.errors import ExportError
from edgenas.core.records.intervals import wilson
from edgenas.int8.checks.parity import compare, find_tolerance
from edgenas.int8.engines.host import logits as host_logits
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.quantize import SCHEMES, quantize
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate
from edgenas.spaces import mbv3_tiny

SCALE = 0.05


def logits(n: int = 200) -> np.ndarray:
    steps = np.random.default_rng(0).integers(-60, 60, (n, 5))
    return (steps * SCALE).astype(np.float32)


def test_every_backend_has_a_tolerance_with_a_reason() -> None:
    for engine in base.names():
        assert len(find_tolerance(engine).reason) > 40


def test_the_same_logits_have_no_distance() -> None:
    host = logits()
    labels = host.argmax(1)
    labels[:50] = (labels[:50] + 1) % 5
    found = compare(host, host.copy(), labels, SCALE, "onnxruntime")
    assert (found.agreement, found.max_steps, found.mean_steps) == (1.0, 0.0, 0.0)
    assert found.problems == ()
    assert found.host == found.device
    lower, upper = proportion_confint(150, 200, method="wilson")
    assert found.host.fraction == 0.75
    assert (found.host.lower, found.host.upper) == pytest.approx((lower, upper), abs=1e-6)


@pytest.mark.parametrize("right", [0, 1, 50, 99, 100])
def test_interval_is_that_of_statsmodels(right: int) -> None:
    expected = proportion_confint(right, 100, method="wilson")
    assert wilson(right, 100) == pytest.approx(expected, abs=1e-6)


def test_differences_are_counted_in_steps() -> None:
    host = logits()
    device = host.copy()
    device[3, 2] += 4 * SCALE
    found = compare(host, device, host.argmax(1), SCALE, "litert")
    assert found.max_steps == pytest.approx(4, rel=1e-4)
    assert found.mean_steps == pytest.approx(4 / host.size, rel=1e-4)
    assert found.problems == ()


def test_what_is_not_tolerated_is_said() -> None:
    host = logits()
    moved = host + 2 * SCALE
    found = compare(host, moved, host.argmax(1), SCALE, "litert")
    assert found.agreement == 1.0
    assert found.problems == (
        "Its logits differ from the host's by 2 steps in the mean, more than 1.5.",
        "Its scores of one class differ from the host's by 2 steps in the mean, more than 1.5.",
    )
    rolled = host.copy()
    rolled[:10] = np.roll(rolled[:10], 1, axis=1)
    (first, *_) = compare(host, rolled, host.argmax(1), SCALE, "litert").problems
    assert "95.0% of the images, less than 99%" in first


def test_arrays_that_do_not_fit_are_one_clear_line() -> None:
    host = logits()
    with pytest.raises(ExportError, match="do not belong together"):
        compare(host, host[:9], host.argmax(1), SCALE, "litert")
    with pytest.raises(ExportError, match="not finite"):
        compare(host, host * np.nan, host.argmax(1), SCALE, "litert")
    with pytest.raises(ExportError, match="No tolerance is known"):
        compare(host, host, host.argmax(1), SCALE, "edgetpu")


@pytest.mark.parametrize("engine", ["litert", "litert_builtin"])
def test_engines_agree_within_their_tolerance(engine: str, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    space = mbv3_tiny.create(10, 3, 16)
    layers = space.layers(space.smallest())
    graph = lower(layers, random_state(layers, 0))
    shape = (64, *graph.input_shape[1:])
    images = np.random.default_rng(0).standard_normal(shape, np.float32)
    ranges = calibrate(graph, images)
    host = host_logits(plugins.load("exporters", "onnx").emit(graph, ranges), images)
    path = tmp_path / "model.tflite"
    path.write_bytes(plugins.load("exporters", "tflite").emit(graph, ranges))
    session = base.load(engine).open_model(str(path), 1)
    device = []
    for image in images:
        session.bind(image[None])
        session.run()
        device.append(session.output()[0])
    scale = float(quantize(graph, ranges, SCHEMES["s8s8"]).tensors["logits"].scale)
    found = compare(host, np.array(device), host.argmax(1), scale, engine)
    assert found.mean_steps <= found.tolerance.mean_steps, found
    assert found.max_steps <= 8, found
    # The classes of random weights say nothing: their logits are too close to each other.


def test_wilson_interval_as_published() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263 gives 0.2553 to 0.3662
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
