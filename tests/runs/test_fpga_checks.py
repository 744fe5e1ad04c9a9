"""Widths that do not fold: the stage that is at fault, and the nearest width that works."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgenas.core.errors import InputError
from edgenas.hardware.devices import DEVICES
from edgenas.hardware.pipeline import Pipeline
from edgenas.runs.fpga.checks import check_widths
from edgenas.spaces.base import MobileSpace, StageSpec


def space(*widths: int) -> MobileSpace:
    stages = tuple(StageSpec(width, 1, (1, 2), (3, 5), (1, 3)) for width in widths)
    return MobileSpace("own", 8, 1, stages, 16, (16,), 10, 1)


def fits(of: MobileSpace, pipeline: Pipeline, most_luts: float) -> bool:
    estimate = pipeline.estimate(of.layers(of.smallest()))
    return estimate.luts <= most_luts and estimate.images_per_s >= pipeline.images_per_s


@pytest.mark.parametrize(("widths", "rate"), [((37, 24), 20_000), ((24, 31, 16), 10_000)])
def test_a_width_that_no_folding_divides_is_refused_with_the_nearest_that_works(
    widths: tuple[int, ...], rate: float
) -> None:
    pipeline = Pipeline(DEVICES["pynq-z2"], 100.0, rate)
    taken = [
        pipeline.estimate(space(*others).layers(space(*others).smallest())).luts
        for others in (widths, tuple(width - 1 for width in widths))
    ]
    most = sum(taken) / 2
    at = next(i for i, width in enumerate(widths) if width in (31, 37))
    with pytest.raises(InputError) as refused:
        check_widths(space(*widths), pipeline, most)
    assert (
        f"Stage {at + 1} of 'own' is {widths[at]} wide, which folds by 1, {widths[at]} alone"
        in (refused.value.message)
    )
    named = int(refused.value.hint.split("stage ")[1].split(" wide")[0])

    def with_width(width: int) -> MobileSpace:
        return space(*widths[:at], width, *widths[at + 1 :])

    assert fits(with_width(named), pipeline, most) and not fits(space(*widths), pipeline, most)
    distance = abs(named - widths[at])
    for nearer in range(widths[at] - distance + 1, widths[at] + distance):
        assert not fits(with_width(nearer), pipeline, most)


def test_widths_that_fit_and_networks_that_are_just_too_large_are_no_fault_of_a_width() -> None:
    pipeline = Pipeline(DEVICES["pynq-z2"], 100.0, 20_000)
    check_widths(space(36, 24), pipeline, 60_000)
    check_widths(space(36, 24), pipeline, 100)
    check_widths(space(37, 24), replace(pipeline, images_per_s=10), 60_000)
