"""A network grown round by round within limits, and the trainings that it is held against.

Each way begins with what it is given and is trained for the same epochs in all.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from edgenas.core.progress import Progress
from edgenas.core.records import Architecture, StageChoice
from edgenas.core.records.goals import Limit
from edgenas.core.records.growth import GrowthRound
from edgenas.data.base import Dataset
from edgenas.optimize.growth import most_valuable
from edgenas.optimize.layout import Predictors
from edgenas.spaces.base import MobileSpace
from edgenas.spaces.hidden_blocks import BlockPlace, hidden_blocks
from edgenas.spaces.resizing import deeper, hidden_widths, narrower, wider
from edgenas.supernet.blocks import Subnet
from edgenas.supernet.finetune import SubnetTraining
from edgenas.supernet.growing import BlockGain, GainSettings, SplitGains, block_gains, loss
from edgenas.supernet.growing import split_gains as gains_of_splits
from edgenas.supernet.network import initialise
from edgenas.supernet.settings import TrainSettings
from edgenas.supernet.splitting import Split, grown, importance, narrowed

ROUNDS = 3
TIMED_STEPS = 4  # of which the first is slower
# Shares of the learning rate at the first and at the last step of a training that is gone on with
# in another size: as a share of the recipe's, which the last training falls from to zero.
BETWEEN = (0.7, 0.3)
BEFORE_PRUNING = (1.0, 0.3)
# The share of all epochs of each round but the last, and of the training before pruning.
SHARE_OF_A_ROUND, SHARE_BEFORE_PRUNING = 1 / 6, 1 / 3
LEAST_KEPT = 0.4  # of a block's channels: pruning without that floor empties single layers
SEARCHED_IMAGES = 2000  # by which the step is chosen
# Of the step that gains were found at. None of them is 0: halves that are alike stay alike.
STEPS = (1.0, 0.5, 0.25, 0.125)
LEAST_STEP = 0.01  # where all of these make the loss worse: departs, and changes next to nothing


@dataclass(frozen=True)
class Growing:
    """What growing and its comparison go by.

    limits : on prediction bounds, by metric. settings : the recipe; its epochs are those in all.
    """

    predictors: Predictors
    limits: Mapping[str, Limit]
    data: Dataset
    settings: TrainSettings
    progress: Progress
    gains: GainSettings = field(default_factory=GainSettings)

    @property
    def space(self) -> MobileSpace:
        return self.predictors.space

    def train(
        self,
        subnet: Subnet,
        epochs: int,
        title: str,
        *,
        shares: tuple[float, float] = (1.0, 0.0),
        warmup: float = 0.0,
        part: int = 0,
    ) -> None:
        """Train a network in place. shares : of the recipe's rate. part : draws other images."""
        rate = self.settings.learning_rate
        settings = replace(self.settings, epochs=epochs, seed=self.settings.seed + 1000 * part)
        rates = (shares[0] * rate, shares[1] * rate)
        training = SubnetTraining(subnet, self.data, settings, rates=rates, warmup=warmup)
        with self.progress.task(title, training.total_steps) as task:
            for batch_loss in training.steps():
                task.advance()
                task.note(f"loss {batch_loss:.2f}")

    def limits_of_round(self, network: Architecture, number: int, count: int) -> dict[str, Limit]:
        """Return the limits of a round, from 1: the way from the first network in equal ratios."""
        (candidate,) = self.predictors.candidates([network])
        limits = {}
        for name, limit in self.limits.items():
            bounds, most = candidate.response(name), limit.at_most
            if most is not None and bounds is not None and bounds.upper > 0:
                ratio = max(1.0, most / bounds.upper)
                most = min(most, bounds.upper * ratio ** (number / count))
            limits[name] = replace(limit, at_most=most)
        return limits


def epochs_of_rounds(epochs: int) -> list[int]:
    """Return the epochs of each round: one or more, most of them in the last."""
    rounds = min(ROUNDS, epochs)
    each = max(1, round(epochs * SHARE_OF_A_ROUND))
    return [*(each for _ in range(rounds - 1)), epochs - each * (rounds - 1)]


def grow(
    subnet: Subnet, network: Architecture, growing: Growing
) -> tuple[Subnet, Architecture, tuple[GrowthRound, ...]]:
    """Return the network that a calibrated one grew into, and how; itself where nothing fitted."""
    seed, rounds = network, list[GrowthRound]()
    epochs = epochs_of_rounds(growing.settings.epochs)
    for number, of_round in enumerate(epochs, 1):
        started = time.perf_counter()
        limits = growing.limits_of_round(seed, number, len(epochs))
        splitting = _Splitting.of(subnet, network, growing)
        larger = most_valuable(
            growing.predictors,
            network.resolution,
            wider(growing.space, network),
            splitting.value,
            limits,
        )
        last = number == len(epochs)
        predicted_drop = real_drop = step = 0.0
        if larger is not None and larger != network:
            predicted_drop = splitting.drop(larger)
            subnet, step, real_drop = splitting.split(larger)
            network = larger
        shares = (1.0, 0.0) if last else BETWEEN
        growing.train(subnet, of_round, f"Growing, round {number}", shares=shares, part=number)
        (candidate,) = growing.predictors.candidates([network])
        rounds.append(
            GrowthRound(
                network,
                candidate["latency_ms"],
                predicted_drop,
                real_drop,
                step,
                of_round,
                time.perf_counter() - started,
            )
        )
    return subnet, network, tuple(rounds)


def from_nothing(network: Architecture, growing: Growing, title: str) -> Subnet:
    """Return a network that was trained from random weights alone."""
    subnet = random_subnet(network, growing)
    growing.train(subnet, growing.settings.epochs, title, warmup=growing.settings.warmup)
    return subnet


def timed_epoch_s(network: Architecture, growing: Growing) -> float:
    """Return the seconds that an epoch of training a network takes, from its first steps."""
    training = SubnetTraining(random_subnet(network, growing), growing.data, growing.settings)
    steps, seconds = training.steps(), []
    for _ in range(TIMED_STEPS):
        started = time.perf_counter()
        if next(steps, None) is None:
            break
        seconds.append(time.perf_counter() - started)
    return min(seconds) * training.total_steps / growing.settings.epochs


def random_subnet(network: Architecture, growing: Growing) -> Subnet:
    """Return a network with random weights, a function of the recipe's seed."""
    layers = growing.space.layers(network)
    subnet = Subnet(layers)
    initialise(subnet, layers, growing.settings.seed)
    return subnet


def prune(
    subnet: Subnet, network: Architecture, growing: Growing
) -> tuple[Subnet, Architecture] | None:
    """Return a network cut down to the limits, trained on before and after; None if none fits.

    Of each block the channels stay whose last batch norm has the greatest weights: as many as make
    the sum of these weights greatest within the limits.
    """
    choices, limits = narrower(growing.space, network, LEAST_KEPT), growing.limits
    known, resolution = growing.predictors, network.resolution
    if most_valuable(known, resolution, choices, lambda stage, choice: 0.0, limits) is None:
        return None
    before = max(1, round(growing.settings.epochs * SHARE_BEFORE_PRUNING))
    after = max(1, growing.settings.epochs - before)
    growing.train(subnet, before, "Training to prune", shares=BEFORE_PRUNING)
    weights = importance(subnet)
    sums = {place: np.append(0.0, np.cumsum(np.sort(of)[::-1])) for place, of in weights.items()}

    def value(stage: int, choice: StageChoice) -> float:
        widths = _widths(growing.space, network, stage, choice)
        return float(sum(sums[place][width] for place, width in widths.items()))

    cut = most_valuable(known, resolution, choices, value, limits)
    assert cut is not None  # some choice keeps the limits, as was seen
    kept = {
        place: np.sort(np.argsort(-weights[place], kind="stable")[:width])
        for place, width in hidden_widths(growing.space, cut).items()
    }
    smaller = narrowed(subnet, growing.space.layers(cut), kept)
    growing.train(smaller, after, "Training what is left", part=1)
    return smaller, cut


@dataclass(frozen=True)
class _Splitting:
    """The gains of one network, and what they make of one that it may grow into."""

    subnet: Subnet
    network: Architecture
    growing: Growing
    gains: Mapping[BlockPlace, SplitGains]
    blocks: Mapping[int, BlockGain]

    @classmethod
    def of(cls, subnet: Subnet, network: Architecture, growing: Growing) -> _Splitting:
        space = growing.space
        stages = tuple(
            next(deeper(spec, choice), choice)
            for spec, choice in zip(space.stages, network.stages, strict=True)
        )
        more = space.layers(Architecture.of(space.name, network.resolution, stages))
        data, settings = growing.data, growing.gains
        gains = gains_of_splits(subnet, data, settings)
        return cls(subnet, network, growing, gains, block_gains(subnet, more, data, settings))

    def value(self, stage: int, choice: StageChoice) -> float:
        """Return how much the loss is predicted to fall by what one stage grows into."""
        own = self.network.stages[stage]
        before = _widths(self.growing.space, self.network, stage, own)
        after = _widths(self.growing.space, self.network, stage, choice)
        drops = (self.gains[p].drop_of(after[p] - width) for p, width in before.items())
        deeper_by = self.blocks[stage].drop if choice.depth > own.depth else 0.0
        return sum(drops) + deeper_by

    def drop(self, network: Architecture) -> float:
        """Return how much the loss is predicted to fall by growing into a network."""
        return sum(self.value(stage, choice) for stage, choice in enumerate(network.stages))

    def split(self, network: Architecture) -> tuple[Subnet, float, float]:
        """Return the network grown by the best step, the step, and how much the loss then fell."""
        growing, settings = self.growing, self.growing.gains
        layers, after = growing.space.layers(network), hidden_widths(growing.space, network)
        splits = {
            place: Split(gain.best(after[place] - len(gain.drops)), gain.direction)
            for place, gain in self.gains.items()
        }
        blocks = {
            stage: self.blocks[stage].block
            for stage, (new, old) in enumerate(
                zip(network.depths, self.network.depths, strict=True)
            )
            if new > old
        }
        rng = np.random.default_rng(settings.seed)
        train = growing.data.train
        seen = train.take(rng.permutation(len(train.labels))[:SEARCHED_IMAGES])

        def loss_of(subnet: Subnet) -> float:
            return loss(subnet, seen.images, seen.labels, growing.data)

        before = loss_of(self.subnet)
        tried: list[tuple[float, float, Subnet]] = []
        for share in (*STEPS, LEAST_STEP):
            step = share * settings.step
            candidate = grown(self.subnet, layers, splits, step, blocks=blocks, seed=settings.seed)
            tried.append((loss_of(candidate), step, candidate))
        lowest, step, best = min(tried, key=lambda one: one[0])
        return best, step, before - lowest


def _widths(
    space: MobileSpace, network: Architecture, stage: int, choice: StageChoice
) -> dict[BlockPlace, int]:
    """Return the hidden channels of one stage's blocks if this is chosen for it."""
    layers = space.stage_layers(network.resolution, stage, choice)
    return {place: block.hidden for place, block in hidden_blocks(layers).items()}
