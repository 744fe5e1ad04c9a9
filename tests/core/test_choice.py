"""Which of several verified networks is deployed: as noise lets it tell, then by worth."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from edgenas.core.records import (
    Answers,
    Baseline,
    Energy,
    ExportedModel,
    Interval,
    Verification,
    VerifiedModel,
    from_json,
    to_json,
)
from edgenas.core.records.choice import reason
from edgenas.core.records.weighing import expected_accuracies
from helpers.answers import answers, network


def verification(*models: VerifiedModel, **options: str) -> Verification:
    return Verification("local", None, 0.95, 1, models, **options)  # type: ignore[arg-type]


def test_three_of_600_images_do_not_make_a_slower_network_the_winner() -> None:
    # the same images but three: 0.5 points apart, and by the exact binomial test p = 0.25
    accurate, fast = answers(588, 600), answers(585, 600)
    found = verification(network(0, 0.30, val=accurate), network(1, 0.21, val=fast))
    choice = found.choice
    assert choice is not None
    assert choice.winner is found.winner is found.models[1]
    assert (choice.decided_by, choice.alike, choice.passed) == ("latency_ms", 2, 2)
    said = reason(choice)
    assert "97.5% of 600 validation images for it, 98.0% for the best" in said
    assert "has 30.0% less latency" in said
    assert choice.weighed is not None
    assert choice.weighed.saved == pytest.approx(0.3)
    assert -0.005 < choice.weighed.ahead < 0


def test_one_per_cent_of_latency_does_not_outweigh_six_of_105_images() -> None:
    # 81 and 87 right of 105 with 9 and 15 that only one has right: p = 0.31
    flags = np.ones((2, 105), bool)
    flags[0, :18] = flags[0, 20:26] = flags[1, :9] = flags[1, 26:35] = False
    fast, accurate = (Answers.of(one.tolist()) for one in flags)
    assert (fast.right, accurate.right) == (81, 87)
    found = verification(network(0, 0.504, val=fast), network(1, 0.510, val=accurate))
    choice = found.choice
    assert choice is not None
    assert (choice.winner, choice.decided_by, choice.alike) == (found.models[1], "accuracy", 2)
    assert "more accurate than the one of least latency, for 1.2% more latency" in reason(choice)
    # a third of the time is worth more than what six images are expected to be
    found = verification(network(0, 0.340, val=fast), network(1, 0.510, val=accurate))
    assert found.winner is found.models[0]


def test_networks_that_are_as_accurate_are_told_apart_by_their_time() -> None:
    same = answers(588, 600)
    found = verification(network(0, 0.3, val=same), network(1, 0.25, val=same))
    assert found.choice is not None
    assert (found.winner, found.choice.weighed) == (found.models[1], None)
    assert reason(found.choice).endswith(
        "it is the fastest of these, and none is expected to be more accurate."
    )


def test_a_network_that_was_predicted_to_be_better_needs_fewer_images_to_win() -> None:
    fast, accurate = answers(585, 600), answers(587, 600)
    close = network(0, 0.21, val=fast), network(1, 0.215, val=accurate, predicted=0.9)
    assert verification(*close).winner is close[1]
    doubted = network(0, 0.21, val=fast), network(1, 0.215, val=accurate, predicted=0.8)
    assert verification(*doubted).winner is doubted[0]


def test_expected_accuracies_are_posterior_means() -> None:
    """Against the conditional mean of a normal distribution, by linear algebra."""
    # b = 40, c = 20, n = 200 of Agresti & Min: 0.02447 to 0.17355, so one network's variance is
    noise = ((0.17355 - 0.02447) / 2 / 1.959964) ** 2 / 2
    first, second = np.ones(200, bool), np.ones(200, bool)
    second[:40], first[40:60] = False, False
    right = [Answers.of(one.tolist()) for one in (first, second)]
    mean, deviation = np.array([0.80, 0.75]), 0.03
    spans = [Interval(m, m - 1.644854 * deviation, m + 1.644854 * deviation) for m in mean]
    common = 1e4 * np.ones((2, 2))  # all are off together, by any amount
    prior = deviation**2 * np.eye(2) + common
    residuals = np.array([one.accuracy for one in right]) - mean
    wanted = mean + prior @ np.linalg.solve(prior + noise * np.eye(2), residuals)
    found = expected_accuracies(right, spans, 0.9)
    assert found == pytest.approx(wanted, abs=1e-5)
    assert expected_accuracies(right, [spans[0], None], 0.9) == (0.9, 0.8)


def test_a_measurably_better_network_wins_though_it_is_slower() -> None:
    # 12 images that only one has right: by the exact binomial test p = 0.0005
    found = verification(
        network(0, 0.30, val=answers(588, 600)), network(1, 0.21, val=answers(576, 600))
    )
    choice = found.choice
    assert choice is not None
    assert choice.winner is found.models[0]
    assert choice.decided_by == "accuracy"
    assert "measurably the best in accuracy" in reason(choice)


def test_a_network_below_the_baseline_is_passed_over_though_noise_could_explain_it() -> None:
    # 585, 588 and 589 of 600 are not measurably apart; the baseline has 588 of them
    models = [network(index, ms, val=answers(right, 600)) for index, (ms, right) in enumerate(
        [(0.21, 585), (0.30, 588), (0.35, 589)]
    )]  # fmt: skip
    floor = Baseline("linear classifier", answers(500, 600), 96, 96, 9, 9, "ImageNet features")
    held = replace(verification(*models), baseline=floor)
    assert held.winner is models[0]  # nothing is known of the validation images
    held = replace(held, baseline=replace(floor, val_answers=answers(588, 600)))
    assert held.winner is models[1]
    assert held.choice is not None
    assert "3 candidates that passed, 1 got fewer validation images right" in reason(held.choice)
    assert "of the other 2, 2 do not differ" in reason(held.choice)
    held = replace(held, baseline=replace(floor, val_answers=answers(589, 600)))
    assert held.choice is not None
    assert (held.winner, held.choice.decided_by) == (models[2], "accuracy")
    assert "this is the other one" in reason(held.choice)
    held = replace(held, baseline=replace(floor, val_answers=answers(590, 600)))
    assert held.winner is models[0]  # all are below: the verdict says so, see reservations
    assert from_json(json.loads(json.dumps(to_json(held))), Verification, "It").winner == models[0]


def test_images_that_both_miss_do_not_hide_a_difference() -> None:
    # Paired, 12 to 0 is sure; of independent images 90 % and 88 % of 600 would not be.
    paired = answers(540, 600).ahead_of(answers(528, 600))
    assert paired.lower > 0
    counted = Answers.counted(0.90, 600).ahead_of(Answers.counted(0.88, 600))
    assert counted.lower < 0 < counted.upper
    # Newcombe (1998), method 10, of independent fractions gives -0.016 to 0.056
    assert counted.lower == pytest.approx(-0.016, abs=0.002)
    assert counted.upper == pytest.approx(0.056, abs=0.002)


def test_a_paired_interval_is_that_of_agresti_and_min() -> None:
    # their adjusted Wald interval of b = 40, c = 20, n = 200: (40.5 - 20.5) / 202 -+ 1.96 se
    first, second = np.ones(200, bool), np.ones(200, bool)
    second[:40], first[40:60] = False, False
    found = Answers.of(first.tolist()).ahead_of(Answers.of(second.tolist()))
    assert found.mean == pytest.approx(0.1)
    assert (found.lower, found.upper) == pytest.approx((0.02447, 0.17355), abs=1e-5)


def test_of_networks_alike_in_accuracy_and_latency_the_best_measured_wins() -> None:
    same = answers(588, 600)
    found = verification(
        network(0, 0.210, val=same, rejected=True, width=0.02),
        network(1, 0.212, val=same, converged=False, width=0.02),
        network(2, 0.214, val=same, width=0.02),
        network(3, 0.300, val=same),
    )
    choice = found.choice
    assert choice is not None
    assert choice.winner is found.models[2]
    assert choice.decided_by == "quality"
    assert "best measured" in reason(choice)


def test_what_failed_is_never_chosen() -> None:
    same = answers(588, 600)
    found = verification(network(0, 0.3, val=same), network(1, 0.2, val=same, passed=False))
    assert found.winner is found.models[0]
    assert found.choice is not None
    assert reason(found.choice) == "It is the only candidate that passed."
    assert verification(network(1, 0.2, val=same, passed=False)).winner is None


def test_without_images_the_greatest_predicted_accuracy_decides() -> None:
    found = verification(
        network(0, 0.3, val=None, predicted=0.92), network(1, 0.2, val=None, predicted=0.91)
    )
    assert found.winner is found.models[0]


def test_another_objective_decides_first_as_far_as_its_noise_lets_it() -> None:
    def energy(mj: float) -> Energy:
        return Energy(mj, (mj - 0.05, mj + 0.05), 2000, 1000, "ina", 1.0, 100)

    found = verification(
        network(0, 0.30, val=answers(588, 600), energy=energy(1.02)),
        network(1, 0.28, val=answers(570, 600), energy=energy(1.00)),
        network(2, 0.20, val=answers(588, 600), energy=energy(1.40)),
        objective="energy_mj",
        goal="min",
    )
    choice = found.choice
    assert choice is not None
    assert choice.winner is found.models[0]  # as little energy, and measurably more accurate
    assert (choice.decided_by, choice.alike) == ("accuracy", 2)
    latency = replace(found, objective="latency_ms")
    assert latency.winner is found.models[2]


def test_answers_survive_json_and_refuse_bits_that_do_not_fit() -> None:
    some = answers(5, 11, wrong_from=2)
    assert from_json(to_json(some), Answers, "Answers") == some
    assert len(answers(590, 600).images) == 100  # 75 bytes
    with pytest.raises(ValueError, match="bits"):
        Answers(4, 11, some.images)
    with pytest.raises(ValueError, match="base64"):
        Answers(4, 11, "?")


def test_models_of_before_images_were_kept_are_compared_by_their_counts() -> None:
    model = network(0, 0.3, val=answers(588, 600)).model
    old = {k: v for k, v in to_json(model).items() if k != "val_answers"}
    assert from_json(old, ExportedModel, "A model").answers == Answers(588, 600)
