"""The roof from the timings, and layers against it, on a machine whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgenas.core.errors import MeasurementError
from edgenas.core.records import Operator
from edgenas.core.records.roofline import LayerWork, MicroTiming
from edgenas.explain.roofline import Rates, limits, solve, with_times
from edgenas.int8.work.micro_models import MICRO_MODELS

# kind, MACs, bytes, MACs of an output, channels and taps of each layer, by micro-model
WORKS = {
    "pointwise": LayerWork("l", "pointwise", 12_845_056, 165_888, 256, 8, 8, 256, 1),
    "dense": LayerWork("l", "dense", 28_901_376, 197_632, 1152, 8, 8, 128, 9),
    "depthwise": LayerWork("l", "depthwise", 225_792, 51_328, 9, 8, 8, 128, 9),
    "cached add": LayerWork("l", "elementwise", 0, 196_608),
    "large add": LayerWork("l", "elementwise", 0, 9_633_792),
    "small add": LayerWork("l", "elementwise", 0, 3_072),
    "started convolution": LayerWork("l", "depthwise", 288, 136, 9, 8, 8, 8, 9),
    "output": LayerWork("l", "pointwise", 262_144, 33_088, 16, 8, 8, 16, 1),
    "dense tap": LayerWork("l", "dense", 2_359_296, 35_136, 144, 8, 8, 16, 9),
    "depthwise tap": LayerWork("l", "depthwise", 147_456, 32_976, 9, 8, 8, 16, 9),
    "rest of 8": LayerWork("l", "depthwise", 46_080, 10_500, 9, 8, 8, 20, 9),
    "rest of 16": LayerWork("l", "depthwise", 55_296, 12_600, 9, 8, 8, 24, 9),
}
UNIT_NS = {
    "started convolution": 1000.0,
    "output": 5.0,
    "dense tap": 60.0,
    "depthwise tap": 20.0,
    "rest of 8": 30.0,
    "rest of 16": 1.5,
}
RATES_OF_KINDS = {"pointwise": 20.0, "dense": 16.0, "depthwise": 3.0}
TRUTH = Rates(RATES_OF_KINDS, 6.0, 1.5, 1_376_256, 2.0, UNIT_NS)


def taken_us(work: LayerWork) -> float:
    rate = TRUTH.gmacs_per_s.get(work.kind, 1.0)
    bandwidth = 1.5 if work.moved_bytes > 1e6 else 6.0
    return 2.0 + work.macs / rate / 1e3 + work.moved_bytes / bandwidth / 1e3 + units_us(work)


def units_us(work: LayerWork) -> float:
    if not work.macs:
        return 0.0
    pixels = work.macs / work.fan_in / work.channels
    if work.kind == "depthwise":
        rests = 30.0 * (work.channels % 8) + 1.5 * (work.channels % 16)
        return 1.0 + pixels * work.taps * (20.0 + rests) / 1e3
    looked_up = 60.0 * work.taps if work.kind == "dense" else 0.0
    return 1.0 + pixels * (5.0 * work.channels + looked_up) / 1e3


def timings(**changed_us: float) -> dict[str, MicroTiming]:
    found = {}
    for one in MICRO_MODELS:
        us = changed_us.get(one.name.replace(" ", "_"), taken_us(WORKS[one.name]))
        long_ms = 0.7 + us * (one.long - one.short) / 1e3
        found[one.name] = MicroTiming(one.name, one.about, one.short, one.long, 0.7, long_ms)
    return found


def test_the_timings_give_the_rates_that_made_them() -> None:
    solved = solve(timings(), WORKS)
    assert solved.gmacs_per_s == pytest.approx(TRUTH.gmacs_per_s, rel=1e-6)
    found = solved.cached_gb_per_s, solved.memory_gb_per_s, solved.launch_us
    assert found == pytest.approx((6.0, 1.5, 2.0), rel=1e-6)
    assert solved.memory_from_bytes == 1_376_256  # between the additions, geometrically
    assert solved.unit_ns == pytest.approx(UNIT_NS, rel=1e-6)


def test_a_unit_whose_micro_model_takes_no_longer_costs_nothing() -> None:
    work = WORKS["rest of 16"]
    rest_us = work.positions * work.taps * 8 * 1.5 / 1e3
    solved = solve(timings(rest_of_16=taken_us(work) - rest_us - 1.0), WORKS)
    assert solved.unit_ns["rest of 16"] == 0
    others = [work for name, work in WORKS.items() if name != "rest of 16"]
    for limit in limits(others, solved):  # which still take what they took
        assert limit.limit_us == pytest.approx(taken_us(limit.work))


def test_documents_of_before_have_no_units() -> None:
    of_before = replace(WORKS["dense"], channels=0, taps=0)
    (limit,) = limits([of_before], replace(TRUTH, unit_ns={}))
    assert limit.compute_us == pytest.approx(of_before.macs / 16.0 / 1e3)


def test_timings_that_only_noise_can_make_are_refused_with_what_to_do() -> None:
    with pytest.raises(MeasurementError, match="contradict each other") as refused:
        solve(timings(dense=0.5), WORKS)
    assert "3x3 convolution of 128 channels at 14 px took 0.5 us" in refused.value.message
    assert "Close other programs" in refused.value.hint


def test_what_bounds_a_layer_is_the_largest_part_of_its_limit() -> None:
    bits = (8, 8)
    streamed = LayerWork("streamed", "pointwise", 512 * 512, 512 * 512 + 1024, 512, *bits, 512, 1)
    heavy = WORKS["dense"]
    tiny = LayerWork("tiny", "pointwise", 64, 80, 8, *bits, 8, 1)
    found = limits((streamed, heavy, tiny), TRUTH)
    assert [one.bound_by for one in found] == ["memory", "compute", "launch"]
    for one in found:
        assert one.limit_us == pytest.approx(taken_us(one.work))


def test_what_a_profiler_adds_to_each_kernel_is_taken_off() -> None:
    works = [replace(WORKS["depthwise"], name=name) for name in ("a", "b", "c")]
    true_us = {"a": 30.0, "b": 10.0, "Transpose": 4.0}
    operators = [
        Operator(f"{name}_token_3", "", (us + 6.0) / 1e3, 0, "", "", "")
        for name, us in true_us.items()
    ]
    found = with_times(limits(works, TRUTH), operators, sum(true_us.values()) / 1e3)
    assert [one.measured_us for one in found] == [pytest.approx(30.0), pytest.approx(10.0), None]
    assert found[0].of_limit == pytest.approx(found[0].limit_us / 30.0)
    # and what it leaves out, 1 us of each kernel, is shared out
    more = with_times(limits(works, TRUTH), operators, (36.0 + 16.0 + 10.0 + 3 * 1.0) / 1e3)
    assert [one.measured_us for one in more[:2]] == [pytest.approx(37.0), pytest.approx(17.0)]
    unresolved = replace(found[0], measured_us=1.0)  # less than the 2 us of a launch
    assert unresolved.of_limit is None


def test_an_operator_is_found_under_the_name_of_its_output_or_of_what_is_fused_into_it() -> None:
    works = (
        replace(WORKS["dense"], name="/0/Conv"),
        replace(WORKS["pointwise"], name="/6/Conv"),
        replace(WORKS["cached add"], name="/7/Sigmoid"),
        replace(WORKS["cached add"], name="/8/Add"),
    )
    operators = [
        Operator(name, kind, us / 1e3, 0, "", "", "")
        for name, kind, us in (
            ("/0/Conv_output_0_nchwc", "Conv", 50.0),
            ("/7/Sigmoid_output_0_nchwc", "FusedConv", 40.0),  # the convolution before it
            ("/8/Add", "Add", 8.0),
            ("ReorderOutput", "ReorderOutput", 2.0),
        )
    ]
    found = with_times(limits(works, TRUTH), operators, 0.1)
    assert [one.measured_us for one in found] == [
        pytest.approx(50.0), pytest.approx(40.0), None, pytest.approx(8.0),
    ]  # fmt: skip
