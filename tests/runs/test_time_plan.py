"""What fits into the time that a search from ImageNet's weights is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgenas.core.progress import Silent
from edgenas.runs.run import RunContext
from edgenas.runs.start import time_plan
from edgenas.runs.start.time_plan import (
    Clock,
    Pace,
    enough,
    fine_tuning_epochs,
    fine_tuning_sentence,
    plan,
)
from helpers.learnt_run import learnt


@pytest.mark.parametrize("left_s", [300.0, 600.0, 3600.0])
@pytest.mark.parametrize("step_s", [0.3, 2.0])
@pytest.mark.parametrize("evaluation_s", [0.5, 5.0])
def test_a_plan_keeps_the_time_and_uses_it(
    left_s: float, step_s: float, evaluation_s: float
) -> None:
    found = plan(step_s, 22, evaluation_s, 64, left_s)
    total_s = found.training_s + found.evaluating_s
    assert found.epochs >= 1
    assert 16 <= found.evaluate <= 64
    assert total_s <= left_s
    if found.epochs < 40:  # the most that training is given
        assert total_s + 22 * step_s * 1.1 > 0.95 * left_s


def test_too_little_time_still_trains_and_evaluates_a_little() -> None:
    found = plan(2.0, 22, 5.0, 64, 10.0)
    assert (found.epochs, found.evaluate) == (1, 16)
    assert found.training_s + found.evaluating_s > 10.0


def test_no_more_subnets_are_evaluated_than_asked() -> None:
    assert plan(0.1, 10, 0.1, 12, 600.0).evaluate == 12


@pytest.mark.parametrize("slower", [0.5, 1.0, 1.6, 3.0])
def test_the_time_is_kept_on_a_machine_that_turns_out_slower_or_faster(
    monkeypatch: pytest.MonkeyPatch, slower: float
) -> None:
    now = 0.0
    monkeypatch.setattr(time_plan.time, "monotonic", lambda: now)
    clock, time_s = Clock(600.0, 0.0, fine_tuning_s=120.0), 600.0
    now = 30.0  # a classifier was fitted
    found = plan(1.0, 22, 2.0, 64, clock.left_s)
    pace, epochs, done = Pace(clock, found.training_s / found.epochs, found.evaluating_s), 99, 0
    while done < epochs:
        now += slower * 22 * 1.1
        done += 1
        epochs = pace(done)
    started, subnets = now, 0
    while subnets < 64:
        now += slower * 2.0
        subnets += 1
        if enough(clock, subnets, now - started):
            break
    assert subnets >= 16
    tuned = fine_tuning_epochs(clock, 3, slower * 8.0)
    now += 3 * tuned * slower * 8.0
    assert now <= 1.15 * time_s
    assert now >= 0.85 * time_s or (done == 40 and subnets == 64) or tuned == 20


def test_without_time_left_no_candidate_is_trained_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_plan.time, "monotonic", lambda: 610.0)
    assert fine_tuning_epochs(Clock(600.0, 0.0, fine_tuning_s=120.0), 2, 5.0) == 0


def test_time_that_is_left_but_too_short_for_an_epoch_is_not_called_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time_plan.time, "monotonic", lambda: 505.0)
    clock = Clock(600.0, 0.0, fine_tuning_s=120.0)
    epochs = fine_tuning_epochs(clock, 3, 60.0)
    assert epochs == 0
    said = fine_tuning_sentence(clock, 3, 60.0, epochs)
    assert "95 s are left" in said
    assert "an epoch of 3 candidates takes 180 s" in said
    assert "no time" not in said.lower()
    assert fine_tuning_epochs(clock, 3, 30.0) == 1


def test_a_run_that_goes_by_no_time_evaluates_all() -> None:
    assert not enough(None, 63, 1e9)


def test_what_was_planned_and_what_it_took_stays_with_the_run(tmp_path: Path) -> None:
    context = learnt(tmp_path)
    context.say_plan("Plan for 10.0 min: 9 epochs.")
    context.note("train", 1.0, [])
    again = RunContext(context.folder, context.config, Silent())
    again.say_plan("Training of 8 epochs took 6.0 of 10.0 min.")
    again.note("evaluate", 1.0, [])
    said = ("Plan for 10.0 min: 9 epochs.", "Training of 8 epochs took 6.0 of 10.0 min.")
    assert context.notes().plan == said
