"""Responses with values that may not be measured ones are fitted, and warned of."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core.errors import PredictorError
from edgenas.predictors.tables.doubts import contradictions, stand_ins
from edgenas.predictors.tables.rows import choose_rows


@pytest.fixture
def table() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    depth, width = rng.integers(1, 5, 40).astype(float), rng.uniform(8, 64, 40)
    return {"depth": depth, "width": width, "ms": 0.3 * depth * width**0.8}


@pytest.mark.parametrize("value", [9999.0, 999.0, 1e6])
def test_numbers_that_stand_for_no_value_are_warned_of(
    table: dict[str, np.ndarray], value: float
) -> None:
    table["ms"][[4, 9]] = value
    (warning,) = choose_rows(table, "ms").warnings
    assert warning.startswith(f"2 rows have ms = {value:g}, far from all others (first: row 5)")


def test_minus_one_is_no_latency_and_no_score(table: dict[str, np.ndarray]) -> None:
    score = 50 + table["ms"]
    score[[2, 6]] = table["ms"][[2, 6]] = -1
    (warning,) = choose_rows({**table, "ms": score}, "ms", cost=False).warnings
    assert "2 rows have ms = -1" in warning
    with pytest.raises(PredictorError, match=r"Row 3 has ms = -1.* nor can that of 1 more row"):
        choose_rows(table, "ms")


def test_measured_extremes_are_no_stand_ins(table: dict[str, np.ndarray]) -> None:
    table["ms"][4] = 6.3 * table["ms"].max()
    assert stand_ins("ms", table["ms"]) == ""  # once, and no word for none
    assert stand_ins("gain", table["width"] - 30) == ""  # negative and positive ones
    assert stand_ins("ms", np.array([1.0, 9999.0, 9999.0])) == ""  # too few to tell


def test_an_infinite_feature_is_named_with_row_and_remedy(table: dict[str, np.ndarray]) -> None:
    table["width"][7] = np.inf
    with pytest.raises(PredictorError, match="Row 8 has width = inf") as refused:
        choose_rows(table, "ms")
    assert "--exclude 'width'" in refused.value.hint


def test_equal_rows_with_a_response_far_apart_are_warned_of(table: dict[str, np.ndarray]) -> None:
    twice = {name: np.tile(values, 2) for name, values in table.items()}
    twice["ms"][40:] *= 1.8
    warnings = choose_rows(twice, "ms").warnings
    assert any("40 of 40 networks with several rows have ms up to 1.8 times" in x for x in warnings)
    twice["ms"][40:] = table["ms"] * 1.05
    assert contradictions("ms", twice["ms"], np.tile(np.arange(40), 2)) == ""


def test_a_response_of_text_is_quoted() -> None:
    columns = {"a": np.arange(3.0), "ms": np.array(["~1.5", "~2", "<1"])}
    with pytest.raises(PredictorError, match=r"row 1 has '~1.5'"):
        choose_rows(columns, "ms")
