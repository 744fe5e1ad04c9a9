"""What an accuracy stands under: a plain baseline, noise between networks, images seen before."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.core.progress import Silent
from edgenas.core.records import Answers, Baseline, Evaluation, Seen, Verification, alike_networks
from edgenas.data import base, logistic
from edgenas.data.assemble import assemble
from edgenas.data.base import Dataset, Split
from edgenas.data.seen import seen
from edgenas.runs.steps import fit, optimize
from edgenas.runs.verdict.reservations import of_score
from helpers.answers import answers, network
from helpers.learnt_run import learnt


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return base.load("digits", seed=0, progress=Silent())


def drawings(n: int, seed: int) -> Split:
    """Return smooth colour images that are all unlike."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (n, 6, 6, 3), dtype=np.uint8)
    images = [np.asarray(Image.fromarray(one).resize((32, 32))) for one in small]
    return Split(np.stack(images), np.zeros(n, np.int64))


def again(images: np.ndarray, **options: int) -> np.ndarray:
    """Return the images written as JPEG and read again."""
    found = []
    for one in images:
        stream = io.BytesIO()
        Image.fromarray(one).save(stream, "JPEG", **options)
        found.append(np.asarray(Image.open(stream)))
    return np.stack(found)


def test_the_same_and_nearly_the_same_images_are_counted() -> None:
    train, val, test = drawings(80, 0), drawings(20, 1), drawings(30, 2)
    assert seen(train, val, test) == Seen(0, 0, 30, 30)
    images = test.images.copy()
    images[:5], images[5:7] = train.images[:5], val.images[3:5]
    images[7:17] = again(train.images[20:30], quality=80)
    images[17:20] = np.clip(val.images[10:13].astype(int) + 12, 0, 255)
    found = seen(train, val, Split(images, test.labels))
    assert found == Seen(7, 13, 23, 30)
    assert found.share == pytest.approx(20 / 30)
    assert "7 are, pixel by pixel" in found.sentence("drawings")


def test_flat_images_are_alike_only_if_they_are_the_same() -> None:
    flat = np.repeat(np.arange(40, dtype=np.uint8), 256).reshape(40, 16, 16, 1)
    labels = np.zeros(20, np.int64)
    found = seen(Split(flat[:20], labels), Split(flat[:0], labels[:0]), Split(flat[20:], labels))
    assert (found.identical, found.nearly) == (0, 0)


def test_loading_warns_before_anything_is_trained(tmp_path: Path) -> None:
    root, rng = tmp_path, np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 4)):
        for name in ("a", "b"):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    copied = Image.open(root / "train" / "a" / "0.png")
    copied.save(root / "test" / "a" / "another name.bmp")
    progress = Silent()
    dataset = base.load(f"imagefolder:{root}", seed=0, progress=progress)
    assert dataset.card().seen == Seen(1, 0, 8, 9)
    assert any("1 is, pixel by pixel" in text for text in progress.warnings)


def test_the_digits_are_not_said_to_be_seen_before(digits: Dataset) -> None:
    assert digits.seen == Seen(0, 0, 360, 360)


def test_the_baseline_is_as_good_as_that_of_scikit_learn(digits: Dataset) -> None:
    found = logistic.baseline(digits)
    assert found is not None
    # scikit-learn's own example of these digits gets 96 to 97 % by logistic regression
    assert 0.95 < found.answers.accuracy < 0.98
    assert (found.answers.n_images, found.n_fitted, found.image_size) == (360, 1080, 16)
    assert logistic.baseline(replace(digits, synthetic=True)) is None


def test_a_baseline_of_many_large_images_is_of_fewer_and_smaller_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logistic, "MOST_IMAGES", 60)
    part = drawings(200, 0)
    labels = np.arange(200) % 4
    split = Split(part.images, labels)
    dataset = assemble("x", ("a", "b", "c", "d"), split, split, split, seed=0)
    found = logistic.baseline(dataset)
    assert found is not None
    assert (found.image_size, found.n_fitted, found.n_train) == (16, 60, 200)
    assert found.seen == "(at 16 px, fitted to 60 of 200 images)"


def of(baseline: Answers | None, mine: Answers, networks: list[Answers]) -> list[str]:
    winner = replace(network(0, 0.2, val=answers(588, 600)), device_answers=mine)
    held = (
        None if baseline is None else Baseline("logistic regression", baseline, 16, 16, 1080, 1080)
    )
    alike = alike_networks(networks)
    found = Verification("local", None, 0.95, 1, (winner,), baseline=held, networks=alike)
    return list(of_score(found, winner, "accuracy"))


def test_a_network_that_a_plain_baseline_nearly_equals_is_a_reservation() -> None:
    # 4 images of 360 apart, all missed by the baseline alone: p = 0.125
    (said,) = of(answers(347, 360), answers(351, 360), [])
    assert "A logistic regression on the same pixels gets 96.4% of the test images right" in said
    assert "not clearly better" in said
    assert "--epochs" in said
    assert of(answers(330, 360), answers(352, 360), []) == []


def under(mine: Answers, floor: Answers, limit_ms: float | None, **model: str) -> list[str]:
    winner = replace(network(0, 0.2, val=answers(588, 600)), device_answers=mine)
    winner = replace(winner, model=replace(winner.model, **model))
    method = "linear classifier on the frozen ImageNet network"
    held = Baseline(method, floor, 96, 96, 1080, 1080, sees="ImageNet features")
    return list(
        of_score(
            Verification("local", limit_ms, 0.95, 1, (winner,), baseline=held), winner, "accuracy"
        )
    )


def test_a_winner_below_what_was_had_before_training_is_a_reservation_with_the_remedy() -> None:
    (said,) = under(answers(366, 480), answers(379, 480), 0.22)  # it takes 0.2 ms
    assert "gets 79.0% of the test images right, the winner only 76.2%" in said
    assert "a larger --max-latency (now 0.22ms), or more training (--time, --epochs)" in said
    for limit_ms in (None, 1.5):
        (said,) = under(answers(366, 480), answers(379, 480), limit_ms)
        assert "--max-latency" not in said
    assert under(answers(379, 480), answers(379, 480), 1.5) == []


def test_a_winner_that_is_the_linear_classifier_is_said_to_be_it() -> None:
    (said,) = under(answers(379, 480), answers(379, 480), 1.5, weights="linear classifier")
    assert "The winner is the linear classifier on the frozen ImageNet network" in said


def test_networks_that_do_not_differ_beyond_noise_are_a_reservation() -> None:
    alike = [answers(588 - index % 4, 600) for index in range(20)]
    (said,) = of(None, answers(352, 360), alike)
    assert "20 of 20 evaluated networks do not differ in accuracy beyond the noise" in said
    apart = [answers(588 - 20 * index, 600) for index in range(20)]
    assert of(None, answers(352, 360), apart) == []


def test_remembered_test_images_are_a_reservation_from_one_in_a_hundred_on() -> None:
    winner = network(0, 0.2, val=answers(588, 600))
    found = Verification("local", None, 0.95, 1, (winner,), seen=Seen(3, 1, 357, 360))
    (said,) = of_score(found, winner, "accuracy")
    assert "3 are, pixel by pixel" in said
    assert list(of_score(replace(found, seen=Seen(3, 0, 357, 360)), winner, "accuracy")) == []


@pytest.mark.parametrize(("apart", "proposed"), [(1, True), (40, False)])
def test_the_fastest_network_that_is_not_measurably_worse_is_a_candidate_where_all_are_alike(
    tmp_path: Path, apart: int, proposed: bool
) -> None:
    context = learnt(tmp_path)
    sha256 = context.supernet_sha256()
    by_latency = sorted(context.latencies(), key=lambda one: context.latencies()[one][0])
    for rank, one in enumerate(by_latency):  # slower ones get more images right: a few, or many
        right = answers(560 + min(rank, 4) if apart == 1 else 100 + apart * rank, 600)
        share = right.accuracy
        context.store.add_evaluation(Evaluation(one, sha256, share, share, 600, right))
    fit.run(context)
    found = optimize.run(context)
    assert len(found.candidates) == found.top == 2
    fastest = found.candidates[-1].architecture
    assert (fastest == by_latency[0] == found.fastest_alike) is proposed
    assert (found.fastest_alike is None) is not proposed
