"""Formulas of predictor files and of --terms: nothing in them is run, and their size is bounded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.core.errors import PredictorError
from edgenas.predictors.tables import formulas, regression

ROWS = {
    "a": np.random.default_rng(0).uniform(1, 9, 40),
    "b b": np.arange(40.0) % 7,
    **{f"x{i}": np.arange(40.0) % (i + 2) for i in range(30)},
    "id": np.arange(40).astype(str),
}


@pytest.mark.parametrize("side", ["open({0!r}, 'w') ~ a", "a + open({0!r}, 'w')"])
def test_a_predictor_file_runs_no_code_on_either_side_of_its_formula(
    tmp_path: Path, side: str
) -> None:
    written = tmp_path / "written"
    fitted = regression.TableRegression("a").fit({**ROWS, "ms": ROWS["a"] * 2 + ROWS["x0"]}, "ms")
    fitted.fitted = replace(fitted.fitted, formula=side.format(str(written)))
    received = regression.load(fitted.to_json())  # sealed anew, as its sender can
    with pytest.raises(PredictorError):
        received.get_prediction(ROWS)
    assert not written.exists()


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("a + I(9**9**9)", "a power that is no column to a number up to 8"),
        ("a + I((9**8)**8)", "a power that is no column to a number up to 8"),
        ("I(a**99)", "a power that is no column to a number up to 8"),
        ("(a + x0 + x1)**99", "a power that is no number from 1 to 8"),
        ("I(a * 1e400)", "a number above 1e[+]12"),
        ("a + " + "-" * 20_000 + "a", "20005 characters is too long"),
        ("a + " + "-" * 1000 + "a", "too deep: 20 brackets or signs"),
        ("(" * 100 + "a" + ")" * 100, "too deep: 20 brackets or signs"),
        (" + ".join(["a"] * 2000), "is too long: 3000 names and signs"),
        (" * ".join(f"x{i}" for i in range(30)), "too many terms: 300"),
        ("(" + " + ".join(f"x{i}" for i in range(30)) + ")**8", "too many terms: 300"),
        ("C(a):id:C(x5)", "columns of 40 rows, which is too many"),
        ("exec(a)", "calls what is none of log"),
        ("Q(a)", "a Q of what is no column"),
        ("log(a, a)", "each of one argument"),
        ("y ~ a", "'~', which is not allowed"),
    ],
)
def test_a_formula_that_is_no_bounded_arithmetic_is_refused(formula: str, said: str) -> None:
    with pytest.raises(PredictorError, match=said):
        formulas.design(formula, ROWS)


def test_arithmetic_of_columns_is_what_it_was() -> None:
    names, matrix = formulas.design('I(a**2) + log(a):Q("b b") + I(-x0 / 2)', ROWS)
    wanted = {
        "I(a ** 2)": ROWS["a"] ** 2,
        'log(a):Q("b b")': np.log(ROWS["a"]) * ROWS["b b"],
        "I(-x0 / 2)": -ROWS["x0"] / 2,
    }
    assert set(names) == set(wanted)
    for name, values in zip(names, matrix.T, strict=True):
        np.testing.assert_allclose(values, wanted[name])


DERIVED = {
    "column": "c",
    "causes": ["a"],
    "kind": "sum",
    "weights": [2.0],
    "constant": 0.0,
    "r2": 1.0,
}


@pytest.mark.parametrize(
    "changed",
    [
        {"factors": ("a",), "kind": "product", "numbers": (0.0, 1.0, 0.0, 1.0)},
        {"factors": ("b", "no"), "kind": "product", "numbers": (0.0, 1.0, 0.0, 1.0), "columns": ()},
        {"kind": "log", "weights": (1.0, 2.0), "numbers": (0.0, 1.0)},
        {"columns": ()},
    ],
)
def test_a_predictor_file_of_terms_that_are_not_whole_is_refused(changed: dict[str, Any]) -> None:
    """A forger seals anew, so the seal tells nothing of these."""
    rows = {"a": ROWS["a"], "b": ROWS["b b"], "ms": ROWS["a"] * 2 + ROWS["b b"]}
    document = regression.TableRegression("main").fit(rows, "ms").to_json()
    atoms = [{**atom, **changed} if i == 0 else atom for i, atom in enumerate(document["atoms"])]
    forged = resealed({**document, "atoms": json.loads(json.dumps(atoms))})
    with pytest.raises(PredictorError):
        regression.load(forged).get_prediction(rows)


def test_a_predictor_file_with_a_category_of_no_column_is_refused() -> None:
    rows = {"a": ROWS["a"], "b": ROWS["b b"], "ms": ROWS["a"] * 2 + ROWS["b b"]}
    document = regression.TableRegression("main").fit(rows, "ms").to_json()
    forged = resealed(
        json.loads(json.dumps({**document, "encoded": {"marks": {"c": []}, "parts": {}}}))
    )
    with pytest.raises(PredictorError, match="made of no column"):
        regression.load(forged)


def test_a_predictor_file_of_a_column_without_categories_is_refused() -> None:
    rows = {"a": ROWS["a"], "b": ROWS["b b"], "ms": ROWS["a"] * 2 + ROWS["b b"]}
    document = regression.TableRegression("main").fit(rows, "ms").to_json()
    forged = resealed(json.loads(json.dumps({**document, "categorical": {"c": []}})))
    with pytest.raises(PredictorError, match="'c' has no categories"):
        regression.load(forged)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"deciles": {"a": [], "b": [1.0]}}, "'a' has no deciles"),
        ({"deciles": {"b": [1.0]}}, "'a' has no deciles"),
        ({"means": [1.0]}, "means are not those of its terms"),
        (
            {"derived": [{**DERIVED, "causes": ["a", "b"]}]},
            "'c' is not made of its causes",
        ),
        ({"derived": [{**DERIVED, "causes": []}]}, "'c' is not made of its causes"),
    ],
)
def test_a_predictor_file_of_a_profile_that_is_not_whole_is_refused(
    changed: dict[str, Any], message: str
) -> None:
    rows = {"a": ROWS["a"], "b": ROWS["b b"], "ms": ROWS["a"] * 2 + ROWS["b b"]}
    document = json.loads(json.dumps(regression.TableRegression("main").fit(rows, "ms").to_json()))
    regression.load(
        resealed({**document, "profile": {**document["profile"], "derived": [DERIVED]}})
    )
    forged = resealed({**document, "profile": {**document["profile"], **changed}})
    with pytest.raises(PredictorError, match=message):
        regression.load(forged)


def resealed(document: dict[str, Any]) -> dict[str, Any]:
    content = {key: value for key, value in document.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return {**content, "sha256": hashlib.sha256(text.encode()).hexdigest()}
