"""Training: all subnets at once, by the sandwich rule with in-place distillation.

In each step the largest network learns the labels; the smallest and some random ones learn what the
largest answers (Yu and Huang 2019, Universally Slimmable Networks; Cai et al. 2020, Once-for-All).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.interfaces import Data, Space
from edgenas.core.progress import Progress
from edgenas.supernet import files
from edgenas.supernet.allocator import keep_freed_memory
from edgenas.supernet.imagenet.linear import Floor
from edgenas.supernet.network import Supernet
from edgenas.supernet.parallel import joined
from edgenas.supernet.recalibrate import calibrated_subnet
from edgenas.supernet.scores import accuracy
from edgenas.supernet.settings import TrainSettings
from edgenas.supernet.trainer import Epoch, Trainer, training_device

WATCHED_EPOCHS_FROM_IMAGENET = 10  # each takes a tenth of an epoch's time
PATIENCE = 1 / 3  # of the epochs, without a better one
WATCHED_EPOCHS = 20  # about; of few images an epoch is shorter than looking at its result


@dataclass(frozen=True)
class TrainReport:
    """What training did.

    losses : mean cross-entropy of the largest network, one an epoch.
    seconds, images_per_second : of this call; images count once though four networks saw them.
    resumed_steps : steps that were found done in the checkpoint.
    largest_accuracy, smallest_accuracy : fractions of the validation split, after recalibration.
    device : that trained. waiting_share : of the seconds, those in which images were made ready.
    processes : that trained. curve : each epoch, where it was asked for. floor : validation
    accuracy of what it began with. best_epoch : whose weights are kept, 0
    for the last.
    """

    losses: tuple[float, ...]
    seconds: float
    images_per_second: float
    resumed_steps: int
    largest_accuracy: float
    smallest_accuracy: float
    device: str
    waiting_share: float
    processes: int = 1
    curve: tuple[Epoch, ...] = ()
    floor: float | None = None
    best_epoch: int = 0


def train(  # noqa: PLR0917 - what, from what, how, to where
    space: Space,
    data: Data,
    settings: TrainSettings,
    checkpoint: Path,
    output: Path,
    progress: Progress,
    watch: bool = False,
    initial: Supernet | None = None,
    floor: Floor | None = None,
    pace: Callable[[int], int] | None = None,
) -> TrainReport:
    """Train a supernet of `space` and write it to `output`.

    Every random number is a function of seed, epoch and step. So a run that was interrupted goes on
    from `checkpoint`, written every 30 s and after each epoch, to the result of one that was not.
    With `watch` the largest and the smallest network are evaluated after each epoch, of many
    epochs after 20 to 39 of them. `initial` has the weights to begin with, in place of random
    ones. With a `floor` those of the epoch are kept that was best on the validation images, first
    of those whose largest network reaches the floor; training ends early when a third of the epochs
    brought none that is better. `pace` says after each epoch how many there are to be, of
    those that are done.

    Raises
    ------
    InputError : `checkpoint` is damaged, or of another space, data set or recipe.
    TrainingError : the loss is not finite, memory ran out, or another process of it is gone.
    RunFolderError : the disk is full.
    """
    keep_freed_memory()
    device = training_device()
    with joined(device) as workers:
        trainer = Trainer(space, data, settings, checkpoint, device, initial, workers)
        trainer.resume()
        resumed, started = trainer.state.step, time.perf_counter()
        _train(trainer, progress, watch or floor is not None, floor, pace)
        seconds = time.perf_counter() - started
        supernet = trainer.result()
        if workers.first:
            files.save(supernet, output, data, settings)
    seen = (trainer.state.step - resumed) * trainer.batch_size
    largest, smallest = _extremes(supernet, data)
    _warn_of_guessing(largest, data, settings, progress)
    if floor is not None and workers.first and largest < floor.accuracy:
        progress.warning(
            f"No epoch of {len(trainer.state.losses)} brought the largest network to {floor.by}'s "
            f"{floor.accuracy:.1%} of the validation images; it gets {largest:.1%}. "
            "Train longer: --time, or --epochs."
        )
    return TrainReport(
        losses=tuple(trainer.state.losses),
        seconds=seconds,
        images_per_second=seen / seconds,
        resumed_steps=resumed,
        largest_accuracy=largest,
        smallest_accuracy=smallest,
        device=device,
        waiting_share=trainer.waited_s / seconds,
        processes=workers.count,
        curve=tuple(trainer.state.curve),
        floor=None if floor is None else floor.accuracy,
        best_epoch=trainer.state.best_epoch,
    )


def _train(
    trainer: Trainer,
    progress: Progress,
    watch: bool,
    floor: Floor | None,
    pace: Callable[[int], int] | None,
) -> None:
    resumed, total = trainer.state.step, trainer.total_steps
    watched = _watched(trainer, progress, floor) if watch else None

    def ended() -> None:
        if pace is not None:
            trainer.state.epochs = pace(len(trainer.state.losses))
        if watched is not None:
            watched()

    if resumed:
        epoch = resumed / trainer.steps_per_epoch
        progress.message(
            f"Training goes on after {epoch:.1f} of {counted(trainer.epochs, 'epoch')}."
        )
    with progress.task("Training the supernet", total) as task:
        task.advance(resumed)
        done: float = resumed
        for loss in trainer.steps(ended=ended):
            # of what is left of the bar, as much as of the steps: their number may change
            share = (total - done) / (trainer.total_steps - trainer.state.step + 1)
            task.advance(share)
            done += share
            epoch = trainer.state.step / trainer.steps_per_epoch
            task.note(f"epoch {epoch:.1f} of {trainer.epochs}, loss {loss:.2f}")


def _watched(trainer: Trainer, progress: Progress, floor: Floor | None) -> Callable[[], None]:
    times = WATCHED_EPOCHS if floor is None else WATCHED_EPOCHS_FROM_IMAGENET

    def ended() -> None:
        state, every = trainer.state, max(1, trainer.epochs // times)
        if len(state.losses) % every and len(state.losses) < trainer.epochs:
            return
        epoch = Epoch(
            len(state.losses), state.losses[-1], *_extremes(trainer.averaged(), trainer.data)
        )
        state.curve.append(epoch)
        progress.message(
            f"epoch {epoch.number} of {trainer.epochs}: loss {epoch.loss:.3f}, "
            f"largest {epoch.largest_accuracy:.2%}, smallest {epoch.smallest_accuracy:.2%}"
        )
        if floor is not None:
            _keep_best(trainer, floor.accuracy)

    return ended


def _keep_best(trainer: Trainer, floor: float) -> None:
    """Keep the weights of now if none were better; end the training if it leads nowhere."""

    def score(epoch: Epoch) -> tuple[bool, float, float]:
        mean = (epoch.largest_accuracy + epoch.smallest_accuracy) / 2
        return epoch.largest_accuracy >= floor, mean, -epoch.loss

    state = trainer.state
    best = max(state.curve, key=score)
    if best is state.curve[-1]:
        trainer.keep_best()
    waited = state.curve[-1].number - best.number
    state.ended = waited > max(2, trainer.epochs * PATIENCE)


def _warn_of_guessing(
    accuracy: float, data: Data, settings: TrainSettings, progress: Progress
) -> None:
    """Warn if the score is not two errors above that of always giving the commonest label."""
    labels = data.val.labels
    guessed = float(np.unique(labels, axis=0, return_counts=True)[1].max() / len(labels))
    if accuracy > guessed + 2 * math.sqrt(guessed * (1 - guessed) / len(labels)):
        return
    progress.warning(
        f"The largest network gets {accuracy:.0%} of {len(labels)} validation images right after "
        f"--epochs {settings.epochs}; always giving the most frequent label gets {guessed:.0%}. "
        "Train for more epochs, or see whether the labels are right."
    )


def _extremes(supernet: Supernet, data: Data) -> tuple[float, float]:
    """Return the validation accuracy of the largest and of the smallest network."""
    space = supernet.space
    largest, smallest = (
        accuracy(calibrated_subnet(supernet, architecture, data), data.val, data)
        for architecture in (space.largest(), space.smallest())
    )
    return largest, smallest
