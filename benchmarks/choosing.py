"""Which rule chooses among verified candidates: draws of candidates whose accuracies are known.

usage: python benchmarks/choosing.py [--draws 4000] [--run RUN]

Three candidates are drawn with accuracies around a common one, predictions that err, latencies
within a limit, and answers on validation images of which some are hard for all. Three rules choose:
the fastest that is not measurably worse on them (edgenas's until November 2026), the most accurate
on them, and edgenas's. Printed are the mean true accuracy and latency of what each chooses.

With RUN, a finished search of photographs, candidates are subnets that it evaluated: each answers
all test images once; some of these, drawn anew each time, take the part of the validation images,
and the rest tell the true accuracy. Predicted is by a ridge regression on the number of blocks and
their expand ratios, on the drawn images, of the other subnets.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist

import numpy as np

from edgenas.core.files.run_folder import RunFolder
from edgenas.core.progress import Silent
from edgenas.core.records import Answers, Candidate, Interval, TableRow
from edgenas.core.records.choice import choose
from edgenas.core.records.intervals import Z975
from edgenas.core.records.verification import Verified
from edgenas.optimize.limits import keeps
from edgenas.runs.config import read_config
from edgenas.runs.run import RunContext
from edgenas.supernet.recalibrate import calibrated_subnet
from edgenas.supernet.scores import logits

CANDIDATES = 3
IMAGES = (100, 200, 400)
SUBNETS = 24  # of a run: the slowest within its limit
PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0)
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


def evaluated(folder: Path) -> tuple[list[Candidate], np.ndarray]:
    """Return subnets that a run evaluated, and which test images each has right [n, images]."""
    run = RunFolder(folder)
    context = RunContext(run, read_config(run), Silent())
    data, supernet, result = context.dataset, context.supernet(), context.search_result()
    known = context.predictors().candidates([one.architecture for one in context.evaluations()])
    within = [one for one in known if keeps(one.predicted, result.limits)]
    candidates = sorted(within, key=lambda one: one["latency_ms"].mean)[-SUBNETS:]
    rows = []
    for one in candidates:
        subnet = calibrated_subnet(supernet, one.architecture, data)
        images = data.test.resized(subnet.resolution).images
        rows.append(
            data.task.right(data.task.decode(logits(subnet, images, data)), data.test.labels)
        )
    return candidates, np.array(rows, bool)


def left_out(features: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return what ridge regressions on all other rows predict of each, and their error."""
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    kernel, centred = scaled @ scaled.T, values - values.mean()
    found = []
    for penalty in PENALTIES:
        hat = kernel @ np.linalg.inv(kernel + penalty * np.eye(len(values)))
        errors = (centred - hat @ centred) / (1 - np.diag(hat))
        found.append((float(np.sqrt((errors**2).mean())), values - errors))
    error, predicted = min(found, key=lambda one: one[0])
    return predicted, error


def drawn_of_run(
    candidates: Sequence[Candidate], right: np.ndarray, n_images: int, rng: np.random.Generator
) -> list[Drawn]:
    """Return three of a run's subnets that answered `n_images` of its test images."""
    order = rng.permutation(right.shape[1])
    chosen, judged = right[:, order[:n_images]], right[:, order[n_images:]]
    ratios = [one.architecture.expand_ratios for one in candidates]
    features = np.array([[*map(len, stages), *map(sum, stages)] for stages in ratios], float)
    predicted, error = left_out(features, chosen.mean(axis=1))
    half, models = Z975 * error, []
    for i in rng.choice(len(candidates), CANDIDATES, replace=False):
        mean, latency_ms = float(predicted[i]), candidates[i]["latency_ms"].mean
        interval = Interval(latency_ms, latency_ms, latency_ms)
        one = Candidate(TableRow(i, i, {}), Interval(mean, mean - half, mean + half), interval)
        answers = Answers.of(chosen[i].tolist())
        models.append(Drawn(float(judged[i].mean()), latency_ms, answers, one))
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
    parser.add_argument("--run", type=Path, help="a finished search of photographs")
    asked = parser.parse_args()
    rules = " | ".join(RULES)
    print(f"| candidates | images | {rules} | points over the fastest alike, with its error |")
    print("|---" * (len(RULES) + 3) + "|")
    if asked.run is not None:
        candidates, right = evaluated(asked.run)
        for n_images in IMAGES:
            rng = np.random.default_rng(n_images)
            sets = [drawn_of_run(candidates, right, n_images, rng) for _ in range(asked.draws)]
            print(row(f"{len(candidates)} subnets of a run", n_images, sets), flush=True)
        return
    for setting in SETTINGS:
        for n_images in IMAGES:
            rng = np.random.default_rng(n_images)
            sets = [drawn(setting, n_images, rng) for _ in range(asked.draws)]
            print(row(setting.title, n_images, sets), flush=True)


def row(title: str, n_images: int, sets: Sequence[Sequence[Drawn]]) -> str:
    """Return a row of the table: what each rule chooses of the sets, in the mean."""
    chosen = {name: [rule(one) for one in sets] for name, rule in RULES.items()}
    cells = [
        f"{100 * np.mean([one.true for one in of]):.2f} % at "
        f"{np.mean([one.latency_ms for one in of]):.3g}"
        for of in chosen.values()
    ]
    pairs = zip(chosen["edgenas"], chosen["fastest alike"], strict=True)
    gains = 100 * np.array([new.true - old.true for new, old in pairs])
    gain = f"{gains.mean():+.2f} ({gains.std() / np.sqrt(len(gains)):.2f})"
    return f"| {title} | {n_images} | {' | '.join(cells)} | {gain} |"


if __name__ == "__main__":
    main()
