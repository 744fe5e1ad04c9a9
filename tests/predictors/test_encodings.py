"""The same choices, written as text, 0/1 columns, codes or one string, are the same table."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas
import pytest

from edgenas.core.errors import InputError
from edgenas.core.records import from_json
from edgenas.core.tables.columns import as_columns
from edgenas.predictors.tables import encodings, regression
from edgenas.predictors.tables.regression import TableRegression

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3")
COST = np.array([0.0, 0.1, 2.0, 5.0, 1.0])


def cells(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Operations [n, 6] by number, and a latency that they add up to."""
    rng = np.random.default_rng(4)
    picked = rng.integers(0, 5, (n, 6))
    return picked, 10 + COST[picked].sum(axis=1) + rng.normal(0, 0.2, n)


def named(picked: np.ndarray) -> dict[str, np.ndarray]:
    return {f"op_{edge}": np.array(OPS)[picked[:, i]] for i, edge in enumerate(EDGES)}


def marked(picked: np.ndarray) -> dict[str, np.ndarray]:
    """As pandas writes categories in columns of 0 and 1."""
    ops = {k: pandas.Categorical(v, OPS) for k, v in named(picked).items()}
    return as_columns(pandas.get_dummies(pandas.DataFrame(ops)))


def written(picked: np.ndarray) -> dict[str, np.ndarray]:
    """As NAS-Bench-201 writes a cell."""
    o = np.array(OPS)[picked].T
    texts = [
        f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|" for a, b, c, d, e, f in zip(*o, strict=True)
    ]
    return {"arch": np.array(texts)}


def coded(picked: np.ndarray) -> dict[str, np.ndarray]:
    return {f"op_{edge}": picked[:, i].astype(float) for i, edge in enumerate(EDGES)}


def test_numbers_in_names_of_categories_are_no_sizes():
    """Columns x0 to x29, as arrays become tables: that x3 costs more than x4 is for rows to say."""
    picked, latency = cells(300)
    flags = (picked[:, :, None] == np.arange(5)).reshape(300, 30).astype(float)
    columns = {f"x{i}": flag for i, flag in enumerate(flags.T)}
    train = {name: flag[:100] for name, flag in columns.items()}
    fitted = TableRegression().fit({**train, "latency_ms": latency[:100]}, "latency_ms")
    means = fitted.predict({name: flag[100:] for name, flag in columns.items()})
    assert np.sqrt(np.mean((means - latency[100:]) ** 2)) < 0.3  # of which 0.2 is noise


@pytest.mark.parametrize("write", [marked, written, coded])
def test_predictions_are_those_of_the_choices_by_name(write):
    picked, latency = cells()
    others = np.array(list(itertools.product(range(5), repeat=6)))[::31]
    reference = TableRegression().fit({**named(picked), "latency_ms": latency}, "latency_ms")
    fitted = TableRegression().fit({**write(picked), "latency_ms": latency}, "latency_ms")
    again = regression.load(json.loads(json.dumps(fitted.to_json())))
    means = again.predict(write(others))
    np.testing.assert_allclose(means, reference.predict(named(others)), rtol=1e-4)
    np.testing.assert_allclose(means, again.get_prediction(write(others)).mean, rtol=1e-9)
    assert fitted.report()["notes"]
    assert (again.outside(write(others)) == reference.outside(named(others))).mean() > 0.98


def test_a_group_of_marks_takes_in_categories_that_no_row_has():
    rows = {"b_x": [1, 0, 0, 1], "b_y": [0, 1, 0, 0], "b_z": [0, 0, 1, 0], "b_w": [0, 0, 0, 0]}
    rows |= {"c_p": [0, 0, 0, 0], "c_q": [1, 0, 1, 0], "c_r": [0, 1, 0, 1], "n": [1, 0, 3, 0]}
    found = encodings.find(as_columns(rows), ())
    assert found.marks == {"b": ("b_x", "b_y", "b_z", "b_w"), "c": ("c_p", "c_q", "c_r")}
    read = found.read(as_columns(rows))
    assert list(read) == ["n", "b", "c"] and read["b"].tolist() == ["x", "y", "z", "x"]
    two = as_columns({**rows, "b_y": [1, 1, 0, 0]})
    assert found.read(two)["b"].tolist() == ["", "y", "z", "x"]


def test_what_is_no_choice_stays_as_it_is():
    rng = np.random.default_rng(0)
    flags = {f"flag_{x}": rng.integers(0, 2, 40).astype(float) for x in "abc"}
    names = np.array([f"net-{i}" for i in range(40)])
    few = np.array([f"a-{i % 4}" for i in range(40)])
    assert encodings.find({**flags, "id": names, "kind": few}, ()) == encodings.PLAIN
    depth = rng.integers(0, 5, (40, 4)).astype(float)
    columns = {f"depth_{i}": depth[:, i] for i in range(4)}
    fitted = TableRegression().fit({**columns, "ms": 3 + depth.sum(axis=1)}, "ms")
    assert not fitted.fitted.codes and not fitted.fitted.categorical


def test_lists_in_one_text_are_columns():
    rng = np.random.default_rng(1)
    kernels, widths = rng.choice([3, 5, 7], (50, 3)), rng.choice([16, 24, 32], (50, 3))
    texts = [str(list(map(int, row))) for row in np.hstack([kernels, widths])]
    response = kernels.sum(axis=1) + 0.1 * widths.sum(axis=1) + rng.normal(0, 0.1, 50)
    fitted = TableRegression().fit({"config": np.array(texts), "y": response}, "y")
    assert np.abs(fitted.predict({"config": np.array(texts)}) - response).max() < 0.5
    pair = {"config": np.array(["[5, 3, 3, 16, 16, 16]", "[3, 3, 3, 16, 16, 16]"])}
    larger, smaller = fitted.matrix(pair)
    effect = fitted.regression.contrast((larger - smaller)[None], 0.99)
    assert effect.lower[0] < 2 < effect.upper[0]


def test_a_file_that_takes_a_part_before_the_first_is_refused() -> None:
    damage = {"marks": {}, "parts": {"op": ["text", -9]}}
    with pytest.raises(InputError, match="'op' is part -9 of a text"):
        from_json(damage, encodings.Encoded, "encoded")
