"""What became of each class: the worst ones in words and JSON, and the confusion matrix drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.metrics import confusion_matrix, recall_score

from edgenas.core.records import ClassResult, Confusion, from_json, to_json
from edgenas.reporting.pages.report import render
from edgenas.reporting.plots.of_classes import confusion
from edgenas.reporting.words.verdict import verdict
from helpers.reporting_sample import sample

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 5, 300)
ANSWERS = np.where(RNG.random(300) < 0.2 * LABELS, RNG.integers(0, 5, 300), LABELS)
NAMES = ("apple", "<milk>", "leek", "pear", "none")


def test_counts_are_those_of_the_confusion_matrix() -> None:
    found = Confusion.of(LABELS, ANSWERS)
    table = np.zeros((5, 5), int)
    for label, answer, count in found.counts:
        table[label, answer] = count
    np.testing.assert_array_equal(table, confusion_matrix(LABELS, ANSWERS))
    worst = found.worst_first(NAMES)
    recalls = recall_score(LABELS, ANSWERS, average=None)
    assert [one.accuracy for one in worst] == sorted(recalls)
    for one in worst:
        row = table[NAMES.index(one.name)].copy()
        assert (one.n_images, one.right) == (row.sum(), row[NAMES.index(one.name)])
        row[NAMES.index(one.name)] = 0
        assert one.taken == row.max()
        assert not one.taken or row[NAMES.index(one.taken_for)] == row.max()
    assert from_json(to_json(found), Confusion, "x") == found


def test_a_class_that_is_never_mistaken_is_taken_for_none() -> None:
    found = Confusion.of([0, 0, 2, 2], [0, 0, 0, 2])
    assert found.worst_first(NAMES) == (
        ClassResult("leek", 2, 1, "apple", 1),
        ClassResult("apple", 2, 2),
    )


def test_the_worst_class_stands_in_the_terminal_and_on_the_page_with_the_matrix() -> None:
    data = sample()
    assert data.winner is not None
    found = Confusion.of(LABELS, ANSWERS)
    data = replace(
        data,
        data=replace(data.data, class_names=NAMES),
        winner=replace(data.winner, confusion=found),
    )
    worst = found.worst_first(NAMES)[0]
    (fact,) = (one for one in verdict(data).facts if one.label.startswith("Worst class"))
    assert fact.label == f"Worst class: {worst.name}"
    assert str(worst) in fact.note
    page = render(data)
    assert "Which classes are right, the worst first" in page
    assert "&lt;milk&gt;" in page
    assert "<milk>" not in page
    assert 'id="confusion-' in page or "taken for" in page
    assert "Which classes are right" not in render(sample())


def test_of_many_classes_the_least_accurate_are_drawn() -> None:
    labels = np.repeat(np.arange(100), 4)
    answers = np.where(labels < 40, (labels + 1) % 40, labels)
    names = tuple(f"class {number}" for number in range(100))
    plot = confusion(Confusion.of(labels, answers), names)
    (records,) = plot.specification["datasets"].values()
    drawn = {one["true"] for one in records}
    assert len(drawn) <= 30
    assert drawn <= set(names[:40])
    assert plot.png().startswith(b"\x89PNG")
