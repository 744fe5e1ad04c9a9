"""The size of images that a latency limit allows."""

from __future__ import annotations

import pytest

from edgenas.runs.start.image_size import between, greatest, trainable

MACS = {64: 20, 96: 45, 128: 80, 224: 245}
TIMED_MS = {64: 0.6, 128: 2.4, 224: 7.35}


def test_latencies_between_the_timed_sizes_follow_the_multiplications() -> None:
    found = between(MACS, TIMED_MS)
    assert {size: found[size] for size in TIMED_MS} == TIMED_MS
    assert found[96] == pytest.approx(0.6 + (45 - 20) / (80 - 20) * (2.4 - 0.6))


@pytest.mark.parametrize(("limit_ms", "size"), [(0.5, 64), (1.5, 96), (3.0, 128), (10.0, 224)])
def test_the_greatest_size_that_keeps_the_limit_is_taken(limit_ms: float, size: int) -> None:
    assert greatest(between(MACS, TIMED_MS), limit_ms) == size


@pytest.mark.parametrize(
    ("largest", "training_s", "size"),
    [(224, 6000.0, 224), (192, 240.0, 160), (192, 150.0, 128), (192, 30.0, 64), (64, 9000.0, 64)],
)
def test_images_are_as_large_as_three_epochs_of_them_fit(
    largest: int, training_s: float, size: int
) -> None:
    assert trainable(largest, 25.0, training_s) == size  # 25 s at 96 px: 44 at 128, 69 at 160
