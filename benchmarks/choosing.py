"""Which rule chooses among verified candidates: draws of candidates whose accuracies are known.

usage: python benchmarks/choosing.py [--draws 4000]

Three candidates are drawn with accuracies around a common one, predictions that err, latencies
within a limit, and answers on validation images of which some are hard for all. Three rules choose:
the fastest that is not measurably worse on them (edgenas's until November 2026), the most accurate
on them, and edgenas's. Printed are the mean true accuracy and latency of what each chooses.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from edgenas.core.records import Answers, Candidate, Interval, TableRow
from edgenas.core.records.choice import choose
from edgenas.core.records.intervals import Z975
from edgenas.core.records.verification import Verified

CANDIDATES = 3
IMAGES = (100, 200, 400)
HARDNESS = 3.0  # spread of the images' difficulty in units of a network's own luck with an image


@dataclass(frozen=True)
class Setting:
    """What candidates are drawn from: fractions, and latencies as shares of the limit.

    spread : of the candidates' true accuracies. error : of their predictions.
    """

    title: str
    accuracy: float
    spread: float
    error: float
    fastest: float


SETTINGS = (
    Setting("photographs, latencies within 5 %", 0.80, 0.025, 0.02, 0.95),
    Setting("photographs, latencies within 50 %", 0.80, 0.025, 0.02, 0.5),
    Setting("digits, latencies within 50 %", 0.97, 0.003, 0.003, 0.5),
    Setting("all as accurate, latencies within 50 %", 0.90, 0.0, 0.01, 0.5),
)


@dataclass(frozen=True)
class Drawn(Verified):
    """A candidate with its true accuracy."""

    true: float
    latency_ms: float
    right: Answers
    candidate: Candidate[TableRow]
    passed: bool = True
    reasons: tuple[str, ...] = ()
    measured: dict[str, float] = field(default_factory=dict, hash=False)
    from_earlier_round: bool = False

    @property
    def answers(self) -> Answers:
        return self.right

    def known(self, metric: str) -> float:
        return self.latency_ms if metric == "latency_ms" else self.right.accuracy

    def span(self, metric: str) -> tuple[float, float] | None:
        return (0.995 * self.latency_ms, 1.005 * self.latency_ms)


def drawn(setting: Setting, n_images: int, rng: np.random.Generator) -> list[Drawn]:
    """Return candidates that answered `n_images` images."""
    hard, luck = np.array([HARDNESS, 1.0]) / np.hypot(HARDNESS, 1.0)
    images = hard * rng.standard_normal(n_images)
    models = []
    for number in range(CANDIDATES):
        true = float(np.clip(rng.normal(setting.accuracy, setting.spread), 0.01, 0.99))
        right = images + luck * rng.standard_normal(n_images) < NormalDist().inv_cdf(true)
        predicted = true + rng.normal(0.0, setting.error)
        half = Z975 * setting.error
        interval = Interval(predicted, predicted - half, predicted + half)
        latency = float(rng.uniform(setting.fastest, 1.0))
        row = TableRow(number, number, {})
        candidate = Candidate(row, interval, Interval(latency, latency, latency))
        models.append(Drawn(true, latency, Answers.of(right.tolist()), candidate))
    return models


def fastest_alike(models: Sequence[Drawn]) -> Drawn:
    """Return the fastest of those that are not measurably worse than the most accurate."""
    best = most_accurate(models)
    alike = [one for one in models if not best.right.measurably_ahead_of(one.right)]
    return min(alike, key=lambda one: one.latency_ms)


def most_accurate(models: Sequence[Drawn]) -> Drawn:
    """Return the most accurate on validation images; of those that are equal the fastest."""
    return max(models, key=lambda one: (one.right.accuracy, -one.latency_ms))


def weighed(models: Sequence[Drawn]) -> Drawn:
    """Return what edgenas chooses."""
    choice = choose(models, "accuracy", "max", confidence=0.95)
    assert choice is not None
    return choice.winner


RULES: dict[str, Callable[[Sequence[Drawn]], Drawn]] = {
    "fastest alike": fastest_alike,
    "most accurate": most_accurate,
    "edgenas": weighed,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4000)
    asked = parser.parse_args()
    rules = " | ".join(RULES)
    print(f"| candidates | images | {rules} | points over the fastest alike, with its error |")
    print("|---" * (len(RULES) + 3) + "|")
    for setting in SETTINGS:
        for n_images in IMAGES:
            rng = np.random.default_rng(n_images)
            sets = [drawn(setting, n_images, rng) for _ in range(asked.draws)]
            chosen = {name: [rule(one) for one in sets] for name, rule in RULES.items()}
            cells = [
                f"{100 * np.mean([one.true for one in of]):.2f} % at "
                f"{np.mean([one.latency_ms for one in of]):.2f}"
                for of in chosen.values()
            ]
            pairs = zip(chosen["edgenas"], chosen["fastest alike"], strict=True)
            gains = 100 * np.array([new.true - old.true for new, old in pairs])
            error = gains.std() / np.sqrt(len(gains))
            gain = f"{gains.mean():+.2f} ({error:.2f})"
            print(f"| {setting.title} | {n_images} | {' | '.join(cells)} | {gain} |", flush=True)


if __name__ == "__main__":
    main()
