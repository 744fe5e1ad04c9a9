"""A search of bits for an FPGA: one number of bits throughout is evaluated, and never lost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edgenas.core.progress import Silent
from edgenas.core.records import Architecture, Evaluation
from edgenas.core.records.networks import ACTIVATION_BITS, WEIGHT_BITS
from edgenas.runs import search as pipeline
from edgenas.runs.open import open_run
from edgenas.runs.run import RunContext
from edgenas.runs.sources.board_evaluations import to_evaluate
from edgenas.spaces import files
from edgenas.spaces.bits import of_bits, of_uniform_bits
from helpers.cli import edgenas
from helpers.learnt_run import learnt
from helpers.tiny_space import write_tiny_space

IMAGES = 10_000  # so many that what is known of a network is its truth


def truth(network: Architecture) -> float:
    """Accuracy that is no sum over stages: any mixture of bits loses, and few bits lose more."""
    bits = {
        int(of[0])
        for name, stages in network.others
        if name in (WEIGHT_BITS, ACTIVATION_BITS)
        for of in stages
    }
    blocks = sum(network.depths)
    return 0.7 + 0.01 * blocks - (0.2 if len(bits) > 1 else 0.0) - 0.3 * 4.0 ** -min(bits)


def write_target(path: Path) -> str:
    """Write an FPGA whose stages have 2, 4 or 8 bits; return its file."""
    target = path / "own.toml"
    text = 'kind = "fpga"\n[fpga]\ndevice = "pynq-z2"\nweights = [2, 4, 8]\nactivations = [2, 4, 8]'
    target.write_text(text, "utf-8")
    return str(target)


def searched(path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> RunContext:
    """A run that evaluated 12 networks, searched, and evaluated its winners by the truth."""
    space = write_tiny_space(path)
    of_file = {"space": space, "space_sha256": files.name(Path(space)).sha256}
    context = learnt(path / "run", target=write_target(path), **of_file, **options)
    sha256 = context.supernet_sha256()

    def evaluate(networks: Sequence[Architecture] | None = None) -> int:
        known = {one.architecture for one in context.evaluations() if one.n_images == IMAGES}
        missing = [one for one in networks or () if one not in known]
        for one in missing:
            share = truth(one)
            context.store.add_evaluation(Evaluation(one, sha256, share, share, IMAGES))
        return len(missing)

    monkeypatch.setattr(context.source, "evaluate", evaluate)
    evaluate(context.sampled(12))  # over what `learnt` made up
    pipeline.search_until_known(context)
    return context


def test_the_best_evaluated_network_is_a_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = searched(tmp_path, monkeypatch, constraints=("luts<=6000",))
    known = {one.architecture: one.int8_accuracy for one in context.evaluations()}

    def luts(network: Architecture) -> float:
        assert context.pipeline is not None
        return context.pipeline.estimate(context.space.layers(network)).luts

    within = {one: share for one, share in known.items() if luts(one) <= 6000}
    chosen = [one.architecture for one in context.search_result().candidates]
    assert max(within[one] for one in chosen) == max(within.values())
    space = context.space
    stages = [
        [one for one in space.stage_choices(stage) if one == of_bits(one, 8, 8)]
        for stage in range(len(space.stages))
    ]
    plain = [
        Architecture.of(space.name, size, of)
        for size in space.resolutions
        for of in itertools.product(*stages)
    ]
    fitting = {
        bits for bits in (2, 4, 8) if any(luts(of_uniform_bits(one, bits)) <= 6000 for one in plain)
    }
    evaluated = {
        bits for bits in (2, 4, 8) if any(one == of_uniform_bits(one, bits) for one in within)
    }
    assert evaluated == fitting and len(fitting) > 1


def test_with_other_goals_nothing_is_held_against_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = searched(tmp_path, monkeypatch, objectives=("accuracy", "luts"))
    assert list(context.source.unevaluated()) == context.winners()


def test_networks_of_one_number_of_bits_are_evaluated_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = searched(tmp_path, monkeypatch)
    planned = to_evaluate(context)
    assert len(planned) == context.config.evaluate
    for bits in (8, 4, 2):
        assert of_uniform_bits(context.space.largest(), bits) in planned


@pytest.mark.slow
def test_a_trained_search_deploys_nothing_that_is_behind_one_number_of_bits(tmp_path: Path) -> None:
    small = ("--epochs", "2", "--samples", "10", "--evaluate", "16", "--seed", "1")
    limits = ("--constraint", "luts<=6000", "--constraint", "images_per_s>=1000")
    run, space = tmp_path / "run", write_tiny_space(tmp_path)
    which = ("--target", write_target(tmp_path), "--space", space, "--out", str(run))
    ended = edgenas("search", *which, *limits, *small)
    assert ended.returncode == 0, ended.stderr
    with open_run(run, {}, Silent(), resume=True, create=False) as context:
        pipeline, space_of = context.pipeline, context.space
        assert pipeline is not None
        within = {
            one.architecture: one.answers
            for one in context.evaluations()
            if pipeline.estimate(space_of.layers(one.architecture)).luts <= 6000
        }
        best = context.best()
        assert best is not None
        assert {one.architecture for one in context.evaluations()} >= set(context.winners())
        uniform = [one for one in within for bits in (2, 4, 8) if one == of_uniform_bits(one, bits)]
        assert len(uniform) > 1
        assert not any(within[one].measurably_ahead_of(within[best]) for one in uniform)
