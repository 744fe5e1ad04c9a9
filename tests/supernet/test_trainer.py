"""Training: it learns, resumes to the same result, and refuses what does not belong together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file

from edgenas.core.errors import InputError, RunFolderError, TrainingError
from edgenas.core.progress import Silent
from edgenas.data.assemble import assemble
from edgenas.data.base import Dataset, Split
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.supernet import batches, files, trainer
from edgenas.supernet.files import load
from edgenas.supernet.network import Supernet
from edgenas.supernet.recalibrate import calibrated_subnet
from edgenas.supernet.scores import accuracy
from edgenas.supernet.settings import TrainSettings
from edgenas.supernet.train import TrainReport, train

STAGES = (StageSpec(4, 1, (1, 2), (3, 5), (1, 2)), StageSpec(8, 2, (1,), (3, 5), (1, 2)))
SPACE = MobileSpace("small", 4, 1, STAGES, 16, (8, 10, 12), 2, 1)
SETTINGS = TrainSettings(epochs=4, batch_size=16)
STEPS = 4 * 5


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def stripes(seed: int, n: int) -> Split:
    """Horizontal against vertical stripes in noise: what one convolution tells apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int64) % 2
    wave = np.where(np.arange(12) // 2 % 2, 60, -60)
    rows, columns = wave[:, None, None], wave[None, :, None]
    images = rng.normal(128, 30, (n, 12, 12, 1))
    images += np.where(labels[:, None, None, None] == 1, rows, columns)
    return Split(np.clip(images, 0, 255).astype(np.uint8), labels)


@pytest.fixture(scope="module")
def data() -> Dataset:
    splits = stripes(0, 80), stripes(1, 60), stripes(2, 60)
    return assemble("stripes", ("columns", "rows"), *splits, seed=0)


@pytest.fixture(scope="module")
def trained(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainReport]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, run(data, folder)


def run(
    data: Dataset,
    folder: Path,
    settings: TrainSettings = SETTINGS,
    space: MobileSpace = SPACE,
    progress: Silent | None = None,
) -> TrainReport:
    checkpoint, output = folder / "checkpoint.safetensors", folder / "supernet.safetensors"
    return train(space, data, settings, checkpoint, output, progress or Silent())


class Interrupting(Silent):
    """Stops training, as Ctrl-C does, once `steps` steps were reported."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    @contextmanager
    def task(self, title: str, total: float) -> Iterator[Interrupting]:
        yield self

    def advance(self, units: float = 1.0) -> None:
        self.left -= int(units)
        if self.left <= 0:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        pass


def test_all_subnets_learn(data: Dataset, trained: tuple[Path, TrainReport]) -> None:
    folder, report = trained
    assert len(report.losses) == 4
    assert report.losses[-1] < report.losses[0] / 2
    assert report.resumed_steps == 0
    supernet = load(folder / "supernet.safetensors", SPACE)
    rng = np.random.default_rng(0)
    for architecture in (SPACE.largest(), SPACE.smallest(), SPACE.sample(rng)):
        subnet = calibrated_subnet(supernet, architecture, data)
        assert subnet.resolution == architecture.resolution
        assert accuracy(subnet, data.test, data) > 0.9
    largest = calibrated_subnet(supernet, SPACE.largest(), data)
    assert report.largest_accuracy == accuracy(largest, data.val, data)


def test_numbers_next_to_nothing_are_read_again_after_a_training(
    trained: tuple[Path, TrainReport],
) -> None:
    assert trained[1].losses
    assert json.dumps(json.loads("5e-320")) == "5e-320"  # as a predictor's file may have it


@pytest.mark.parametrize("steps", [3, 10, STEPS])
def test_an_interrupted_training_resumes_to_the_same_bytes(
    data: Dataset,
    trained: tuple[Path, TrainReport],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: int,
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_EVERY_S", 0.0)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path, progress=Interrupting(steps))
    assert not (tmp_path / "supernet.safetensors").exists()
    report = run(data, tmp_path)
    assert report.resumed_steps == steps
    folder, uninterrupted = trained
    assert report.losses == uninterrupted.losses
    for name in ("supernet.safetensors", "checkpoint.safetensors"):
        ours, theirs = load_file(tmp_path / name), load_file(folder / name)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


def test_between_two_times_a_checkpoint_is_written_after_each_epoch(
    data: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path, progress=Interrupting(13))
    assert run(data, tmp_path).resumed_steps == 10


def test_a_foreign_checkpoint_is_refused_and_kept(
    data: Dataset, trained: tuple[Path, TrainReport], tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    before = (trained[0] / "checkpoint.safetensors").read_bytes()
    checkpoint.write_bytes(before)
    other_data = replace(data, identity="0" * 64)
    with pytest.raises(InputError, match="another settings: its epochs is 4, here it is 5"):
        run(data, tmp_path, settings=replace(SETTINGS, epochs=5))
    with pytest.raises(InputError, match="another space: its head_width is 16"):
        run(data, tmp_path, space=replace(SPACE, head_width=8))
    with pytest.raises(InputError, match="another data: its identity"):
        run(other_data, tmp_path)
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize("size", [0, 5, 3000])
def test_a_damaged_checkpoint_is_named(
    data: Dataset, trained: tuple[Path, TrainReport], tmp_path: Path, size: int
) -> None:
    whole = (trained[0] / "checkpoint.safetensors").read_bytes()
    (tmp_path / "checkpoint.safetensors").write_bytes(whole[:size])
    with pytest.raises(InputError, match=r"Cannot read the checkpoint .*checkpoint.safetensors"):
        run(data, tmp_path)


def test_a_checkpoint_without_momentum_is_refused(
    data: Dataset, trained: tuple[Path, TrainReport], tmp_path: Path
) -> None:
    tensors, about = files.read_tensors(trained[0] / "checkpoint.safetensors", "checkpoint")
    tensors.pop("momentum.head.conv.weight")
    files.write_tensors(tmp_path / "checkpoint.safetensors", tensors, about)
    with pytest.raises(InputError, match="does not hold this supernet's tensors"):
        run(data, tmp_path)


def test_a_loss_that_is_not_finite_stops_training(data: Dataset, tmp_path: Path) -> None:
    broken = replace(data, mean=(float("nan"),))
    with pytest.raises(TrainingError, match=r"stripes diverged in epoch 1, step 1: .* nan"):
        run(broken, tmp_path)
    assert not (tmp_path / "supernet.safetensors").exists()


def test_a_folder_that_cannot_be_written_is_one_line(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunFolderError, match="Cannot write"):
        run(data, tmp_path / "file")


def test_what_is_kept_is_the_average_of_the_weights(data: Dataset, tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=1, ema=0.5)
    made = trainer.Trainer(SPACE, data, settings, tmp_path / "checkpoint", "cpu")
    start = made.supernet.get_parameter("head.conv.weight").detach().clone()
    expected = start
    for step, _ in enumerate(made.steps(), 1):
        decay = min(0.5, step / (step + 10))
        now = made.supernet.get_parameter("head.conv.weight").detach()
        expected = decay * expected + (1 - decay) * now
    torch.testing.assert_close(made.averaged().get_parameter("head.conv.weight"), expected)
    assert not torch.equal(expected, now)
    last = trainer.Trainer(SPACE, data, replace(settings, ema=0.0), tmp_path / "none", "cpu")
    list(last.steps())
    torch.testing.assert_close(last.averaged().get_parameter("head.conv.weight"), now)


def test_all_changes_to_images_together_are_learnt_from(data: Dataset, tmp_path: Path) -> None:
    settings = replace(
        SETTINGS, epochs=6, shift=1, cut_out=0.3, colour=0.2, mixup=0.2, label_smoothing=0.1
    )
    report = run(data, tmp_path, settings)
    assert report.losses[-1] < report.losses[0]
    assert report.largest_accuracy > 0.8


def test_a_watched_training_keeps_its_curve_when_resumed(data: Dataset, tmp_path: Path) -> None:
    def watched(progress: Silent) -> TrainReport:
        paths = tmp_path / "checkpoint", tmp_path / "supernet"
        return train(SPACE, data, SETTINGS, *paths, progress, watch=True)

    with pytest.raises(KeyboardInterrupt):
        watched(Interrupting(12))
    report = watched(Silent())
    assert [epoch.number for epoch in report.curve] == [1, 2, 3, 4]
    assert tuple(epoch.loss for epoch in report.curve) == report.losses
    assert report.curve[-1].largest_accuracy == report.largest_accuracy


def test_of_many_epochs_some_are_watched(data: Dataset, tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=41, batch_size=80)
    paths = tmp_path / "checkpoint", tmp_path / "supernet"
    report = train(SPACE, data, settings, *paths, Silent(), watch=True)
    assert [epoch.number for epoch in report.curve] == [*range(2, 41, 2), 41]
    assert len(report.losses) == 41


def test_epochs_are_planned_again_as_a_training_goes(data: Dataset, tmp_path: Path) -> None:
    asked: list[int] = []

    def pace(done: int) -> int:
        asked.append(done)
        return max(done, 2) if done < 3 else done

    paths = tmp_path / "checkpoint", tmp_path / "supernet"
    report = train(SPACE, data, SETTINGS, *paths, Silent(), pace=pace)
    assert asked == [1, 2]
    assert len(report.losses) == 2
    longer = train(
        SPACE, data, SETTINGS, tmp_path / "c", tmp_path / "s", Silent(), pace=lambda done: 6
    )
    assert len(longer.losses) == 6


def test_a_supernet_that_guesses_is_warned_of(data: Dataset, tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 2, len(data.val))
    guessed = replace(data, val=Split(data.val.images, labels))
    progress = Silent()
    paths = tmp_path / "checkpoint", tmp_path / "supernet"
    train(SPACE, guessed, replace(SETTINGS, epochs=1), *paths, progress)
    (warning,) = progress.warnings
    assert "of 60 validation images right after --epochs 1" in warning
    assert f"most frequent label gets {max(np.mean(labels), 1 - np.mean(labels)):.0%}" in warning


def test_memory_that_runs_out_names_the_batch_size_to_try(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*arguments: object) -> None:
        torch.empty(2**55)

    monkeypatch.setattr(batches, "augment", exhausted)
    with pytest.raises(TrainingError, match="batches of 16 images of 12 px") as caught:
        run(data, tmp_path)
    assert "with --batch-size 8." in caught.value.hint


def test_a_space_of_one_network_is_trained_plainly(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One forward pass a step, and the weights of a loop that knows of no supernet."""
    stages = tuple(
        replace(stage, depths=(1,), kernel_sizes=(3,), expand_ratios=(2,)) for stage in STAGES
    )
    space = replace(SPACE, stages=stages, resolutions=(12,))
    settings = replace(SETTINGS, epochs=2, ema=0.0, shift=0)
    expected = Supernet(space, settings.seed)
    losses = plainly(expected, data, settings)
    steps = len(losses)
    passes = []
    forward = Supernet.forward
    monkeypatch.setattr(Supernet, "forward", lambda *args: passes.append(1) or forward(*args))
    report = run(data, tmp_path, settings, space)
    assert len(passes) == steps == 2 * 5
    assert report.losses == pytest.approx([np.mean(losses[:5]), np.mean(losses[5:])])
    assert report.largest_accuracy == report.smallest_accuracy
    found = load(tmp_path / "supernet.safetensors", space)
    for (name, value), own in zip(expected.named_parameters(), found.parameters(), strict=True):
        assert torch.allclose(value, own, rtol=1e-4, atol=1e-5), name


def plainly(network: Supernet, data: Dataset, settings: TrainSettings) -> list[float]:
    """Train by PyTorch's own loss, optimizer and schedule; return the loss of each step."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": settings.weight_decay}, {"params": others}]
    optimizer = torch.optim.SGD(
        groups, settings.learning_rate, momentum=settings.momentum, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    losses = []
    for step in range(10):
        order = np.random.default_rng([settings.seed, step // 5]).permutation(80)
        chosen = order[step % 5 * 16 :][:16]
        inputs = torch.from_numpy(data.normalize(data.train.images[chosen]))
        labels = torch.from_numpy(data.train.labels[chosen])
        optimizer.zero_grad()
        loss = F.cross_entropy(network(inputs, network.space.largest()), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses
