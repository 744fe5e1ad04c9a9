"""Channels inside blocks as a choice, through supernet, terms, exact search and both formats."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgenas.core import plugins
from edgenas.core.errors import InputError
from edgenas.core.records import Architecture, StageChoice, from_json
from edgenas.explain.choices import changes
from edgenas.int8.checks.file import unlike_lowered
from edgenas.int8.engines import host
from edgenas.int8.exporters import onnx, tflite
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.ranges import calibrate
from edgenas.optimize.layout import Predictors, lay_out
from edgenas.optimize.optimizers import exact
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import TrainingData
from edgenas.spaces import files, mbv3_tiny, mbv3_tiny_free
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.sizes import spread_of_eights
from edgenas.supernet.network import Supernet

SPACE = mbv3_tiny_free.create(10, 3, 16)
NETWORKS = [SPACE.sample(np.random.default_rng(seed)) for seed in range(6)]


def small() -> MobileSpace:
    """A space of 2 * 12 * 12 networks."""
    widths = (("hidden_width", (8, 16, 24)),)
    stages = tuple(StageSpec(w, 1, (1, 2), (3,), (), others=widths) for w in (8, 16))
    return MobileSpace("small", 8, 1, stages, 16, (8, 12), 4, 1)


@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_widths_are_eights_that_reach_as_far_as_the_ratios(size: int) -> None:
    tight, free = (one.create(10, 3, size) for one in (mbv3_tiny, mbv3_tiny_free))
    before = tight.stem_width
    for old, new in zip(tight.stages, free.stages, strict=True):
        widths = [int(width) for width in new.choices["hidden_width"]]
        assert new.expand_ratios == () and 5 <= len(widths) <= 8
        assert all(width % 8 == 0 for width in widths) and widths == sorted(set(widths))
        assert abs(widths[0] - before) <= 4 and abs(widths[-1] - 6 * old.width) <= 4
        before = old.width
    assert spread_of_eights(16, 96, 8) == (16, 24, 32, 48, 56, 72, 96)  # 16 * 6^(n/7), to eights


def test_a_block_has_the_channels_that_were_chosen() -> None:
    for network in NETWORKS:
        depthwise = [one for one in SPACE.layers(network) if one.kind == "depthwise"]
        chosen = [width for stage in network.stages for width in stage.choices["hidden_width"]]
        assert [one.out_channels for one in depthwise] == chosen
        again = from_json(json.loads(network.key), Architecture, "a key")
        assert again == network and again.key == network.key
        assert f"w{chosen[0]}" in str(network)


def test_terms_are_the_work_of_the_layers_and_no_rest_of_eights() -> None:
    terms = TermRows(SPACE, "physical")
    for network in NETWORKS:
        row = dict(zip(terms.terms.names, terms.row(network), strict=True))
        depthwise = sum(one.macs for one in SPACE.layers(network) if one.kind == "depthwise")
        found = sum(value for name, value in row.items() if name.endswith("depthwise_mmac"))
        assert found == pytest.approx(depthwise / 1e6)
        assert not any(value for name, value in row.items() if name.endswith("of_eights_mmac"))
    told = {one.text for one in changes(terms, NETWORKS)}
    assert any(text.startswith("hidden width 16 instead of 8 in one block") for text in told)


def test_a_subnet_gives_the_supernets_logits() -> None:
    torch.manual_seed(0)
    supernet = Supernet(SPACE, seed=1).eval()
    with torch.no_grad():
        for name, tensor in supernet.state_dict().items():
            if tensor.is_floating_point() and not name.endswith("running_var"):
                tensor.add_(0.3 * torch.rand(tensor.shape))
    for network in (SPACE.smallest(), SPACE.largest(), *NETWORKS[:3]):
        images = torch.randn(4, 3, network.resolution, network.resolution)
        with torch.no_grad():
            expected, got = supernet(images, network), supernet.subnet(network)(images)
        assert expected.std() > 1e-4
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("exporter", "engine"), [(onnx, "onnxruntime"), (tflite, "litert")])
def test_both_formats_compute_what_the_supernet_does(exporter: Any, engine: str) -> None:
    supernet = Supernet(SPACE, seed=1).eval()
    network = NETWORKS[1]
    subnet = supernet.subnet(network)
    size = network.resolution
    images = np.random.default_rng(0).standard_normal((6, 3, size, size), np.float32)
    graph = lower(SPACE.layers(network), subnet.numpy_state())
    with torch.no_grad():
        expected = subnet(torch.from_numpy(images)).numpy()
    assert run(graph, images) == pytest.approx(expected, abs=1e-5)
    assert host.logits(exporter.emit(graph, None), images, engine) == pytest.approx(
        expected, abs=1e-4
    )
    ranges, name = calibrate(graph, images), exporter.__name__.rpartition(".")[2]
    int8 = exporter.emit(graph, ranges, scheme="s8s8")
    assert unlike_lowered(int8, graph, ranges, exporter=name, scheme="s8s8") == ""


def test_the_exact_search_finds_what_enumeration_finds() -> None:
    space = small()
    rng = np.random.default_rng(4)
    sampled = [space.sample(rng) for _ in range(50)]
    physical, choices = TermRows(space, "physical"), TermRows(space, "choices")
    mmacs = np.array([sum(one.macs for one in space.layers(a)) / 1e6 for a in sampled])
    noise = rng.normal(0, 0.01, (2, 50))
    fit = plugins.load("predictors", "regression").fit

    def rows(terms: TermRows, name: str, response: np.ndarray) -> TrainingData:
        return TrainingData(name, "ms", terms.terms.names, terms.matrix(sampled), response)

    predictors = Predictors(
        space,
        fit(rows(physical, "latency_ms", 0.1 + 2 * mmacs + noise[0]), 0),
        fit(rows(choices, "accuracy", 0.5 + 0.4 * np.sqrt(mmacs) + noise[1]), 0),
        0.9,
    )
    blocks = [(8,), (16,), (24,), *itertools.product((8, 16, 24), repeat=2)]
    stages = [StageChoice((3,) * len(one), (), (("hidden_width", tuple(one)),)) for one in blocks]
    every = [
        Architecture.of("small", resolution, chosen)
        for resolution in (8, 12)
        for chosen in itertools.product(stages, repeat=2)
    ]
    assert space.size == len(every) == 2 * 12 * 12
    known = predictors.candidates(every)
    layout = lay_out(predictors)
    for quantile in (0.2, 0.5, 0.8):
        limit = float(np.quantile([one.latency_ms.upper for one in known], quantile))
        best = max(one.accuracy.mean for one in known if one.latency_ms.upper <= limit)
        found = exact.best_under(layout.problem, limit, seed=0, budget=100_000, count=1)
        (winner,) = predictors.candidates([layout.architecture(found.points[0])])
        assert found.optimal
        assert winner.latency_ms.upper <= limit * (1 + 1e-9)
        assert winner.accuracy.mean == pytest.approx(best)


TABLE = """
[stem]
width = 8
stride = 1
[head]
width = 32
[[stages]]
width = 16
stride = 2
depths = [1, 2]
kernel_sizes = [3]
hidden_widths = [16, 24, 40]
"""


def test_a_stage_table_may_have_hidden_widths_in_place_of_ratios(tmp_path: Path) -> None:
    path = tmp_path / "wide.toml"
    path.write_text(TABLE)
    space = files.find(str(path)).create(10, 1, 16)
    assert space.size == 3 * (3 + 9)
    inner = [one for one in space.layers(space.largest()) if one.kind == "depthwise"]
    assert [one.out_channels for one in inner] == [40, 40]
    path.write_text(TABLE + "expand_ratios = [2]\n")
    with pytest.raises(InputError, match="expand_ratios or hidden_widths, not both"):
        files.find(str(path))


def test_a_narrow_block_does_expand_where_its_width_is_chosen() -> None:
    # "hidden_width" of a stage leaves the expanding convolution out; a chosen width does not
    chosen = replace(SPACE.stages[0], depths=(1,), others=(("hidden_width", (8,)),))
    space = replace(SPACE, stages=(chosen,))
    names = [layer.name for layer in space.layers(space.smallest())]
    assert "stage0_block0_expand" in names
