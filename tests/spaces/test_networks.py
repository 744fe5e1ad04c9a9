"""What the networks of the spaces are, against what their authors published and engines compute."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner

from edgenas.cli.main import edgenas
from edgenas.core import plugins
from edgenas.core.errors import InputError
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate
from edgenas.spaces.base import MobileSpace
from edgenas.spaces.baselines import baseline, names

# Million multiply-adds at 224 px, 1,000 classes. MobileNetV2: the table of the authors' code
# (tensorflow/models, slim/nets/mobilenet). V3: Howard et al. 2019, tables 3 and 4, less the hidden
# layer of the classifier (1,280 or 1,024 wide), which edgenas leaves out.
PUBLISHED_MMAC = {
    "mobilenetv2-0.35": 59.0,
    "mobilenetv2-0.5": 97.0,
    "mobilenetv2-0.75": 209.0,
    "mobilenetv2-1": 300.0,
    "mobilenetv3-large": 219 - (960 * 1280 + 1280 * 1000 - 960 * 1000) / 1e6,
    "mobilenetv3-small": 56 - (576 * 1024 + 1024 * 1000 - 576 * 1000) / 1e6,
}
# Million params; published for V2 in the same table. V3's gates are of another width.
PUBLISHED_MPARAMS = {
    "mobilenetv2-0.35": 1.66,
    "mobilenetv2-0.5": 1.95,
    "mobilenetv2-0.75": 2.61,
    "mobilenetv2-1": 3.47,
}


@pytest.mark.parametrize("name", names())
def test_baselines_do_the_published_work(name: str) -> None:
    space = baseline(name, 1000, 3, 224)
    layers = space.layers(space.largest())
    assert space.size == 1
    mmac = sum(layer.macs for layer in layers) / 1e6
    assert mmac == pytest.approx(PUBLISHED_MMAC[name], rel=0.02)


@pytest.mark.parametrize("name", PUBLISHED_MPARAMS)
def test_baselines_have_the_published_params(name: str) -> None:
    space = baseline(name, 1000, 3, 224)
    mparams = sum(layer.params for layer in space.layers(space.largest())) / 1e6
    assert mparams == pytest.approx(PUBLISHED_MPARAMS[name], rel=0.02)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("image_size", [28, 32, 64, 128])
def test_baselines_leave_something_of_small_images(name: str, image_size: int) -> None:
    space = baseline(name, 10, 3, image_size)
    head = space.layers(space.largest())[-3]
    assert head.in_size == 4


def test_an_unknown_baseline_names_the_nearest() -> None:
    with pytest.raises(InputError, match="no baseline 'mobilenetv2-0") as refused:
        baseline("mobilenetv2-0.4", 10, 3, 32)
    assert "mobilenetv2-0" in refused.value.hint


def spaces() -> list[MobileSpace]:
    members = [plugins.load("spaces", name).create(10, 3, 32) for name in plugins.names("spaces")]
    return [*members, baseline("mobilenetv2-0.35", 10, 3, 32)]


@pytest.mark.parametrize("space", spaces(), ids=lambda space: space.name)
def test_int8_models_compute_what_the_float_network_does(space: MobileSpace) -> None:
    layers = space.layers(space.smallest())
    graph = lower(layers, random_state(layers, 0))
    images = np.random.default_rng(0).standard_normal((16, *graph.input_shape[1:]), np.float32)
    expected = np.asarray(run(graph, images))
    content = plugins.load("exporters", "onnx").emit(
        graph, calibrate(graph, images), scheme="u8s8", batch=None
    )
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": images})
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98


def test_fused_stages_have_no_depthwise_convolution() -> None:
    space: MobileSpace = plugins.load("spaces", "mbv3-tpu").create(10, 3, 224)
    kinds = {
        (layer.stage, layer.kind, layer.kernel_size > 1)
        for layer in space.layers(space.largest())
        if layer.stage >= 0
    }
    assert {stage for stage, kind, _ in kinds if kind == "depthwise"} == {2, 3, 4}
    assert {stage for stage, kind, wide in kinds if kind == "conv" and wide} == {0, 1}
    assert not any(kind == "squeeze_excite" for _, kind, _ in kinds)


def test_the_command_says_what_a_space_is() -> None:
    arguments = ["space", "mbv3-cpu", "--image-size", "224"]
    document = json.loads(CliRunner().invoke(edgenas, [*arguments, "--json"]).output)
    assert document["size"] == 3 * 432**5
    assert document["resolutions"] == [160, 192, 224]
    assert document["engines"]["onnxruntime"] == []
    assert "edgetpu_compiler" in document["engines"]["edgetpu"][0]
    shown = CliRunner().invoke(edgenas, [*arguments, "--layers"]).output
    assert "stage4_block3_depthwise" in shown
    assert "int8 on onnxruntime: all of it" in shown
