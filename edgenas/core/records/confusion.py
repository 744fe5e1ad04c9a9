"""Which classes a network gets right, and what it takes the others for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ClassResult:
    """One class: of n_images how many are right; most of the others were taken for `taken_for`.

    taken : how many were; 0 and "" where all are right.
    """

    name: str
    n_images: int
    right: int
    taken_for: str = ""
    taken: int = 0

    @property
    def accuracy(self) -> float:
        """The fraction that is right."""
        return self.right / self.n_images

    def __str__(self) -> str:
        other = f" ({self.taken} as {self.taken_for})" if self.taken else ""
        return f"{self.name}: {self.right} of {self.n_images}{other}"


@dataclass(frozen=True)
class Confusion:
    """How many test images of each class got which answer.

    counts : (class, answer, images) of each pair that occurs, rising; classes by their number.
    """

    counts: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, labels: Iterable[int], answers: Iterable[int]) -> Confusion:
        """Return what became of images, of their labels and the network's answers."""
        pairs = Counter(zip(map(int, labels), map(int, answers), strict=True))
        return cls(tuple((*pair, pairs[pair]) for pair in sorted(pairs)))

    def worst_first(self, names: Sequence[str]) -> tuple[ClassResult, ...]:
        """Return every class that has images, the least accurate first, of those alike the larger.

        names : of the classes.
        """
        answers: dict[int, dict[int, int]] = {}
        for label, answer, count in self.counts:
            answers.setdefault(label, {})[answer] = count
        found = []
        for label, given in answers.items():
            wrong = {answer: n for answer, n in given.items() if answer != label}
            most = max(wrong, key=lambda answer: wrong[answer], default=None)
            taken = ("", 0) if most is None else (names[most], wrong[most])
            n_images = sum(given.values())
            found.append(ClassResult(names[label], n_images, given.get(label, 0), *taken))
        return tuple(sorted(found, key=lambda one: (one.accuracy, -one.n_images, one.name)))
