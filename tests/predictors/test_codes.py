"""Categories whose names say what they are: numbers and flags are read where rows say so."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.predictors.tables import coded_categories
from edgenas.predictors.tables.regression import TableRegression


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["k3_e3", "k3_e6", "k5_e3", "skip"], {"#k", "#e"}),
        (
            ["mb_3x3_e3", "mb_5x5_e3_se", "mb_3x3_e6", "mb_7x7_e1"],
            {"#x", "#e", "se"},
        ),
        (["conv3x3", "conv1x1", "pool3x3", "skip"], {"#conv", "#pool"}),
        (["none", "skip", "conv", "pool"], set()),
        (["k3", "k5"], set()),
    ],
)
def test_names_are_read_as_numbers_and_flags(texts: list[str], names: set[str]) -> None:
    assert set(coded_categories.attributes(texts)) == names


def _made(rng: np.random.Generator, n: int, meaning: bool) -> dict[str, np.ndarray]:
    found, time = {}, np.full(n, 5.0)
    sizes = [(k, e) for k in (3, 5, 7, 9) for e in (1, 2, 3, 4, 6)]
    names = [f"k{k}_e{e}" for k, e in sizes]
    own = np.random.default_rng(0).uniform(0.5, 4, (12, len(names)))
    work = np.array([e * (0.2 + 0.01 * k * k) for k, e in sizes])
    for layer in range(12):
        picked = rng.integers(0, len(names), n)
        found[f"layer{layer}"] = np.array(names)[picked]
        time = time + (work[picked] * 1.1**layer if meaning else own[layer, picked])
    return {**found, "latency_ms": time + rng.normal(0, 0.05, n)}


def test_codes_with_meaning_take_few_rows() -> None:
    fitted = TableRegression().fit(_made(np.random.default_rng(1), 40, True), "latency_ms")
    unseen = _made(np.random.default_rng(2), 300, True)
    error = fitted.predict(unseen) - unseen["latency_ms"]
    assert np.sqrt(np.mean(error**2)) < 0.3 * unseen["latency_ms"].std()
    assert any("what their names say" in note for note in fitted.report()["notes"])


def test_codes_without_meaning_are_names() -> None:
    fitted = TableRegression().fit(_made(np.random.default_rng(1), 150, False), "latency_ms")
    assert not any("what their names say" in note for note in fitted.report()["notes"])
