"""Right and wrong answers, image by image, and whether two networks differ by more than noise.

Two networks that answer the same images are compared on those where only one is right (McNemar
1947): a difference of their accuracies is far surer than either accuracy.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable
from dataclasses import dataclass

from edgenas.core.records.intervals import Z975, Interval

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Answers:
    """How many of `n_images` a network gets right, and which.

    images : a bit an image in the order of the split, 1 where the answer is right, the first image
        first, as base64 of whole bytes; "" where only the count is known.
    """

    right: int
    n_images: int
    images: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.n_images:
            raise ValueError("more answers are right than there are images")
        if self.images and (
            len(self._bytes) != (self.n_images + 7) // 8 or self.bits.bit_count() != self.right
        ):
            raise ValueError("the bits of the images are not those of the count")

    @classmethod
    def of(cls, right: Iterable[bool]) -> Answers:
        """Return the answers that are `right`, one an image."""
        flags = [bool(one) for one in right]
        bits = int("".join("1" if one else "0" for one in flags) or "0", 2)
        size = (len(flags) + 7) // 8
        shifted = bits << (8 * size - len(flags))
        text = base64.b64encode(shifted.to_bytes(size, "big")).decode()
        return cls(sum(flags), len(flags), text)

    @classmethod
    def counted(cls, accuracy: float, n_images: int) -> Answers:
        """Return answers of which only the accuracy, a fraction, is known."""
        return cls(round(accuracy * n_images), n_images)

    @property
    def accuracy(self) -> float:
        """The fraction that is right; 0.0 of no images."""
        return self.right / self.n_images if self.n_images else 0.0

    @property
    def bits(self) -> int:
        """The bits of the images as one number."""
        return int.from_bytes(self._bytes, "big")

    @property
    def _bytes(self) -> bytes:
        try:
            return base64.b64decode(self.images, validate=True)
        except (binascii.Error, ValueError) as problem:
            raise ValueError("the images of the answers are not base64") from problem

    def paired(self, other: Answers) -> bool:
        """Return whether both say which of the same number of images they have right."""
        return bool(self.images and other.images) and self.n_images == other.n_images

    def ahead_of(self, other: Answers) -> Interval:
        """Return how much more accurate this is than `other`, a fraction, with its 95 % interval.

        Of the same images the interval is that of a paired difference (Agresti & Min 2005), else of
        two independent fractions (Agresti & Caffo 2000); both hold for few images too.
        """
        if not self.n_images or not other.n_images:
            return Interval(self.accuracy - other.accuracy, -1.0, 1.0)
        difference = self.accuracy - other.accuracy
        if self.paired(other):
            n = self.n_images + 2
            alone = (self.bits & ~other.bits).bit_count() + 0.5
            behind = (other.bits & ~self.bits).bit_count() + 0.5
            middle = (alone - behind) / n
            half = Z975 * math.sqrt(alone + behind - (alone - behind) ** 2 / n) / n
        else:
            mine = (self.right + 1) / (self.n_images + 2)
            its = (other.right + 1) / (other.n_images + 2)
            middle = mine - its
            variance = mine * (1 - mine) / (self.n_images + 2)
            half = Z975 * math.sqrt(variance + its * (1 - its) / (other.n_images + 2))
        lower, upper = max(-1.0, middle - half), min(1.0, middle + half)
        return Interval(difference, min(lower, difference), max(upper, difference))

    def measurably_ahead_of(self, other: Answers) -> bool:
        """Return whether the whole 95 % interval of the difference is above nothing."""
        return self.ahead_of(other).lower > 0
