"""Accuracy under corruptions: each file run by hand, and what a search and a verdict make of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.data.corruptions import corrupted
from edgenas.int8.engines.facts import find_engine
from edgenas.runs.sources import board_search
from edgenas.runs.steps import fit
from edgenas.spaces import mbv3_tiny
from edgenas.supernet.accuracy import Evaluator
from edgenas.supernet.network import Supernet
from edgenas.supernet.parallel import Workers
from helpers.learnt_run import learnt


def test_it_is_the_mean_over_corrupted_validation_images_of_the_int8_file() -> None:
    data = base.load("digits", seed=0, progress=Silent())
    space = mbv3_tiny.create(10, 1, data.image_size)
    evaluator = Evaluator(
        Supernet(space, 0), "", space, data, find_engine("onnxruntime"), "u8s8", robust=True
    )
    network = space.largest()
    (found,) = evaluator.evaluations([network], Workers())
    content = evaluator.deployable(network, data).emit("u8s8", None)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    right = []
    for split in corrupted(data.val):
        pixels = split.resized(network.resolution).images.transpose(0, 3, 1, 2) / 255.0
        mean, std = (np.array(one).reshape(1, -1, 1, 1) for one in (data.mean, data.std))
        (logits,) = session.run(None, {"input": ((pixels - mean) / std).astype(np.float32)})
        right.append((logits.argmax(1) == split.labels).mean())
    assert found.robust_accuracy == pytest.approx(np.mean(right))
    assert found.robust_accuracy != found.int8_accuracy
    plain = replace(evaluator, robust=False)
    assert next(iter(plain.evaluations([network], Workers()))).robust_accuracy is None


def test_it_is_predicted_searched_for_and_limited(tmp_path: Path) -> None:
    run = learnt(tmp_path / "run")
    run.settle(objectives=("robust_accuracy", "latency_ms"), constraints=("robust_accuracy>=40%",))
    rng = np.random.default_rng(2)
    for one in run.evaluations():
        share = 0.2 + sum(map(sum, one.architecture.expand_ratios)) / 200 + rng.normal(0, 0.002)
        run.store.add_evaluation(replace(one, robust_accuracy=share))
    fit.run(run)
    predictors = run.predictors()
    result = board_search.search(run)
    grid = list(dict.fromkeys(run.space.sample(rng) for _ in range(300)))
    others = predictors.candidates([*grid, run.space.largest(), run.space.smallest()])
    for found in result.candidates:
        interval = found["robust_accuracy"]
        assert 0.4 <= interval.lower <= interval.mean <= interval.upper <= 1.0
        assert not any(
            one["robust_accuracy"].lower >= 0.4
            and one["robust_accuracy"].mean > interval.mean + 1e-9
            and one["latency_ms"].mean < found["latency_ms"].mean - 1e-9
            for one in others
        )
