"""Numbers of things in messages, as English has them."""

from __future__ import annotations

import pytest

from edgenas.core.counted import are, counted, were


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 images were, 0 passes are"),
        (1, "1 image was, 1 pass is"),
        (2, "2 images were, 2 passes are"),
        (1200, "1,200 images were, 1,200 passes are"),
    ],
)
def test_only_one_is_singular(number: int, said: str) -> None:
    images, passes = counted(number, "image"), counted(number, "pass", "passes")
    assert f"{images} {were(number)}, {passes} {are(number)}" == said
