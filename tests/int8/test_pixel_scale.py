"""A file that is fed pixels computes with the very integers of the file that was verified."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.records import ImageInput
from edgenas.int8.engines.host import fed_logits
from edgenas.int8.graph import float_reference
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.pixel_scale import margins, pixel_exact
from edgenas.int8.graph.pixels import as_fed, take_pixels
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import Ranges, calibrate
from edgenas.spaces.base import MobileSpace, StageSpec
from helpers.image_feeds import by_hand, feeds, normalised

SIZE = 32
COLOURS = {
    "ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5,) * 3, (0.5,) * 3),  # 127.5: each pixel half-way at the scale of its range
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    "whole": ((0.4,) * 3, (0.25,) * 3),
}
# padding of the first convolution: half a kernel around, one row below and right, none
PADDINGS = ("centred", "same", "none")


def network(padding: str) -> Graph:
    stages = (StageSpec(8, 1, (1,), (3,), (2,)), StageSpec(16, 2, (1,), (3,), (2,)))
    how = "same" if padding == "same" else "centred"
    space = MobileSpace("odd", 8, 2, stages, 24, (SIZE,), 10, 3, padding=how)  # type: ignore[arg-type]
    layers = space.layers(space.smallest())
    graph = lower(layers, random_state(layers, 1))
    if padding == "none":
        first = graph.nodes[0]
        graph = Graph(
            (1, 3, SIZE + 1, SIZE + 1),
            (replace(first, padding=0), *graph.nodes[1:]),  # type: ignore[call-arg]
        )
    return graph


def photographs(size: int) -> np.ndarray:
    """Images, uint8 [n, height, width, channels]: few colours, so that one that is off shows."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (40, 4, 4, 3)).astype(np.uint8)
    images = coarse.repeat(9, 1).repeat(9, 2)[:, :size, :size].copy()
    images[:, -1], images[:, :, -1] = 255, 0
    return images


def calibrated(graph: Graph, images: np.ndarray, mean: tuple, std: tuple) -> Ranges:
    ranges = calibrate(graph, images)
    return {**ranges, "input": pixel_exact(ranges["input"], mean, std)}


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("colours", COLOURS)
def test_every_way_to_feed_gives_the_logits_of_the_verified_file(
    colours: str, padding: str
) -> None:
    mean, std = COLOURS[colours]
    graph = network(padding)
    pixels = photographs(graph.input_shape[-1])
    images = normalised(pixels, mean, std)
    ranges = calibrated(graph, images, mean, std)
    emit = plugins.load("exporters", "onnx").emit
    own = ImageInput("crop", SIZE, SIZE, "rgb", mean, std, "nchw", "float32")
    for scheme in ("u8s8", "s8s8"):
        verified = fed_logits(emit(graph, ranges, scheme=scheme), images)
        step = np.ptp([ranges["logits"]]) / 255
        for name, made in feeds(own).items():
            fed, known = as_fed(graph, ranges, own, made)
            content = emit(fed, known, scheme=scheme, made=made)
            found = fed_logits(content, by_hand(pixels, name, own))
            steps = np.abs(found - verified) / step
            # s8s8 is computed in part in float by onnxruntime where it has no VNNI
            assert steps.max() < (0.01 if scheme == "u8s8" else 1.01)
            assert (found.argmax(1) == verified.argmax(1)).mean() >= 0.99


@pytest.mark.parametrize("padding", PADDINGS)
def test_a_float_file_that_takes_pixels_is_exact_and_folds_where_nothing_is_padded(
    padding: str,
) -> None:
    mean, std = COLOURS["ImageNet"]
    graph = network(padding)
    pixels = photographs(graph.input_shape[-1])
    images = normalised(pixels, mean, std)
    ranges = calibrate(graph, images)
    folded, _ = take_pixels(graph, ranges, mean, std, zero=0, fold=True)
    found = float_reference.run(folded, pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    np.testing.assert_allclose(found, float_reference.run(graph, images), atol=1e-4)
    assert (len(folded.nodes) == len(graph.nodes)) == (padding == "none")


def test_uint8_tflite_has_the_integers_of_the_verified_file() -> None:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    emit = plugins.load("exporters", "tflite").emit
    for mean, std in COLOURS.values():
        for padding in PADDINGS:
            graph = network(padding)
            pixels = photographs(graph.input_shape[-1])
            images = normalised(pixels, mean, std)
            ranges = calibrated(graph, images, mean, std)
            verified = fed_logits(emit(graph, ranges, scheme="u8s8"), images.transpose(0, 2, 3, 1))
            for zero in (None, 0):
                packed = take_pixels(graph, ranges, mean, std, zero=zero)
                found = fed_logits(emit(*packed, scheme="u8s8"), pixels)
                assert np.abs(found - verified).max() <= 1
                assert (found == verified).mean() >= 0.99


def test_a_scale_is_found_for_any_mean_and_deviation_and_is_a_little_larger_at_most() -> None:
    rng = np.random.default_rng(0)
    outside = 0
    for _ in range(40):
        mean = tuple(rng.uniform(0.25, 0.65, 3))
        std = tuple(rng.uniform(0.12, 0.35, 3))
        least = min(-m / s for m, s in zip(mean, std, strict=True))
        greatest = max((1 - m) / s for m, s in zip(mean, std, strict=True))
        before = (greatest - least) / 255
        outside += margins(np.array([before]), mean, std)[0] < 0
        low, high = pixel_exact((least, greatest), mean, std)
        scale = (high - low) / 255
        assert before * (1 - 1e-6) <= scale <= before * 1.0201
        assert margins(np.array([scale]), mean, std)[0] > 1 / 2046  # as `tie_free` needs it
        assert low <= least + scale / 2
        assert high >= greatest - scale / 2
    assert outside > 20  # without it most have pixels that are rounded otherwise


def test_an_input_that_is_always_zero_is_left_alone() -> None:
    assert pixel_exact((0.0, 0.0), (0.5,), (0.5,)) == (0.0, 0.0)
