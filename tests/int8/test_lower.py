"""Lowering: the graph computes what torch computes for the layers with batch norm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgenas.core.errors import ExportError
from edgenas.core.records import Layer
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.ir import INPUT, OUTPUT, WeightedNode
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.spaces import foxnas_cpu, mbv3_tiny
from edgenas.spaces.base import MobileSpace
from edgenas.supernet.blocks import Subnet


def gated(space: MobileSpace) -> MobileSpace:
    return replace(
        space, stages=tuple(replace(stage, squeeze_excite=True) for stage in space.stages)
    )


def torch_logits(layers: tuple[Layer, ...], state: dict, images: np.ndarray) -> np.ndarray:
    subnet = Subnet(layers).eval()
    subnet.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    with torch.inference_mode():
        return subnet(torch.from_numpy(images)).numpy()


SPACES = {
    "plain": mbv3_tiny.create(10, 1, 16),
    "strided stem": mbv3_tiny.create(7, 3, 48),
    "squeeze-excite": gated(mbv3_tiny.create(10, 3, 32)),
    "foxnas": foxnas_cpu.create(12, 3, 48),
}


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("seed", [0, 1])
def test_graph_computes_the_logits_of_the_torch_network(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = SPACES[name].layers(SPACES[name].sample(rng))
    state = random_state(layers, seed)
    graph = lower(layers, state)
    images = rng.standard_normal((5, *graph.input_shape[1:]), np.float32)

    expected = torch_logits(layers, state, images)
    np.testing.assert_allclose(run(graph, images, batch_size=2), expected, rtol=1e-4, atol=1e-5)


def test_every_tensor_has_the_shape_that_the_graph_says() -> None:
    space = SPACES["squeeze-excite"]
    layers = space.layers(space.largest())
    graph = lower(layers, random_state(layers, 0))
    seen: dict[str, tuple[int, ...]] = {}
    images = np.zeros((1, *graph.input_shape[1:]), np.float32)
    run(graph, images, observe=lambda name, values: seen.update({name: values.shape}))

    assert seen == graph.shapes
    assert next(iter(graph.shapes)) == INPUT
    assert graph.nodes[-1].output == OUTPUT
    assert graph.params == sum(layer.params for layer in layers)


def test_the_sixth_of_the_gate_is_in_the_next_convolution() -> None:
    space = SPACES["squeeze-excite"]
    layers = space.layers(space.smallest())
    state = random_state(layers, 0)
    graph = lower(layers, state)
    nodes = {node.output: node for node in graph.nodes}
    project = nodes["stage0_block0_project"]

    assert nodes["stage0_block0_gate"].kind == "mul"
    assert isinstance(project, WeightedNode)
    prefix = "stage0_block0_project"
    gain = state[f"{prefix}.bn.weight"] / np.sqrt(state[f"{prefix}.bn.running_var"] + 1e-5)
    folded = state[f"{prefix}.conv.weight"] * gain[:, None, None, None]
    np.testing.assert_allclose(project.weight * 6, folded, rtol=1e-6)


def test_gates_one_after_the_other_keep_their_meaning() -> None:
    gate = Layer("gate", "squeeze_excite", ("input",), 8, 8, 4, 4, squeeze_channels=8)
    second = replace(gate, name="second", inputs=("gate",))
    layers = (
        gate,
        second,
        Layer("both", "add", ("second", "second"), 8, 8, 4, 4),
        Layer("pool", "global_pool", ("both",), 8, 8, 4, 1),
        Layer("classifier", "linear", ("pool",), 8, 3, 1, 1),
    )
    state = random_state(layers, 3)
    images = np.random.default_rng(3).standard_normal((4, 8, 4, 4), np.float32)
    expected = torch_logits(layers, state, images)
    np.testing.assert_allclose(run(lower(layers, state), images), expected, rtol=1e-4, atol=1e-6)


def test_random_state_names_and_shapes_every_weight_of_the_network() -> None:
    space = SPACES["squeeze-excite"]
    layers = space.layers(space.sample(np.random.default_rng(5)))
    state = random_state(layers, 5)
    expected = {name: tuple(value.shape) for name, value in Subnet(layers).state_dict().items()}

    assert {name: value.shape for name, value in state.items()} == expected
    assert all(value.dtype == np.float32 for value in state.values())
    again = random_state(layers, 5)
    assert all(np.array_equal(state[name], again[name]) for name in state)
    assert not np.array_equal(
        random_state(layers, 6)["stem.conv.weight"], state["stem.conv.weight"]
    )


TINY = (
    Layer("stem", "conv", ("input",), 1, 4, 8, 8, kernel_size=3, activation="relu6"),
    Layer("pool", "global_pool", ("stem",), 4, 4, 8, 1),
    Layer("classifier", "linear", ("pool",), 4, 3, 1, 1),
)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("stem.conv.weight", None, "has no 'stem.conv.weight'"),
        ("classifier.bias", np.zeros(2), r"'classifier.bias' has shape \(2,\), not \(3,\)"),
        ("stem.bn.bias", np.full(4, np.nan), "'stem.bn.bias' has values that are not finite"),
        ("stem.bn.running_var", np.full(4, -1.0), "negative variances"),
    ],
)
def test_wrong_state_is_named(name: str, value: np.ndarray | None, message: str) -> None:
    state = random_state(TINY, 0)
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises(ExportError, match=message):
        lower(TINY, state)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "no logits"),
        (TINY[:2], "no logits"),
        ((TINY[1], *TINY[1:]), "'pool' reads 'stem', which comes later"),
        (
            (
                TINY[0],
                Layer("gate", "squeeze_excite", ("stem",), 4, 4, 8, 8, squeeze_channels=8),
                replace(TINY[1], inputs=("gate",), activation="relu"),
                TINY[2],
            ),
            "cannot read a squeeze-excite output",
        ),
        (
            (
                TINY[0],
                Layer("gate", "squeeze_excite", ("stem",), 4, 4, 8, 8, squeeze_channels=8),
                Layer("add", "add", ("gate", "stem"), 4, 4, 8, 8),
                replace(TINY[1], inputs=("add",)),
                TINY[2],
            ),
            "adds a squeeze-excite output to another tensor",
        ),
    ],
)
def test_layers_that_cannot_be_lowered_are_named(layers: tuple, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        lower(layers, random_state(layers, 0))


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 1, 8, 8)),
        np.zeros((2, 3, 8, 8), np.float32),
        np.zeros((0, 1, 8, 8), np.float32),
        np.zeros((1, 8, 8), np.float32),
    ],
)
def test_images_that_do_not_fit_are_refused(images: np.ndarray) -> None:
    with pytest.raises(ExportError, match="images"):
        run(lower(TINY, random_state(TINY, 0)), images)
