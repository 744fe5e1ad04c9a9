"""The units of a pipeline against what FINN's source, its authors and boards say."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from edgenas.core.errors import InputError
from edgenas.core.records import Layer
from edgenas.hardware.dataflow import (
    Style,
    accumulator_bits,
    bram18,
    layer_units,
    matrix_unit,
    queue_size,
)
from edgenas.hardware.devices import DEVICES
from edgenas.hardware.pipeline import Factors, Pipeline, check_layers

# BNN-PYNQ (Xilinx, config.h of each network): (kernel, in, out, out pixels a side, PE, SIMD).
CNV_1 = (
    (3, 3, 64, 30, 16, 3), (3, 64, 64, 28, 32, 32), (3, 64, 128, 12, 16, 32),
    (3, 128, 128, 10, 16, 32), (3, 128, 256, 3, 4, 32), (3, 256, 256, 1, 1, 32),
    (1, 256, 512, 1, 1, 4), (1, 512, 512, 1, 1, 8), (1, 512, 64, 1, 4, 1),
)  # fmt: skip
CNV_2 = (
    (3, 3, 64, 30, 8, 3), (3, 64, 64, 28, 16, 16), (3, 64, 128, 12, 8, 16),
    (3, 128, 128, 10, 8, 16), (3, 128, 256, 3, 4, 8), (3, 256, 256, 1, 1, 8),
    (1, 256, 512, 1, 1, 2), (1, 512, 512, 1, 1, 4), (1, 512, 64, 1, 4, 1),
)  # fmt: skip
LFC = ((1, 832, 1024, 1, 32, 64), (1, 1024, 1024, 1, 64, 32), (1, 1024, 1024, 1, 32, 64),
       (1, 1024, 64, 1, 8, 16))  # fmt: skip


def layer(kernel: int, inputs: int, outputs: int, size: int, bits: int = 8) -> Layer:
    return Layer(
        "layer", "conv", ("input",), inputs, outputs, size, size, kernel,
        weight_bits=bits, input_bits=bits, output_bits=bits,
    )  # fmt: skip


@pytest.mark.parametrize(("network", "images_per_s"), [(CNV_1, 3052), (CNV_2, 868), (LFC, 195_312)])
def test_cycles_are_those_of_bnn_pynq(
    network: tuple[tuple[int, ...], ...], images_per_s: float
) -> None:
    cycles = max(matrix_unit(layer(*one[:4]), one[4], one[5], Style()).cycles for one in network)
    assert 100e6 / cycles == pytest.approx(images_per_s, rel=0.01)


@pytest.mark.parametrize(("network", "measured"), [(CNV_1, 9150), (CNV_2, 2580)])
def test_boards_run_as_fast_as_cycles_say(
    network: tuple[tuple[int, ...], ...], measured: float
) -> None:
    """Published runs on an Ultra96, whose clock is 299 MHz by its script."""
    cycles = max(matrix_unit(layer(*one[:4]), one[4], one[5], Style()).cycles for one in network)
    assert 299e6 / cycles == pytest.approx(measured, rel=0.01)


@pytest.mark.parametrize(("network", "bits", "reported"), [
    (CNV_1, 1, 26_072), (CNV_2, 2, 37_302), (LFC, 1, 28_360),
])  # fmt: skip
def test_luts_are_within_a_factor_of_2_of_synthesis(
    network: tuple[tuple[int, ...], ...], bits: int, reported: float
) -> None:
    """XC7Z020, Vivado 2018.2, as BNN-PYNQ reports; its thresholds are comparators each."""
    style, luts = Style(thresholds="parallel"), 0.0
    for index, one in enumerate(network):
        of = layer(*one[:4], bits=bits)
        if index == 0 and network is not LFC:
            of = replace(of, input_bits=8)
        if index == len(network) - 1:
            of = replace(of, kind="linear")
        luts += sum(map(Factors().luts, layer_units(of, one[4], one[5], style)))
    assert 0.5 < luts / reported < 2.0


@pytest.mark.parametrize(("multipliers", "luts", "dsps"), [("lut", 317, 0), ("dsp", 313, 1)])
def test_luts_are_those_of_finns_own_unit_test(multipliers: str, luts: int, dsps: int) -> None:
    """Of its resource estimate: MW = MH = 4, PE = SIMD = 1, signed numbers of 2 bits."""
    one = replace(layer(1, 4, 4, 1, bits=2), kind="linear")
    unit = matrix_unit(one, 1, 1, Style(multipliers), signed=True)  # type: ignore[arg-type]
    assert int(Factors().luts(unit)) == luts
    assert unit.dsps == dsps


def test_no_sum_overflows_the_accumulator() -> None:
    """Against the greatest sum that signed weights and unsigned inputs can have."""
    for fan_in, weights, inputs in itertools.product((1, 9, 64, 1000), (2, 4, 8), (2, 4, 8)):
        greatest = fan_in * 2 ** (weights - 1) * (2**inputs - 1)
        bits = accumulator_bits(fan_in, weights, inputs, signed=False)
        assert 2 ** (bits - 1) >= greatest


def test_a_block_ram_holds_18_kbit() -> None:
    for depth, width in itertools.product((1, 500, 1024, 5000, 20_000), (1, 2, 4, 9, 18, 36, 100)):
        assert bram18(depth, width) * 18_432 >= depth * width


def test_deeper_and_wider_queues_take_no_less() -> None:
    sizes = [queue_size(depth, 8) for depth in (2, 30, 100, 2000)]
    assert all(luts > 0 for luts, _ in sizes)
    assert [blocks for _, blocks in sizes] == sorted(blocks for _, blocks in sizes)


@pytest.mark.parametrize("of", [
    layer(3, 12, 20, 7, 4), layer(1, 16, 24, 9, 3), replace(layer(3, 8, 8, 7), kind="depthwise"),
    replace(layer(1, 24, 10, 1), kind="linear"),
])  # fmt: skip
@pytest.mark.parametrize("images_per_s", [500, 20_000, 200_000])
def test_the_folding_is_the_cheapest_of_all(of: Layer, images_per_s: float) -> None:
    """Against every pair of divisors, tried one by one."""
    pipeline = Pipeline(DEVICES["pynq-z2"], 100.0, images_per_s)
    simds = of.kernel_size**2 if of.kind == "depthwise" else of.in_channels
    least = None
    for pe, simd in itertools.product(range(1, of.out_channels + 1), range(1, simds + 1)):
        if of.out_channels % pe or simds % simd:
            continue
        if of.kind == "depthwise" and simd > 1 and pe < of.out_channels:
            continue
        units = layer_units(of, pe, simd, Style())
        if units[0].cycles <= 100e6 / images_per_s:
            luts = sum(map(Factors().luts, units))
            least = luts if least is None else min(least, luts)
    estimate = pipeline.estimate([of])
    if least is None:
        assert estimate.images_per_s < images_per_s
        assert pipeline.counts()["luts"]([of]) > 1e6
    else:
        assert estimate.luts == pytest.approx(least)


def test_more_images_never_take_fewer_luts_and_fewer_bits_never_more() -> None:
    of = [layer(3, 16, 32, 8), layer(1, 32, 32, 8), replace(layer(1, 32, 10, 1), kind="linear")]
    by_speed = [
        Pipeline(DEVICES["zcu104"], 100.0, speed).estimate(of).luts
        for speed in (10, 100, 1000, 10_000)
    ]
    assert by_speed == sorted(by_speed)
    pipeline = Pipeline(DEVICES["zcu104"], 100.0, 5000)
    by_bits = [
        pipeline.estimate([replace(of[0], weight_bits=bits, input_bits=bits)]).luts
        for bits in (2, 3, 4, 6, 8)
    ]
    assert by_bits == sorted(by_bits)


def test_an_addition_queues_what_its_branch_holds_back() -> None:
    wide = Layer("wide", "depthwise", ("input",), 8, 8, 16, 16, 5)
    add = Layer("add", "add", ("wide", "input"), 8, 8, 16, 16)
    straight = replace(add, inputs=("input", "input"))
    pipeline = Pipeline(DEVICES["pynq-z1"], 100.0, 100)
    queued, direct = (pipeline.estimate([wide, one]).layers[1].folding for one in (add, straight))
    assert (queued.luts, queued.bram18) > (direct.luts, direct.bram18)


def test_squeeze_excite_has_no_unit() -> None:
    gate = Layer("gate", "squeeze_excite", ("input",), 8, 8, 4, 4, squeeze_channels=8)
    with pytest.raises(InputError, match="squeeze-excite"):
        check_layers([gate], "The space")


def test_grouped_convolutions_and_pools_have_no_unit_and_are_called_what_they_are() -> None:
    grouped = replace(layer(3, 8, 8, 4), groups=2)
    with pytest.raises(InputError, match="convolutions in groups"):
        check_layers([grouped], "The space")
    pooled = Layer("pool", "max_pool", ("input",), 8, 8, 4, 2, 2, 2)
    with pytest.raises(InputError, match="has max-pool layers, such as pool"):
        check_layers([pooled], "The space")
