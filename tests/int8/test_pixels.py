"""Graphs that take pixels as they are give the logits of normalised images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.errors import ExportError
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.ir import Graph, Node
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.pixels import take_pixels, with_background
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate
from edgenas.spaces import mbv3_tiny
from helpers.challenge_packages import tiny_graph

EVEN = ((0.4,) * 3, (0.25,) * 3)  # 0.4 is 102 / 255
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def graph() -> Graph:
    space = mbv3_tiny.create(10, 3, 16)
    layers = space.layers(space.smallest())
    return lower(layers, random_state(layers, 0))


@pytest.fixture(scope="module")
def pixels(graph: Graph) -> np.ndarray:
    shape = (32, *graph.input_shape[1:])
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def normalised(pixels: np.ndarray, mean: tuple, std: tuple) -> np.ndarray:
    means, stds = (np.array(v, np.float32)[:, None, None] for v in (mean, std))
    return (pixels.astype(np.float32) / 255 - means) / stds


@pytest.mark.parametrize(("card", "tolerance"), [(EVEN, 1e-4), (IMAGENET, 0.3)])
def test_pixels_give_the_logits_of_normalised_images(
    graph: Graph, pixels: np.ndarray, card: tuple, tolerance: float
) -> None:
    images = normalised(pixels, *card)
    expected = run(graph, images)
    changed, ranges = take_pixels(graph, calibrate(graph, images), *card)
    zero = round(255 * float(np.mean(card[0])))
    found = run(changed, (pixels.astype(np.float32) - zero) / 255)
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert ranges["input"] == (-zero / 255, (255 - zero) / 255)


def test_depthwise_stem_is_normalised_by_channel() -> None:
    graph = tiny_graph(8, 3)
    stem, *rest = graph.nodes
    weight = np.random.default_rng(1).standard_normal((3, 1, 3, 3)).astype(np.float32)
    bias = np.zeros(3, np.float32)
    first = replace(  # type: ignore[call-arg]
        stem, kind="depthwise", weight=weight, bias=bias, padding=0, shape=(1, 3, 3, 3)
    )
    head = replace(rest[1], weight=rest[1].weight[:, :3])  # type: ignore[attr-defined,call-arg]
    graph = Graph(graph.input_shape, (first, replace(rest[0], shape=(1, 3, 1, 1)), head))
    pixels = np.random.default_rng(2).integers(0, 256, (4, 3, 8, 8)).astype(np.uint8)
    images = normalised(pixels, *IMAGENET)
    changed, _ = take_pixels(graph, calibrate(graph, images), *IMAGENET)
    zero = round(255 * float(np.mean(IMAGENET[0])))
    found = run(changed, (pixels.astype(np.float32) - zero) / 255)
    np.testing.assert_allclose(found, run(graph, images), atol=1e-4)  # exact: nothing is padded


def test_judge_that_feeds_pixels_gets_the_right_classes(graph: Graph, pixels: np.ndarray) -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert")
    images = normalised(pixels, *EVEN)
    ranges = calibrate(graph, images)
    changed, known = take_pixels(with_background(graph, ranges), ranges, *EVEN)
    model = plugins.load("exporters", "tflite").emit(changed, known, scheme="u8s8")
    judge = litert.Interpreter(model_content=model)
    judge.allocate_tensors()
    (entry,), (result,) = judge.get_input_details(), judge.get_output_details()
    assert entry["quantization"][1] == 102
    assert entry["quantization"][0] == pytest.approx(1 / 255)
    scores = []
    for image in pixels.transpose(0, 2, 3, 1):
        judge.set_tensor(entry["index"], image[None])
        judge.invoke()
        scores.append(judge.get_tensor(result["index"])[0])
    expected = run(graph, images)
    found = np.array(scores)
    assert found.shape == (32, 11)
    assert not (found.argmax(1) == 0).any()  # never the background
    assert ((found.argmax(1) - 1) == expected.argmax(1)).mean() >= 0.9


def test_what_cannot_be_done_is_one_clear_line(graph: Graph, pixels: np.ndarray) -> None:
    ranges = calibrate(graph, normalised(pixels, *EVEN))
    with pytest.raises(ExportError, match="3 channels, its mean 1"):
        take_pixels(graph, ranges, (0.5,), (0.5,))
    pool = Graph((1, 3, 4, 4), (Node("global_pool", ("input",), "logits", (1, 3, 1, 1)),))
    with pytest.raises(ExportError, match="cannot normalise"):
        take_pixels(pool, ranges, *EVEN)
    with pytest.raises(ExportError, match="not linear"):
        with_background(pool, ranges)
    with pytest.raises(ExportError, match="no range"):
        with_background(graph, {})
