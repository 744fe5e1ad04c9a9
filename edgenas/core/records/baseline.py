"""What a network's accuracy is held against: a plain method, and the other networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgenas.core.records.answers import Answers


@dataclass(frozen=True)
class Baseline:
    """What a plain method gets right of the test images.

    method : such as "logistic regression". image_size : pixels a side that it saw, of images of
    data_image_size. n_fitted : of the n_train training images, those that it was fitted to. sees :
    what it classifies by. val_answers : on the validation images, where no network that gets fewer
    right is to be chosen before one that gets as many.
    """

    method: str
    answers: Answers
    image_size: int
    data_image_size: int
    n_fitted: int
    n_train: int
    sees: Literal["pixels", "ImageNet features"] = "pixels"
    val_answers: Answers | None = None

    @property
    def seen(self) -> str:
        """How it saw less than there is, such as "(at 16 px)"; "" if it did not."""
        parts = []
        if self.image_size < self.data_image_size:
            parts.append(f"at {self.image_size} px")
        if self.n_fitted < self.n_train:
            parts.append(f"fitted to {self.n_fitted:,} of {self.n_train:,} images")
        return f"({', '.join(parts)})" if parts else ""


@dataclass(frozen=True)
class AlikeNetworks:
    """How many evaluated networks the validation images cannot tell from the best of them.

    n_networks : evaluated ones that are compared. alike : of these, not measurably less accurate
    than the best, itself included. best : accuracy of that one, a fraction, on n_images. lowest :
    the least accuracy of those alike.
    """

    n_networks: int
    alike: int
    best: float
    lowest: float
    n_images: int

    @property
    def tell_nothing(self) -> bool:
        """Whether most networks are alike: their order by accuracy is noise then."""
        return self.n_networks > 1 and 2 * self.alike > self.n_networks


def alike_networks(answers: list[Answers]) -> AlikeNetworks | None:
    """Return how the networks of `answers` compare; None of fewer than two.

    Only those that were asked about as many images as most are compared.
    """
    counts = [one.n_images for one in answers]
    if len(counts) < 2:
        return None
    n_images = max(set(counts), key=lambda n: (counts.count(n), n))
    known = [one for one in answers if one.n_images == n_images]
    best = max(known, key=lambda one: one.right)
    alike = [one for one in known if not best.measurably_ahead_of(one)]
    lowest = min(one.accuracy for one in alike)
    return AlikeNetworks(len(known), len(alike), best.accuracy, lowest, n_images)
