"""What FINN is given: a folding for every unit that it will have, and the clock and the part."""

from __future__ import annotations

import json

from edgenas.hardware import finn
from edgenas.hardware.devices import DEVICES
from edgenas.hardware.pipeline import Pipeline
from edgenas.spaces import mbv3_tiny


def test_every_layer_has_its_folding_and_foldings_divide_its_channels() -> None:
    space = mbv3_tiny.create(10, 1, 16)
    layers = space.layers(space.largest())
    pipeline = Pipeline(DEVICES["pynq-z1"], 100.0, 4000)
    estimate = pipeline.estimate(layers)
    config = json.loads(finn.folding_config(layers, estimate))
    assert config.pop("Defaults") == {}
    matrices = [layer for layer in layers if layer.kind in ("conv", "linear")]
    for number, layer in enumerate(matrices):
        unit = config[f"MVAU_hls_{number}"]
        assert layer.out_channels % unit["PE"] == layer.in_channels % unit["SIMD"] == 0
        size = layer.out_size**2 * layer.kernel_size**2
        work = layer.out_channels * layer.in_channels // unit["PE"] // unit["SIMD"]
        assert size * work <= 100e6 / 4000
    kinds = [name.rpartition("_")[0] for name in config]
    assert kinds.count("VVAU_hls") == sum(layer.kind == "depthwise" for layer in layers)
    windows = sum(layer.kernel_size > 1 for layer in layers)
    assert kinds.count("ConvolutionInputGenerator_rtl") == windows


def test_what_finn_adds_between_the_units_keeps_up_with_them() -> None:
    """Cycles are FINN's: padding and copies take one word of SIMD or PE channels a cycle."""
    space = mbv3_tiny.create(10, 3, 32)
    layers = space.layers(space.largest())
    pipeline = Pipeline(DEVICES["zcu104"], 100.0, 20_000)
    config = json.loads(finn.folding_config(layers, pipeline.estimate(layers)))
    windows = [layer for layer in layers if layer.kernel_size > 1]
    for number, layer in enumerate(windows):
        padding = config[f"FMPadding_rtl_{number}"]["SIMD"]
        assert padding == config[f"ConvolutionInputGenerator_rtl_{number}"]["SIMD"]
        side = layer.in_size + layer.padded_before + layer.padded_after
        assert layer.in_channels % padding == 0
        assert side**2 * layer.in_channels // padding <= pipeline.cycles
    additions = [layer for layer in layers if layer.kind == "add"]
    for number, layer in enumerate(additions):
        copied = config[f"DuplicateStreams_hls_{number}"]["PE"]
        assert layer.in_channels % copied == 0
        assert layer.in_size**2 * layer.in_channels // copied <= pipeline.cycles
    assert additions and f"DuplicateStreams_hls_{len(additions)}" not in config
    assert f"FMPadding_rtl_{len(windows)}" not in config


def test_a_window_is_parallel_where_several_pixels_of_a_kernel_are_taken_at_once() -> None:
    """FINN's set_folding.py: parallel_window is 1 of a VVAU whose SIMD is above 1, else 0."""
    space = mbv3_tiny.create(10, 3, 32)
    layers = space.layers(space.largest())
    pipeline = Pipeline(DEVICES["zcu104"], 100.0, 150_000)
    config = json.loads(finn.folding_config(layers, pipeline.estimate(layers)))
    parallel = set()
    windows = [layer for layer in layers if layer.kernel_size > 1]
    depthwise = [layer for layer in layers if layer.kind == "depthwise"]
    for number, layer in enumerate(windows):
        window = config[f"ConvolutionInputGenerator_rtl_{number}"]["parallel_window"]
        simd = config[f"VVAU_hls_{depthwise.index(layer)}"]["SIMD"] if layer in depthwise else 1
        assert window == int(simd > 1)
        parallel.add(window)
    assert parallel == {0, 1}


def test_the_build_file_has_the_clock_and_the_part() -> None:
    text = finn.build_file("net", Pipeline(DEVICES["pynq-z1"], 200.0, 100)).decode()
    assert "synth_clk_period_ns: 5\n" in text and "fpga_part: xc7z020clg400-1" in text
    assert "folding_config_file: net.folding_config.json" in text
