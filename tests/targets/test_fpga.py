"""An FPGA as a target: what is read of it, and that a file is estimated as its layers are."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.errors import InputError
from edgenas.core.progress import Silent
from edgenas.core.records import Architecture
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import random_ranges
from edgenas.int8.work.onnx_file import read_layers
from edgenas.spaces import mbv3_cpu, mbv3_tiny
from edgenas.spaces.base import MobileSpace
from edgenas.targets import config
from edgenas.targets.base import MeasureSettings, ModelFile
from edgenas.targets.fpga import FpgaTarget

SPACE = mbv3_tiny.create(10, 3, 16)


def target(tmp_path: Path, text: str = 'device = "pynq-z2"') -> FpgaTarget:
    path = tmp_path / "own.toml"
    path.write_text(f'kind = "fpga"\n[fpga]\n{text}', "utf-8")
    opened = config.open_target(config.read(path))
    assert isinstance(opened, FpgaTarget)
    return opened


def onnx_file(space: MobileSpace, network: Architecture) -> bytes:
    layers = space.layers(network)
    graph = lower(layers, random_state(layers, 0))
    content: bytes = plugins.load("exporters", "onnx").emit(graph, random_ranges(graph, 0))
    return content


@pytest.mark.parametrize("seed", range(3))
def test_a_file_is_estimated_as_its_layers_are(seed: int, tmp_path: Path) -> None:
    network = SPACE.sample(np.random.default_rng(seed))
    fpga, content = target(tmp_path), onnx_file(SPACE, network)
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    file = ModelFile("model", path, hashlib.sha256(content).hexdigest())
    outcome = fpga.measure([file], MeasureSettings(), tmp_path, Silent())["model"]
    expected = fpga.pipeline.estimate(SPACE.layers(network))
    assert outcome.estimated and outcome.latency is not None
    assert outcome.latency.median_ms == pytest.approx(expected.latency_ms)
    of_file = fpga.pipeline.estimate(read_layers(content, {}))
    assert (of_file.luts, of_file.bram18) == (expected.luts, expected.bram18)


def test_a_file_with_other_operators_is_not_estimated(tmp_path: Path) -> None:
    space = mbv3_cpu.create(10, 3, 64)
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_file(space, space.smallest()))
    file = ModelFile("model", path, "")
    outcome = target(tmp_path).measure([file], MeasureSettings(), tmp_path, Silent())["model"]
    assert outcome.latency is None and "has no unit" in outcome.reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('device = "pynq-z3"', r"'pynq-z3', which is not known.*Did you mean 'pynq-z[12]'"),
        ("luts = 1000\ndsps = 5", "names no device, and no bram18"),
        ('device = "kv260"\nusable = 1.5', "usable is 1.5"),
        ('device = "kv260"\nclock = 100', r"unknown key 'clock'.*'clock_mhz'"),
        ('device = "kv260"\nimages_per_s = 0', "images_per_s is 0"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        target(tmp_path, text)
    said = f"{refused.value.message} {refused.value.hint}"
    assert "\n" not in refused.value.message and re.search(message, said), said


def test_a_device_may_be_said_in_numbers(tmp_path: Path) -> None:
    known = target(tmp_path, 'device = "ultra96"\nluts = 50000').pipeline.device
    assert (known.luts, known.dsps, known.bram18) == (50_000, 360, 432)
    own = target(tmp_path, "luts = 9000\ndsps = 0\nbram18 = 12").pipeline
    assert own.limits()["luts"] == pytest.approx(0.7 * 9000)


def test_another_engine_is_refused() -> None:
    read = config.read(Path("targets/pynq-z2.toml"))
    with pytest.raises(InputError, match="run on this machine in onnxruntime"):
        config.open_target(replace(read, engine="litert"))


def test_a_table_of_an_fpga_belongs_to_one(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('kind = "local"\n[fpga]\ndevice = "kv260"', "utf-8")
    with pytest.raises(InputError, match="of kind 'local'"):
        config.read(path)
