"""Fine-tuning a candidate: it learns, is reused, and is kept only where it is better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgenas.core.errors import DataError
from edgenas.core.progress import Silent
from edgenas.runs.models import finetuned
from edgenas.runs.open import open_run
from edgenas.runs.run import RunContext
from edgenas.supernet import files
from edgenas.supernet.deploy import deployable
from edgenas.supernet.finetune import FineTuning, load, save
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import TrainSettings, default_settings


def begun(context: RunContext) -> Supernet:
    """A supernet that was trained for no step: every epoch makes its subnets better."""
    supernet = Supernet(context.space, 3)
    files.save(supernet, context.folder.supernet, context.dataset, TrainSettings())
    return supernet


def test_a_candidate_is_finetuned_once_and_kept_if_better(tmp_path: Path) -> None:
    progress = Silent()
    asked = {"data": "digits", "finetune": 2}
    with open_run(tmp_path / "run", asked, progress, resume=False) as context:
        digits = context.dataset
        context.dataset = replace(digits, train=digits.calibration(384))
        supernet, architecture = begun(context), context.space.largest()
        layers = context.space.layers(architecture)
        inherited = deployable(supernet, architecture, layers, context.dataset, context.engine)
        network, result = finetuned.finetuned(context, supernet, architecture, inherited)
        assert result is not None
        assert result.kept
        assert result.int8_accuracy_after > result.int8_accuracy_before
        accuracies = network.accuracies("u8s8", context.dataset, context.dataset.val)
        assert accuracies[1] == result.int8_accuracy_after
        again, same = finetuned.finetuned(context, supernet, architecture, inherited)
        assert same == result
        assert again.emit("u8s8", 1) == network.emit("u8s8", 1)
        assert any("fine-tuned weights" in text for text in context.reused)
        kept_out, worse = finetuned.finetuned(context, supernet, architecture, network)
        assert worse is not None
        assert not worse.kept
        assert kept_out is network
    assert any("not better, so it is not kept" in warning for warning in progress.warnings)


def test_without_the_option_nothing_is_trained(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", {"data": "digits"}, Silent(), resume=False) as context:
        supernet, architecture = begun(context), context.space.smallest()
        layers = context.space.layers(architecture)
        inherited = deployable(supernet, architecture, layers, context.dataset, context.engine)
        found = finetuned.finetuned(context, supernet, architecture, inherited)
        assert found == (inherited, None)


def test_a_finetuned_subnet_is_the_same_when_read_back_and_rounds_nothing(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", {"data": "digits"}, Silent(), resume=False) as context:
        supernet, architecture = begun(context), context.space.smallest()
        settings = default_settings(context.dataset, epochs=1)
        tuning = FineTuning(supernet, architecture, context.dataset, settings)
        losses = list(tuning.steps())
        assert np.mean(losses[-4:]) < np.mean(losses[:4])
        save(tuning.subnet, tmp_path / "one.safetensors")
        read = load(tmp_path / "one.safetensors", supernet, architecture)
        ours, theirs = read.state_dict(), tuning.subnet.state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        assert not any(getattr(module, "rounds", False) for module in tuning.subnet.modules())


def test_an_excerpt_of_the_images_is_not_enough(
    tmp_path: Path,
) -> None:
    asked = {"data": "digits", "finetune": 1}
    with open_run(tmp_path / "run", asked, Silent(), resume=False) as context:
        supernet, architecture = begun(context), context.space.smallest()
        layers = context.space.layers(architecture)
        inherited = deployable(supernet, architecture, layers, context.dataset, context.engine)
        object.__setattr__(context.dataset, "excerpt_of", "another")
        with pytest.raises(DataError, match="too few images to fine-tune"):
            finetuned.finetuned(context, supernet, architecture, inherited)
