"""Test images that were seen before: in training or in choosing between networks."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.core.counted import are, counted

WORTH_A_RESERVATION = 0.01  # of the test images


@dataclass(frozen=True)
class Seen:
    """How many test images are the same as training or validation images, and nearly the same.

    identical : of all n_test. nearly : of the `looked_at` others that were compared, which are all
        of them unless they are too many.
    """

    identical: int
    nearly: int
    looked_at: int
    n_test: int

    @property
    def share(self) -> float:
        """The fraction of the test images that were seen, estimated from those compared."""
        rest = self.n_test - self.identical
        nearly = self.nearly * rest / self.looked_at if self.looked_at else 0.0
        return (self.identical + nearly) / self.n_test if self.n_test else 0.0

    def sentence(self, name: str) -> str:
        """Return what to say of it, "" where no test image was seen before. name : of the data."""
        if not self.identical + self.nearly:
            return ""
        rest = self.n_test - self.identical
        drawn = "" if self.looked_at == rest else f" of {self.looked_at:,} compared"
        return (
            f"{name}: of {counted(self.n_test, 'test image')} "
            f"{self.identical:,} {are(self.identical)}, pixel by pixel, among the training or "
            f"validation images, and {self.nearly:,} more{drawn} {are(self.nearly)} nearly: "
            f"{self.share:.1%} of the answers are memory. Take them out of the test images."
        )
