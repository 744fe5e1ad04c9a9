"""`digits`: scikit-learn's 1,797 handwritten digits (UCI, 8x8, 17 grey levels), there offline."""

from __future__ import annotations

import numpy as np

from edgenas.core.errors import DataError
from edgenas.core.progress import Progress
from edgenas.data.assemble import assemble
from edgenas.data.base import Dataset, Reading, Split, resize

IMAGE_SIZE = 16
TEST_IMAGES = 360


def load(argument: str, *, reading: Reading, progress: Progress) -> Dataset:
    """Return the digits at 16 px; the 360 test images do not depend on the seed."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    if argument:
        raise DataError(f"The data set 'digits' takes no argument, not '{argument}'.")
    bunch = load_digits()
    pixels = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    images = resize(pixels, min(IMAGE_SIZE, reading.image_size))
    digits = Split(images, bunch.target.astype(np.int64))
    train, test = train_test_split(
        np.arange(len(digits)), test_size=TEST_IMAGES, random_state=0, stratify=digits.labels
    )
    names = tuple(map(str, bunch.target_names))
    parts = digits.take(np.sort(train)), None, digits.take(np.sort(test))
    return assemble("digits", names, *parts, seed=reading.seed)
