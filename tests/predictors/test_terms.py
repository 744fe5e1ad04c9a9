"""Terms: sums over stages, equal to what the layers say."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core.errors import PredictorError
from edgenas.core.records import StageChoice
from edgenas.predictors.networks.terms import term_set
from edgenas.spaces import mbv3_tiny

SPACE = mbv3_tiny.create(num_classes=10, in_channels=1, image_size=16)


def row(terms, architecture):
    resolution = architecture.resolution
    fixed = (*SPACE.stem_layers(resolution), *SPACE.head_layers(resolution))
    stages = enumerate(architecture.stages)
    return terms.size_row(resolution, fixed) + sum(
        terms.stage_row(SPACE.stage_layers(resolution, s, choice), choice) for s, choice in stages
    )


@pytest.fixture
def physical():
    return term_set("physical", len(SPACE.stages), len(SPACE.resolutions))


def test_work_adds_up_to_the_whole_network(physical):
    rng = np.random.default_rng(0)
    for _ in range(20):
        architecture = SPACE.sample(rng)
        terms = dict(zip(physical.names, row(physical, architecture), strict=True))
        kinds = ("fixed_mmac", ".conv1x1_mmac", ".convkxk_mmac", ".depthwise_mmac")
        macs = sum(value for name, value in terms.items() if name.endswith(kinds))
        layers = SPACE.layers(architecture)
        assert macs * 1e6 == pytest.approx(
            sum(x.macs for x in layers if x.kind != "squeeze_excite")
        )
        launches = sum(value for name, value in terms.items() if name.endswith("launches"))
        assert launches == sum(x.launches for x in layers if x.stage >= 0)


def test_a_depthwise_kernel_pays_for_taps_and_for_channels_that_fill_no_vector(physical):
    choice = StageChoice((5, 3), (1, 3))
    layers = SPACE.stage_layers(16, 1, choice)
    wide, narrow = (x for x in layers if x.kind == "depthwise")  # 8 and 36 channels on 8 x 8 pixels
    assert (wide.out_channels, narrow.out_channels, narrow.out_size) == (8, 36, 8)
    terms = dict(zip(physical.names, physical.stage_row(layers, choice), strict=True))
    assert terms["stage1.conv_kpixels"] == pytest.approx((256 + 3 * 64) / 1e3)
    assert terms["stage1.depthwise_ktaps"] == pytest.approx(64 * (25 + 9) / 1e3)
    assert terms["stage1.depthwise_rest_of_eights_mmac"] == pytest.approx(64 * 9 * 4 / 1e6)
    sixteens = 64 * (25 * 8 + 9 * 4) / 1e6
    assert terms["stage1.depthwise_rest_of_sixteens_mmac"] == pytest.approx(sixteens)


def test_choices_of_a_known_stage():
    terms = term_set("choices", 3, 1)
    choice = SPACE.stage_choices(1)[-1]
    values = terms.stage_row(SPACE.stage_layers(16, 1, choice), choice)
    named = {k: v for k, v in zip(terms.names, values, strict=True) if v}
    logs = {k: v for k, v in named.items() if "log1p_" in k}
    amounts = {k: v for k, v in named.items() if k not in logs}
    assert logs["stage1.log1p_inner_expand_sum"] == pytest.approx(np.log(13))
    assert len(logs) == len(amounts)
    assert amounts == {
        "stage1.inner_blocks": 2,
        "stage1.inner_expand_sum": 12,
        "stage1.inner_kernel_sum": 10,
        "stage1.first_expand": 6,
        "stage1.first_kernel": 5,
    }


def test_bits_count_as_the_noise_that_rounding_to_them_adds():
    """Held against the mean squared error of numbers that are really rounded."""
    bits = (2, 3, 4, 8)
    options = {"activation_bits": bits, "weight_bits": bits}
    terms = term_set("choices", 3, 1, {"expand_ratio": (1, 6), "kernel_size": (3,), **options})
    numbers = np.random.default_rng(0).uniform(0, 1, 100_000)
    errors, noises = [], []
    for of in bits:
        step = 2.0**-of
        errors.append(np.mean((np.floor(numbers / step) * step + step / 2 - numbers) ** 2))
        choice = StageChoice.of(
            {"kernel_size": (3, 3), "expand_ratio": (6, 6), "activation_bits": (8, 8),
             "weight_bits": (of, of)}
        )  # fmt: skip
        values = terms.stage_row(SPACE.stage_layers(16, 1, StageChoice((3, 3), (6, 6))), choice)
        named = dict(zip(terms.names, values, strict=True))
        noises.append(named["stage1.weight_bits_noise"])
        assert named["stage1.activation_bits_noise"] == pytest.approx(2 * 4.0**-8)
    ratios = np.array(noises) / errors
    assert ratios == pytest.approx(ratios[0], rel=0.02)
    assert not any("bits" in name for name in terms.names if not name.endswith("_noise"))


def test_one_resolution_has_no_size_terms():
    assert "resolution_px" not in term_set("choices", 3, 1).names
    assert "resolution_px" in term_set("choices", 3, 2).names


def test_groups_name_the_kind_of_each_term(physical):
    assert len(physical.groups) == len(physical.names)
    for name, group in zip(physical.names, physical.groups, strict=True):
        assert name == group or name.split(".")[1] == group


def test_layers_of_two_stages_are_refused(physical):
    architecture = SPACE.smallest()
    with pytest.raises(ValueError, match="one stage"):
        physical.stage_row(SPACE.layers(architecture), architecture.stages[0])


def test_an_unknown_set_is_named():
    with pytest.raises(PredictorError, match="'physical'"):
        term_set("physicl", 3, 1)
