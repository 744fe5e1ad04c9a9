"""What fits into the time that a search from ImageNet's weights is given."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from edgenas.core.progress import Silent
from edgenas.core.records import Notes
from edgenas.runs.config import RunConfig
from edgenas.runs.run import RunContext
from edgenas.runs.start import time_plan
from edgenas.runs.start.time_plan import (
    Clock,
    Pace,
    enough,
    fine_tuning_epochs,
    fine_tuning_sentence,
    kept_for_candidates,
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


def test_a_clock_counts_every_step_and_keeps_what_a_board_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time_plan.time, "monotonic", lambda: 1000.0)
    context: Any = Mock(config=RunConfig(time_s=600.0))
    context.notes.return_value = Notes(seconds={"probe": 5.0, "train": 100.0})
    clock = Clock.of(context)
    assert clock is not None
    assert clock.spent_s == 105.0
    assert clock.left_s == 600.0 - 120.0 - 105.0 - 105.0
    context.notes.return_value = Notes(seconds={"train": 400.0, "measure": 40.0, "export": 10.0})
    clock = Clock.of(context)
    assert clock is not None
    assert clock.all_left_s == 600.0 - 75.0 - 450.0  # it is measured
    context.config = RunConfig(time_s=60.0)
    context.notes.return_value = Notes()
    clock = Clock.of(context)
    assert clock is not None
    assert clock.left_s == pytest.approx(60.0 * (1 - 1 / 5 - 1 / 8 - 1 / 20))


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


@pytest.mark.parametrize("factor", [1 / 3, 2.0, 3.0])
@pytest.mark.parametrize("changes_at_s", [60.0, 150.0, 245.0, 300.0, 343.0])
def test_the_learning_rate_falls_to_its_end_whenever_the_machine_changes_its_speed(
    monkeypatch: pytest.MonkeyPatch, factor: float, changes_at_s: float
) -> None:
    now = 30.0
    monkeypatch.setattr(time_plan.time, "monotonic", lambda: now)
    clock, steps_per_epoch = Clock(600.0, 0.0, fine_tuning_s=120.0), 23
    found = plan(0.9, steps_per_epoch, 0.8, 64, clock.left_s)
    pace = Pace(clock, found.training_s / found.epochs, found.evaluating_s)
    epochs, step, share = found.epochs, 0, 1.0
    while step < epochs * steps_per_epoch:
        share = 0.5 * (1 + math.cos(math.pi * step / (epochs * steps_per_epoch)))
        now += 1.1 * 0.9 * (factor if now > changes_at_s else 1.0)
        step += 1
        if step % steps_per_epoch == 0:
            epochs = pace(step // steps_per_epoch)
    assert share < 0.1  # of the first learning rate


def test_time_is_kept_for_candidates_only_if_two_epochs_of_them_fit() -> None:
    clock = Clock(600.0, 0.0, fine_tuning_s=120.0)
    kept, said = kept_for_candidates(clock, 3, 20.0, 11)
    assert kept == clock
    assert said == ", then candidates trained alone (2.0 min)"
    kept, said = kept_for_candidates(clock, 3, 20.1, 11)
    assert kept.fine_tuning_s == 0.0
    assert kept.left_s - clock.left_s == pytest.approx(120.0, abs=1.0)  # the supernet has it
    assert "no time kept for candidates alone (2 epochs of 3 candidates take 2.0 min" in said


def test_no_time_is_kept_for_candidates_of_a_supernet_that_is_trained_for_long() -> None:
    clock = Clock(600.0, 0.0, fine_tuning_s=120.0)
    kept, said = kept_for_candidates(clock, 3, 20.0, 12)
    assert kept.fine_tuning_s == 0.0
    assert "no time kept for candidates alone (after 12 epochs" in said


def test_what_was_planned_for_candidates_holds_for_the_steps_after(tmp_path: Path) -> None:
    context: Any = Mock(config=RunConfig(time_s=600.0))
    context.notes.return_value = Notes()
    clock = Clock.of(context)
    assert clock is not None
    assert clock.fine_tuning_s == 120.0
    context.notes.return_value = Notes(candidates_s=0.0)
    clock = Clock.of(context)
    assert clock is not None
    assert clock.fine_tuning_s == 0.0
    kept = learnt(tmp_path)
    kept.write(replace(kept.notes(), candidates_s=0.0))
    kept.note("train", 1.0, [])
    assert RunContext(kept.folder, kept.config, Silent()).notes().candidates_s == 0.0


def test_candidates_get_all_that_is_left_though_nothing_was_kept_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time_plan.time, "monotonic", lambda: 500.0)
    assert fine_tuning_epochs(Clock(600.0, 0.0), 3, 30.0) == 1


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
