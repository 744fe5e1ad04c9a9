"""Slots behind gates: blocks beyond a stage's depth count as nothing where rows say so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgenas.core.errors import PredictorError
from edgenas.predictors.tables import slots
from edgenas.predictors.tables.regression import TableRegression, load

Columns = dict[str, np.ndarray]


def _settings(rng: np.random.Generator, n: int) -> Columns:
    """Two stages of two to four blocks; slots beyond the depth are drawn all the same."""
    found: Columns = {"r": rng.choice([160.0, 192.0, 224.0], n)}
    found |= {f"d{stage}": rng.integers(2, 5, n).astype(float) for stage in range(2)}
    found |= {f"ks{slot}": rng.choice([3.0, 5.0, 7.0], n) for slot in range(8)}
    return found | {f"e{slot}": rng.choice([3.0, 4.0, 6.0], n) for slot in range(8)}


def _measured(rng: np.random.Generator, n: int, gated: bool) -> Columns:
    found = _settings(rng, n)
    time = 5 + found["r"] / 40
    for slot in range(8):
        there = slot % 4 < found[f"d{slot // 4}"] if gated else True
        time = time + there * (0.3 + found[f"e{slot}"] + 0.1 * found[f"ks{slot}"])
    return {**found, "latency_ms": time + rng.normal(0, 0.05, n)}


@pytest.fixture(scope="module")
def fitted() -> TableRegression:
    return TableRegression().fit(_measured(np.random.default_rng(3), 60, True), "latency_ms")


def test_slots_beyond_the_depth_count_as_nothing(fitted: TableRegression) -> None:
    unseen = _measured(np.random.default_rng(4), 400, True)
    error = fitted.predict(unseen) - unseen["latency_ms"]
    assert np.sqrt(np.mean(error**2)) < 0.2  # 1.9 with slots as they are written
    other = {**unseen, "e3": np.where(unseen["d0"] < 4, 9 - unseen["e3"], unseen["e3"])}
    assert np.array_equal(fitted.predict(other), fitted.predict(unseen))
    assert np.array_equal(fitted.outside(other), fitted.outside(unseen))
    assert any("d0, d1" in note for note in fitted.report()["notes"])
    assert {"d0", "d1", "e3", "ks7"} <= set(fitted.columns)


def test_gates_are_kept_in_the_file(fitted: TableRegression) -> None:
    unseen = _settings(np.random.default_rng(5), 50)
    again = load(json.loads(json.dumps(fitted.to_json())))
    assert np.array_equal(again.predict(unseen), fitted.predict(unseen))
    del unseen["d1"]
    with pytest.raises(PredictorError, match="no column 'd1'"):
        again.predict(unseen)


def test_slots_that_always_count_are_left_as_they_are() -> None:
    made = TableRegression().fit(_measured(np.random.default_rng(6), 60, False), "latency_ms")
    assert made.fitted.encoded.gates is None


@pytest.mark.parametrize(
    ("depths", "least"), [((2, 3, 4), (3.0, 4.0)), ((0, 1, 2), (1.0, 2.0))], ids=["blocks", "codes"]
)
def test_which_slots_a_depth_has_follows_from_its_greatest(
    depths: tuple[int, ...], least: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(7)
    columns = {f"s{s}_depth": rng.choice(depths, 40).astype(float) for s in (1, 2)}
    columns |= {f"s{s}_b{b}_k": rng.choice([3.0, 5.0], 40) for s in (1, 2) for b in range(4)}
    found = slots.find(columns, tuple(columns))
    assert found is not None
    assert found.least == {
        f"s{s}_b{2 + i}_k": (f"s{s}_depth", least[i]) for s in (1, 2) for i in range(2)
    }


def test_one_depth_is_the_gate_of_the_slots_that_begin_with_its_word() -> None:
    rng = np.random.default_rng(9)
    columns = {"decoder_layers": rng.permutation(np.tile(np.arange(1.0, 4.0), 20))}
    kinds = ("encoder_ffn", "decoder_ffn")
    columns |= {f"{kind}_{i}": rng.choice([1.0, 2.0, 3.0], 60) for kind in kinds for i in range(3)}
    gates = slots.find(columns, tuple(columns))
    assert gates is not None
    assert gates.least == {f"decoder_ffn_{i}": ("decoder_layers", i + 1.0) for i in (1, 2)}
    there = sum((i < columns["decoder_layers"]) * columns[f"decoder_ffn_{i}"] for i in range(3))
    other = sum(columns[f"encoder_ffn_{i}"] for i in range(3))
    measured = {**columns, "ms": 5 + there + other + rng.normal(0, 0.02, 60)}
    fitted = TableRegression().fit({k: v[:45] for k, v in measured.items()}, "ms")
    unseen = {name: values[45:] for name, values in measured.items()}
    assert np.abs(fitted.predict(unseen) - unseen["ms"]).max() < 0.15


def test_a_depth_of_other_slots_is_no_gate() -> None:
    rng = np.random.default_rng(10)
    columns = {"decoder_layers": rng.integers(1, 5, 60).astype(float)}
    columns |= {f"decoder_ffn_{i}": rng.choice([1.0, 2.0], 60) for i in range(6)}
    columns |= {f"encoder_ffn_{i}": rng.choice([1.0, 2.0], 60) for i in range(4)}
    assert slots.find(columns, tuple(columns)) is None


def test_columns_of_other_numbers_are_no_slots() -> None:
    rng = np.random.default_rng(8)
    columns = {f"x{i}": rng.normal(size=30) for i in range(3)}
    columns |= {f"y{i}": rng.normal(size=30) for i in range(6)}
    assert slots.find(columns, tuple(columns)) is None
