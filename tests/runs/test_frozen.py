"""The frozen network with a linear classifier: a candidate, and what a winner is held against."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgenas.core.files.run_folder import RunFolder
from edgenas.core.progress import Silent
from edgenas.runs.config import RunConfig, write_config
from edgenas.runs.models import frozen
from edgenas.runs.run import RunContext
from edgenas.runs.steps import optimize
from edgenas.supernet import files
from edgenas.supernet.deploy import deployable
from edgenas.supernet.imagenet.linear import fit_classifier
from edgenas.supernet.imagenet.projections import take_statistics
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import TrainSettings
from helpers.learnt_run import learnt


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    """A run on digits that kept a network of random weights with a linear classifier."""
    config = RunConfig(data="digits")
    write_config(RunFolder(tmp_path), config, "0")
    context = RunContext(RunFolder(tmp_path), config, Silent())
    supernet = Supernet(context.space)
    supernet.keep_statistics()
    images = context.dataset.calibration(128).resized(context.space.largest().resolution).images
    take_statistics(supernet, images, context.dataset)
    fit_classifier(supernet, context.dataset, Silent())
    files.save(supernet, context.folder.frozen, context.dataset, TrainSettings())
    return context


def test_the_more_accurate_of_frozen_and_trained_weights_is_exported(context: RunContext) -> None:
    space, dataset = context.space, context.dataset
    largest, untrained = space.largest(), Supernet(space, seed=1)
    trained = deployable(untrained, largest, space.layers(largest), dataset, context.engine)
    chosen = frozen.better(context, largest, trained)
    assert chosen is not None
    scheme = context.target.scheme
    accuracies = [one.accuracy(scheme, dataset, dataset.val) for one in (trained, chosen)]
    assert accuracies[0] < 0.3 < accuracies[1] == frozen.accuracy(context)
    assert frozen.better(context, largest, chosen) is None  # no better than itself
    assert frozen.better(context, space.smallest(), trained) is None
    held = frozen.baseline(context)
    assert held is not None
    assert held.answers.n_images == 360
    assert held.answers.accuracy == pytest.approx(accuracies[1], abs=0.1)


def test_without_a_frozen_network_nothing_is_held_against_it(tmp_path: Path) -> None:
    context = learnt(tmp_path)
    assert frozen.network(context) is None
    assert frozen.accuracy(context) is None
    assert frozen.baseline(context) is None


@pytest.mark.parametrize(("accuracy", "limit_ms", "proposed"), [
    (0.99, 9.0, True), (0.5, 9.0, False), (0.99, 0.1, False), (None, 9.0, False),
])  # fmt: skip
def test_the_largest_network_is_a_candidate_where_frozen_it_is_the_most_accurate_within_the_limit(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    accuracy: float | None,
    limit_ms: float,
    proposed: bool,
) -> None:
    context = learnt(tmp_path, max_latency_ms=limit_ms)
    largest = context.space.largest()
    monkeypatch.setattr(frozen, "accuracy", lambda context: accuracy)
    found = optimize.run(context).candidates
    before = [one.architecture for one in found]
    assert (largest in before) is proposed
    assert len(found) == 2
