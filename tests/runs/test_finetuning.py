"""Fine-tuning a candidate: it learns, is reused, and is kept only where it is better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from edgenas.core.errors import DataError
from edgenas.core.progress import Silent
from edgenas.runs import search
from edgenas.runs.config import RunConfig, read_config
from edgenas.runs.models import finetuned
from edgenas.runs.open import open_run
from edgenas.runs.run import RunContext
from edgenas.runs.start import time_plan
from edgenas.supernet import files, trainer
from edgenas.supernet.deploy import deployable
from edgenas.supernet.finetune import fine_tuning, load, save
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import TrainSettings, default_settings
from helpers.listening import Listening


def begun(context: RunContext) -> Supernet:
    """A supernet that was trained for no step: every epoch makes its subnets better."""
    supernet = Supernet(context.space, 3)
    files.save(supernet, context.folder.supernet, context.dataset, TrainSettings())
    return supernet


def test_a_candidate_is_finetuned_once_and_kept_if_no_worse(tmp_path: Path) -> None:
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
        _, as_good = finetuned.finetuned(context, supernet, architecture, network)
        assert as_good is not None
        assert as_good.kept
        perfect = Mock(spec=network)
        perfect.accuracy.return_value = 1.0
        kept_out, worse = finetuned.finetuned(context, supernet, architecture, perfect)
        assert worse is not None
        assert not worse.kept
        assert kept_out is perfect
    assert any("worse, so it is not kept" in warning for warning in progress.warnings)


def test_epochs_left_open_are_those_that_the_time_has_and_stay_those_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Listening()
    monkeypatch.setattr(trainer, "timed_steps", lambda steps: [9.0, 1.0, 1.1])
    with open_run(tmp_path / "run", {"data": "digits"}, progress, resume=False) as context:
        digits = context.dataset
        context.dataset = replace(digits, train=digits.calibration(384))
        begun(context)
        candidate = SimpleNamespace(architecture=context.space.smallest())
        result = SimpleNamespace(candidates=(candidate, candidate))
        monkeypatch.setattr(RunContext, "search_result", lambda context: result)
        # 6 steps of 1 s an epoch, two candidates: 28 s have two epochs for each
        clock = time_plan.Clock(28.0, 0.0, fine_tuning_s=28.0)
        monkeypatch.setattr(time_plan.Clock, "spent_s", 0.0)
        monkeypatch.setattr(finetuned.Clock, "of", lambda context: clock)
        assert context.source.trains_alone()
        assert context.config.finetune == 2
        assert read_config(context.folder).finetune == 2
        monkeypatch.setattr(finetuned.Clock, "of", None)  # it is not asked again
        assert context.source.trains_alone()
    assert "2 candidates are trained alone for 2 epochs each." in progress.messages


def test_only_candidates_that_keep_their_promise_are_trained_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[tuple[str, dict[str, object]]] = []
    context = Mock(config=RunConfig())
    context.source.steps = ("export", "verify")
    context.source.missed.side_effect = ["1 candidate was slower than promised", "", ""]
    context.source.trains_alone.return_value = True
    context.source.unevaluated.return_value = ()
    monkeypatch.setattr(search, "step", lambda _, name, **options: steps.append((name, options)))
    monkeypatch.setattr(search, "summary", lambda context: {})
    search.conclude(context, 1)
    exports = [options["alone"] for name, options in steps if name == "export"]
    assert exports == [False, False, True]
    assert [options["rounds"] for name, options in steps if name == "verify"] == [1, 2, 2]


@pytest.mark.parametrize(("epochs", "rate"), [(11, 0.01), (12, 0.003)])
def test_a_candidate_of_a_long_trained_supernet_from_imagenet_learns_at_a_lower_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int, rate: float
) -> None:
    with open_run(tmp_path / "run", {"data": "digits"}, Silent(), resume=False) as context:
        supernet = Supernet(context.space, 3)
        settings = TrainSettings(epochs=epochs)
        files.save(supernet, context.folder.supernet, context.dataset, settings)
        smallest = context.space.smallest()
        from_nothing = finetuned.training_alone(context, supernet, smallest, 1)
        assert from_nothing.first_rate == 0.01
        monkeypatch.setattr(context, "pretrained", Mock())
        assert finetuned.training_alone(context, supernet, smallest, 1).first_rate == rate


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
        tuning = fine_tuning(supernet, architecture, context.dataset, settings)
        losses = list(tuning.steps())
        assert np.mean(losses[-4:]) < np.mean(losses[:4])
        save(tuning.subnet, tmp_path / "one.safetensors")
        read = load(tmp_path / "one.safetensors", context.space.layers(architecture), supernet)
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
