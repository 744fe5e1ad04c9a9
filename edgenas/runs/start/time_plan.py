"""What a search from trained weights does in the time that it is given: said before it begins.

A step of training and an evaluation are timed on this computer as it is now. The time is that of
the whole search: some of it is kept for measuring, for verifying and for the report. A fifth is for
training candidates alone, if two epochs of them fit into it and the supernet has few; evaluating
gets up to a third of what is left, training the rest. All are planned again as they go: after each
epoch how many there are to be, after each subnet whether another one fits, and once the candidates
are known, for how many epochs each is trained in what is left.
"""

from __future__ import annotations

import copy
import math
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgenas.core.counted import counted
from edgenas.supernet.accuracy import Evaluator
from edgenas.supernet.settings import LONG_TRAINED, MOST_EPOCHS_FROM_IMAGENET, TrainSettings

if TYPE_CHECKING:
    from edgenas.core.interfaces import Data, Space
    from edgenas.runs.run import RunContext
    from edgenas.supernet.network import Supernet

USUAL_S = 600.0
EVALUATING = 1 / 3  # of the time, at most
FINE_TUNING = 1 / 5  # of the time
MOST_FINE_TUNING_EPOCHS, FEWEST_PLANNED = 20, 2
FEWEST_SUBNETS = 16
NOISE_IMAGES = 64  # of which steps are timed before there are images
WATCHING = 1.1  # times a step: the epochs' results are looked at
SPARE = 0.95  # of the time is planned
# Seconds kept for what a board needs, and the share of the time that this is at most: to measure
# forty subnets, and to verify three candidates, those near their limit twice, explain and report. A
# slow board takes longer.
MEASURING_S, MEASURING = 30.0, 1 / 20
LAST_S, LAST = 75.0, 1 / 8


@dataclass(frozen=True)
class Plan:
    """epochs : of training. evaluate : subnets. Seconds that each of both is to take.

    What candidates take that are trained alone is not in it.
    """

    epochs: int
    evaluate: int
    training_s: float
    evaluating_s: float

    def sentence(self, context: RunContext, clock: Clock, candidates: str) -> str:
        """Return the plan as it is told. candidates : what is planned of them, after the rest."""
        sizes = " and ".join(map(str, context.space.resolutions))
        epochs = counted(self.epochs, "epoch")
        return (
            f"Plan for {clock.time_s / 60:.1f} min: {epochs} of "
            f"{context.data_card.n_train:,} images at {sizes} px "
            f"({self.training_s / 60:.1f} min), then {counted(self.evaluate, 'subnet')} evaluated "
            f"({self.evaluating_s / 60:.1f} min){candidates}, and {clock.kept_s / 60:.1f} min to "
            "measure, verify and report. It is kept to as it goes. Other: --time."
        )


@dataclass(frozen=True)
class Clock:
    """The time that a search may take in all, over every process of its run.

    began : `time.monotonic()` of now less what was spent before. fine_tuning_s : of the time, what
        is kept for training candidates alone. kept_s : what is kept for measuring, verifying and
        the report, as far as these are still to come.
    """

    time_s: float
    began: float
    fine_tuning_s: float = 0.0
    kept_s: float = 0.0

    @classmethod
    def of(cls, context: RunContext) -> Clock | None:
        """Return the clock of a step that begins now; None where the run goes by no time."""
        config = context.config
        package = context.pretrained
        if package is None or not package.is_start() or config.epochs is not None:
            return None
        seconds = context.notes().seconds
        time_s = config.time_s or USUAL_S
        fine_tuning_s = context.notes().candidates_s
        if fine_tuning_s is None or config.finetune is not None:
            fine_tuning_s = FINE_TUNING * time_s if config.finetune is None else 0.0
        kept_s = min(LAST_S, LAST * time_s)
        if "measure" not in seconds:
            kept_s += min(MEASURING_S, MEASURING * time_s)
        began = time.monotonic() - sum(seconds.values())
        return cls(time_s, began, fine_tuning_s, kept_s)

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self.began

    @property
    def left_s(self) -> float:
        """Of the time for training and evaluating."""
        return self.time_s - self.fine_tuning_s - self.kept_s - self.spent_s

    @property
    def all_left_s(self) -> float:
        """Of the time but what is kept; all of it is for candidates once these are known."""
        return max(0.0, self.time_s - self.kept_s - self.spent_s)

    def sentence(self, what: str) -> str:
        """Return what was spent, as it is told."""
        return f"{what} took {self.spent_s / 60:.1f} of {self.time_s / 60:.1f} min."


class Pace:
    """How many epochs a training has, by how long those so far took.

    evaluating_s : that are kept for what comes after it.
    """

    def __init__(self, clock: Clock, epoch_s: float, evaluating_s: float) -> None:
        self._clock, self._evaluating_s, self._epoch_s = clock, evaluating_s, epoch_s
        self._first: tuple[int, float] | None = None  # an epoch, and what was spent at its end

    def __call__(self, done: int) -> int:
        """Return how many epochs there are to be, `done` and more; called after each of them."""
        spent_s = self._clock.spent_s
        if self._first is None:  # where a training goes on, this was a part of an epoch
            self._first = done, spent_s
        elif done > self._first[0]:
            self._epoch_s = (spent_s - self._first[1]) / (done - self._first[0])
        left = (self._clock.left_s - self._evaluating_s) / self._epoch_s
        return max(done, min(MOST_EPOCHS_FROM_IMAGENET, done + int(left + 0.5)))


def plan(
    step_s: float, steps_per_epoch: int, evaluation_s: float, most_subnets: int, left_s: float
) -> Plan:
    """Return the most epochs, and subnets to evaluate, that fit into `left_s` seconds.

    step_s, evaluation_s : of one step of training, and of one subnet. most_subnets : to evaluate;
    sixteen are where there are so many, however little time there is.
    """
    usable_s = SPARE * left_s
    subnets = int(EVALUATING * usable_s / evaluation_s)
    subnets = min(most_subnets, max(FEWEST_SUBNETS, subnets))
    epoch_s = WATCHING * step_s * steps_per_epoch
    epochs = int((usable_s - subnets * evaluation_s) / epoch_s)
    epochs = min(MOST_EPOCHS_FROM_IMAGENET, max(1, epochs))
    return Plan(epochs, subnets, epochs * epoch_s, subnets * evaluation_s)


def training_s(clock: Clock) -> float:
    """Return the seconds that training has at least."""
    return (1 - EVALUATING) * SPARE * clock.left_s


def noise_epoch_s(space: Space, images: int, batch_size: int | None) -> float:
    """Return the seconds of an epoch of so many images, by a few steps on noise of their size."""
    from edgenas.data.base import Dataset, Split
    from edgenas.supernet.settings import transfer_settings
    from edgenas.supernet.trainer import TIMED_STEPS

    rng, size, count = np.random.default_rng(0), max(space.resolutions), batch_size or NOISE_IMAGES
    pixels = rng.integers(0, 256, (count, size, size, 3), np.uint8)
    split = Split(pixels, np.arange(count, dtype=np.int64) % 2)
    data = Dataset("noise", ("0", "1"), split, split, split, "", (0.5,) * 3, (0.25,) * 3)
    settings = transfer_settings(data, epochs=TIMED_STEPS, batch_size=batch_size)
    step_s, _ = _timed(space, data, settings, None)
    return WATCHING * step_s * math.ceil(images / settings.batch_size)


def planned(
    context: RunContext, initial: Supernet, settings: TrainSettings, clock: Clock
) -> tuple[TrainSettings, Pace]:
    """Return the recipe with the epochs that fit, and what plans them again; says the plan."""
    step_s, steps_per_epoch = _step_s(context, initial, settings)
    evaluation_s = _evaluation_s(context, initial)
    candidates = ""
    if clock.fine_tuning_s:
        all_s = clock.left_s + clock.fine_tuning_s
        most = plan(step_s, steps_per_epoch, evaluation_s, context.config.evaluate, all_s).epochs
        clock, candidates = _with_candidates(context, initial, settings, clock, most)
    found = plan(step_s, steps_per_epoch, evaluation_s, context.config.evaluate, clock.left_s)
    context.say_plan(found.sentence(context, clock, candidates))
    context.progress.expect(
        {
            "Training the supernet": found.training_s,
            "Evaluating subnets": found.evaluating_s,
            "Fine-tuning": clock.fine_tuning_s,
        }
    )
    if found.training_s + found.evaluating_s > clock.left_s + clock.fine_tuning_s:
        context.progress.warning(
            f"{clock.time_s:.0f} s are not enough here for one epoch and "
            f"{counted(found.evaluate, 'evaluation')}: they will take longer. Give it more "
            "(--time), or smaller images."
        )
    epochs = _begun_epochs(context) or found.epochs
    pace = Pace(clock, found.training_s / found.epochs, found.evaluating_s)
    return replace(settings, epochs=epochs), pace


def fine_tuning_epochs(clock: Clock, candidates: int, epoch_s: float) -> int:
    """Return for how many epochs each candidate is trained alone in all the time that is left.

    epoch_s : that an epoch of one of them takes.
    """
    return min(MOST_FINE_TUNING_EPOCHS, int(clock.all_left_s / candidates / epoch_s))


def fine_tuning_sentence(clock: Clock, candidates: int, epoch_s: float, epochs: int) -> str:
    """Return for how many epochs candidates are trained alone, or why they are not, as it is told.

    epoch_s : as `fine_tuning_epochs` takes it; epochs : what that returned.
    """
    if not epochs:
        left_s, all_s = clock.all_left_s, candidates * epoch_s
        return (
            f"Candidates are not trained alone: {left_s:.0f} s are left for that, and an epoch of "
            f"{counted(candidates, 'candidate')} takes {all_s:.0f} s. Give it more "
            "(--time), or say for how many epochs, whatever they take: --finetune 1"
        )
    each = " each" * (candidates > 1)
    are = counted(candidates, "candidate is", "candidates are")
    return f"{are} trained alone for {counted(epochs, 'epoch')}{each}."


def kept_for_candidates(
    clock: Clock, candidates: int, epoch_s: float, supernet_epochs: int
) -> tuple[Clock, str]:
    """Return the clock that keeps time for candidates alone only if it pays, and what is said.

    epoch_s : that an epoch of one of them takes. supernet_epochs : that the supernet has if nothing
    is kept for them.
    """
    if supernet_epochs >= LONG_TRAINED:
        return replace(clock, fine_tuning_s=0.0), (
            f", no time kept for candidates alone (after {LONG_TRAINED} epochs it makes few of "
            "them better; what is left at the end is theirs)"
        )
    kept_s, least_s = clock.fine_tuning_s, FEWEST_PLANNED * candidates * epoch_s
    if kept_s >= least_s:
        return clock, f", then candidates trained alone ({kept_s / 60:.1f} min)"
    every = counted(candidates, "candidate")
    return replace(clock, fine_tuning_s=0.0), (
        f", no time kept for candidates alone ({FEWEST_PLANNED} epochs of {every} take "
        f"{least_s / 60:.1f} min, more than a fifth; what is left at the end is theirs)"
    )


def _with_candidates(
    context: RunContext,
    initial: Supernet,
    settings: TrainSettings,
    clock: Clock,
    supernet_epochs: int,
) -> tuple[Clock, str]:
    """Return what `kept_for_candidates` does, by a step of the run's third subnet; kept for good.

    A training that goes on keeps what was planned when it began.
    """
    from edgenas.supernet.finetune import fine_tuning
    from edgenas.supernet.trainer import timed_steps

    if context.notes().candidates_s is not None:
        return clock, f", then candidates trained alone ({clock.fine_tuning_s / 60:.1f} min)"
    tuning = fine_tuning(
        copy.deepcopy(initial), context.anchor(), context.dataset, replace(settings, epochs=1)
    )
    seconds = timed_steps(tuning.steps())
    epoch_s = min(seconds[1:] or seconds) * tuning.total_steps
    clock, candidates = kept_for_candidates(clock, context.config.top, epoch_s, supernet_epochs)
    context.write(replace(context.notes(), candidates_s=clock.fine_tuning_s))
    return clock, candidates


def _begun_epochs(context: RunContext) -> int | None:
    """Return the epochs that a training to go on with was begun with; None where none is."""
    from edgenas.supernet.packages.package import metadata

    path = context.folder.checkpoint
    if not path.exists():
        return None
    epochs = metadata(path).get("settings", {}).get("epochs")
    return epochs if isinstance(epochs, int) else None


def enough(clock: Clock | None, done: int, seconds: float) -> bool:
    """Whether no other subnet is to be evaluated: `done` took so many seconds."""
    return clock is not None and done >= FEWEST_SUBNETS and clock.left_s < seconds / done


def _step_s(context: RunContext, initial: Supernet, settings: TrainSettings) -> tuple[float, int]:
    """Return the seconds of a step of training, and the steps of an epoch."""
    return _timed(context.space, context.dataset, settings, copy.deepcopy(initial))


def _timed(
    space: Space, data: Data, settings: TrainSettings, initial: Supernet | None
) -> tuple[float, int]:
    from edgenas.supernet.trainer import Trainer, timed_steps, training_device

    with tempfile.TemporaryDirectory(prefix="edgenas-timed-") as folder:
        checkpoint = Path(folder) / "checkpoint"
        trainer = Trainer(space, data, settings, checkpoint, training_device(), initial)
        seconds = timed_steps(trainer.steps())
    return min(seconds[1:] or seconds), trainer.steps_per_epoch


def _evaluation_s(context: RunContext, initial: Supernet) -> float:
    """Return the seconds of evaluating the run's third subnet, which is neither extreme.

    The second time counts: in the first the engine is loaded.
    """
    evaluator = Evaluator(
        initial, "", context.space, context.dataset, context.engine, context.target.scheme
    )
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        network = evaluator.deployable(context.anchor(), context.dataset)
        network.right(context.target.scheme, context.dataset, context.dataset.val)
        seconds.append(time.perf_counter() - started)
    return min(seconds)
