"""The steps of training, and the checkpoint from which they go on."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from edgenas.core.errors import TrainingError
from edgenas.core.interfaces import Data, Space
from edgenas.core.records import Architecture, from_json
from edgenas.data.pixel_store import release
from edgenas.supernet import files
from edgenas.supernet.batches import Batches
from edgenas.supernet.denormals import denormals_flushed
from edgenas.supernet.network import Supernet
from edgenas.supernet.parallel import Workers
from edgenas.supernet.settings import TrainSettings

CHECKPOINT_EVERY_S = 30.0
RELEASED_EVERY = 64  # steps: of images in a file not all stay in memory
TIMED_STEPS = 3
MOMENTUM_PREFIX = "momentum."
AVERAGE_PREFIX = "average."
BEST_PREFIX = "best."
AVERAGE_WARMUP_STEPS = 10  # the average starts as one over few steps


@dataclass(frozen=True)
class Epoch:
    """What an epoch ended with: the mean loss, and accuracies on the validation split."""

    number: int
    loss: float
    largest_accuracy: float
    smallest_accuracy: float


@dataclass
class State:
    """Where training is; with the tensors, all that a checkpoint holds.

    best_epoch : after which the weights that are kept were had; 0 for those of the end. ended : it
    was stopped before its last step. epochs : that there are to be by now; 0 for those of the
    recipe.
    """

    step: int = 0
    loss_sum: float = 0.0
    losses: list[float] = field(default_factory=list)
    curve: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    ended: bool = False
    epochs: int = 0


class Trainer:
    """One training of a supernet on one device.

    waited_s : seconds that were spent on getting images ready.
    """

    def __init__(  # noqa: PLR0917 - as in train
        self,
        space: Space,
        data: Data,
        settings: TrainSettings,
        checkpoint: Path,
        device: str,
        initial: Supernet | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.space, self.data, self.settings, self.checkpoint = space, data, settings, checkpoint
        self.task = data.task
        self.device, self.workers = device, workers or Workers()
        self.supernet = (initial or Supernet(space, settings.seed)).to(device)
        self.supernet.train()
        self.optimizer = _optimizer(self.supernet, settings)
        self.average = {n: p.detach().clone() for n, p in self.supernet.named_parameters()}
        self.batches = Batches(data, settings, device)
        self.batch_size, self.steps_per_epoch = self.batches.size, self.batches.per_epoch
        self.best: dict[str, Tensor] = {}
        self.state = State()
        self.waited_s = 0.0

    @property
    def epochs(self) -> int:
        """How many there are to be: of the recipe, or as they were planned again."""
        return self.state.epochs or self.settings.epochs

    @property
    def total_steps(self) -> int:
        """The steps of all epochs; what the learning rate falls over."""
        return self.epochs * self.steps_per_epoch

    def steps(self, ended: Callable[[], None] | None = None) -> Iterator[float]:
        """Train from where the state is to the end; yield the loss of each step.

        ended : called after each epoch.
        """
        with denormals_flushed():
            yield from self._steps(ended)

    def _steps(self, ended: Callable[[], None] | None) -> Iterator[float]:
        saved_at = time.monotonic()
        while self.state.step < self.total_steps and not self.state.ended:
            loss = self._step()
            self.state.step += 1
            self.state.loss_sum += loss
            epoch_ended = self.state.step % self.steps_per_epoch == 0
            if epoch_ended:
                self.state.losses.append(self.state.loss_sum / self.steps_per_epoch)
                self.state.loss_sum = 0.0
                if ended is not None and self.workers.first:
                    ended()
            if self.state.step % RELEASED_EVERY == 0:
                release(self.data.train.images)
            due = epoch_ended or time.monotonic() - saved_at > CHECKPOINT_EVERY_S
            if due and self.workers.first:
                self._save()
                saved_at = time.monotonic()
            yield loss

    def keep_best(self) -> None:
        """Let the averaged weights of now be the result, unless later ones are kept."""
        self.state.best_epoch = len(self.state.losses)
        self.best = {name: value.clone() for name, value in self._now().items()}

    def result(self) -> Supernet:
        """Return the supernet of the weights that are kept: the best, else those of now."""
        return self._supernet(self.best or self._now())

    def averaged(self) -> Supernet:
        """Return the supernet of the averaged weights, in the host's memory."""
        return self._supernet(self._now())

    def _now(self) -> dict[str, Tensor]:
        return self.average if self.settings.ema else dict(self.supernet.named_parameters())

    def _supernet(self, kept: dict[str, Tensor]) -> Supernet:
        supernet = Supernet(self.space, self.settings.seed)
        supernet.origin = self.supernet.origin
        if self.supernet.keeps_statistics:
            supernet.keep_statistics()
            kept = {**kept, **dict(self.supernet.named_buffers())}
        with torch.no_grad():
            for name, value in files.trained_tensors(supernet).items():
                value.copy_(kept[name])
        return supernet

    def _step(self) -> float:
        epoch, index = divmod(self.state.step, self.steps_per_epoch)
        rng = self.batches.rng(epoch, index)
        self._set_learning_rate()
        self.supernet.round_like_int8(epoch >= self.epochs - self.settings.qat_epochs)
        self.optimizer.zero_grad(set_to_none=True)
        try:
            loss = self._sandwich(*self._batch(epoch, index, rng), rng)
        except RuntimeError as problem:
            if "out of memory" in str(problem) or "can't allocate memory" in str(problem):
                raise self._out_of_memory() from problem
            raise
        loss = self.workers.mean_gradients(list(self.supernet.parameters()), loss)
        norm = clip_grad_norm_(self.supernet.parameters(), self.settings.clip_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingError(
                f"Training on {self.data.name} diverged in epoch {epoch + 1}, step {index + 1}: "
                f"the loss is {loss:g}, the gradients' norm {norm:g}.",
                "Look at the images' labels, then train again: with another --seed, or with -o "
                "and a smaller --learning-rate.",
            )
        self.optimizer.step()
        self._average()
        return loss

    def _batch(self, epoch: int, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return this process's share of a step's input and targets, as `Batches.batch`."""
        started = time.perf_counter()
        inputs, targets = map(self.workers.share, self.batches.batch(epoch, index, rng))
        self.waited_s += time.perf_counter() - started
        return inputs, targets

    def _sandwich(self, images: Tensor, targets: Tensor, rng: np.random.Generator) -> float:
        """Add up the gradients of one step's networks; return the largest's loss on the targets.

        The largest learns nothing from its own answers: a space of one network is trained plainly.
        """
        sized: dict[int, Tensor] = {}
        kind = torch.device(self.device).type

        def answers(architecture: Architecture) -> Tensor:
            size = architecture.resolution
            if size not in sized:
                sized[size] = resized(images, size)
            with torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu"):
                logits: Tensor = self.supernet(sized[size], architecture)
            return logits.float()

        largest = self.space.largest()
        logits = answers(largest)
        loss = self.task.loss(logits, targets)
        loss.backward()
        taught = self.task.soft_targets(logits.detach())
        drawn = [self.space.sample(rng) for _ in range(self.settings.random_subnets)]
        for architecture in (self.space.smallest(), *drawn):
            if architecture != largest:
                self.task.loss(answers(architecture), taught).backward()
        return loss.item()

    def _average(self) -> None:
        if not self.settings.ema:
            return
        step = self.state.step + 1
        decay = min(self.settings.ema, step / (step + AVERAGE_WARMUP_STEPS))
        with torch.no_grad():
            for name, value in self.supernet.named_parameters():
                self.average[name].lerp_(value, 1 - decay)

    def _set_learning_rate(self) -> None:
        warmup_steps = max(1, round(self.settings.warmup * self.total_steps))
        warm = min(1.0, (self.state.step + 1) / warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * self.state.step / self.total_steps))
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * warm * cosine

    def _out_of_memory(self) -> TrainingError:
        return TrainingError(
            f"Training on {self.data.name} ran out of memory with batches of {self.batch_size} "
            f"images of {max(self.space.resolutions)} px.",
            f"Run the same command again with --batch-size {max(2, self.batch_size // 2)}.",
        )

    def _save(self) -> None:
        tensors = {}
        for name, value in self.supernet.named_parameters():
            tensors[name] = value.detach()
            tensors[MOMENTUM_PREFIX + name] = self.optimizer.state[value]["momentum_buffer"]
            tensors[AVERAGE_PREFIX + name] = self.average[name]
        tensors |= {BEST_PREFIX + name: value for name, value in self.best.items()}
        tensors |= self._statistics()
        tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
        about = files.metadata("checkpoint", self.space, self.data, self.settings)
        about["state"] = asdict(self.state)
        files.write_tensors(self.checkpoint, tensors, about)

    def _statistics(self) -> dict[str, Tensor]:
        """Return the batch norms' statistics where they are kept; sorted, as the weights are."""
        return dict(self.supernet.named_buffers()) if self.supernet.keeps_statistics else {}

    def resume(self) -> None:
        """Take up the checkpoint, if there is one.

        Raises
        ------
        InputError : it is damaged, or of another space, data set or recipe.
        """
        if self.checkpoint.exists():
            self._read_checkpoint()
        self.workers.require_same(self.state.step)

    def _read_checkpoint(self) -> None:
        tensors, about = files.read_tensors(self.checkpoint, "checkpoint")
        wanted = files.metadata("checkpoint", self.space, self.data, self.settings)
        for what in ("space", "data", "settings"):
            before = about.get(what)
            if what == "settings" and isinstance(before, dict):
                before = {
                    "balanced": False,
                    "zoom": 0.0,
                    **before,
                }  # which a file of an older edgenas lacks
            files.require_same(self.checkpoint, what, wanted[what], before)
        self.state = from_json(about.get("state"), State, f"The state in {self.checkpoint}")
        into: dict[str, Tensor] = {**self._statistics()}
        if self.state.best_epoch:
            self.best = {name: torch.empty_like(p) for name, p in self.average.items()}
            into |= {BEST_PREFIX + name: value for name, value in self.best.items()}
        for name, value in self.supernet.named_parameters():
            momentum = torch.zeros_like(value)
            self.optimizer.state[value]["momentum_buffer"] = momentum
            into[name], into[MOMENTUM_PREFIX + name] = value, momentum
            into[AVERAGE_PREFIX + name] = self.average[name]
        files.copy_tensors(self.checkpoint, tensors, into)


def timed_steps(steps: Iterator[float]) -> list[float]:
    """Return the seconds of a training's first steps; the very first is slower. It is then used up.

    Whoever asks gives it a checkpoint of its own: like any training it may write it.
    """
    seconds = []
    for _ in range(TIMED_STEPS):
        started = time.perf_counter()
        if next(steps, None) is None:
            break
        seconds.append(time.perf_counter() - started)
    return seconds


def training_device() -> str:
    """Return this process's GPU, such as "cuda:0", or "cpu" where there is none."""
    number = os.environ.get("LOCAL_RANK", "0")
    return f"cuda:{number}" if torch.cuda.is_available() else "cpu"


def _optimizer(supernet: Supernet, settings: TrainSettings) -> torch.optim.SGD:
    return torch.optim.SGD(
        split_decay(supernet, settings.weight_decay),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=True,
    )


def split_decay(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the parameters in two groups: weights decay, batch norm and biases do not."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def resized(images: Tensor, size: int) -> Tensor:
    """Return the images, float [n, c, h, w], at `size` pixels a side."""
    if images.shape[2] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
