"""Changes to images: each is what it says, drawn anew for each image, and seeded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from edgenas.supernet.augment import cut_out, mix, recolour, zoomed


def inputs(n: int = 40, channels: int = 3) -> Tensor:
    return torch.randn(n, channels, 12, 12, generator=torch.Generator().manual_seed(0))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_same_seed_changes_images_in_the_same_way() -> None:
    images, targets = inputs(), torch.eye(40)
    assert torch.equal(recolour(images, rng(), 0.3), recolour(images, rng(), 0.3))
    assert not torch.equal(recolour(images, rng(), 0.3), recolour(images, rng(1), 0.3))
    assert torch.equal(cut_out(images, rng(), 0.3), cut_out(images, rng(), 0.3))
    assert torch.equal(zoomed(images, rng(), 0.3), zoomed(images, rng(), 0.3))
    assert torch.equal(mix(images, targets, rng(), 1.0)[0], mix(images, targets, rng(), 1.0)[0])


def test_new_colours_are_the_same_for_all_pixels_of_an_image_and_within_bounds() -> None:
    images = inputs(300)
    grey, new_grey = (values.mean(1) for values in (images, recolour(images, rng(), 0.2)))
    means, new_means = (values.mean((1, 2), keepdim=True) for values in (grey, new_grey))
    contrast = (new_grey - new_means) / (grey - means)
    spread = contrast.flatten(1).quantile(0.9, dim=1) - contrast.flatten(1).quantile(0.1, dim=1)
    assert spread.max() < 1e-3
    drawn = contrast.flatten(1).median(1).values
    assert 0.8 <= drawn.min() < 0.82
    assert 1.18 < drawn.max() <= 1.2
    brightness = new_means - means
    assert -0.2 <= brightness.min() < -0.18
    assert 0.18 < brightness.max() <= 0.2


def test_one_square_is_set_to_the_mean_and_nothing_else_changes() -> None:
    images = inputs(200)
    hidden = cut_out(images, rng(), 0.5) != images
    assert torch.equal(hidden.any(1), hidden.all(1))
    for mask in hidden[:, 0]:
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns)
        assert 3 <= rows.sum() <= 6
    assert hidden[:, 0].float().mean() == pytest.approx(0.25 * 0.875**2, rel=0.05)


def test_blended_images_carry_the_same_shares_in_their_targets() -> None:
    images, targets = inputs(), torch.eye(40)
    blended, shares = mix(images, targets, rng(), 1.0)
    torch.testing.assert_close(shares.sum(1), torch.ones(40))
    torch.testing.assert_close(blended, torch.einsum("ij,jchw->ichw", shares, images))
    assert 0.2 < shares.diagonal().mean() < 0.8


def test_an_enlarged_image_shows_a_part_of_itself_at_the_same_scale_both_ways() -> None:
    columns = torch.arange(48.0).expand(300, 1, 48, 48)
    both = torch.cat((columns, columns.transpose(2, 3)), dim=1)
    cut = zoomed(both, rng(), 0.3)
    across = cut[:, 0, 24].diff(dim=1)[:, 2:-2]  # a column further: as many as a pixel now spans
    down = cut[:, 1, :, 24].diff(dim=1)[:, 2:-2]
    torch.testing.assert_close(across, across[:, :1].expand_as(across), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(across, down, rtol=1e-3, atol=1e-3)
    assert 0.69 < across.min() < 0.72
    assert 0.98 < across.max() < 1.01
    first, last = cut[:, 0, 24, 0], cut[:, 0, 24, -1]
    assert first.min() >= 0
    assert last.max() <= 47
    assert first.max() > 10  # the part lies anywhere
    assert last.min() < 37
