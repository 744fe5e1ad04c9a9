"""What a table predictor says of itself: derived columns, shares, curves, and rows broken down."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgenas.core.errors import PredictorError
from edgenas.predictors.tables import derived_columns, effects, waterfall
from edgenas.predictors.tables.effects import explanation
from edgenas.predictors.tables.regression import TableRegression, load
from edgenas.reporting.plots import of_tables
from edgenas.reporting.plots.plot import INK, MUTED, PAPER

Columns = dict[str, np.ndarray]


def _networks(rng: np.random.Generator, n: int, multiplied: bool) -> Columns:
    """Energy of width and layers; parameters follow from them, idle does nothing."""
    found = {"width": 16.0 * rng.integers(2, 12, n), "layers": rng.integers(2, 13, n).astype(float)}
    found["parameters"] = 4 * found["layers"] * found["width"] ** 2
    found["idle"] = rng.uniform(0, 1, n)
    found["engine"] = rng.choice(["fast", "slow", "slow"], n)
    slow = np.where(found["engine"] == "slow", 2.0, 1.0)
    if multiplied:
        energy = 0.01 * found["width"] ** 0.5 * found["layers"] * slow
        return {**found, "energy_mj": energy * rng.lognormal(0, 0.02, n)}
    energy = 100 + found["width"] / 4 + 2 * found["layers"] + 5 * slow
    return {**found, "energy_mj": energy + rng.normal(0, 0.1, n)}


@pytest.fixture(scope="module", params=[True, False], ids=["multiplied", "added"])
def fitted(request: pytest.FixtureRequest) -> TableRegression:
    rows = _networks(np.random.default_rng(1), 60, request.param)
    made = TableRegression().fit(rows, "energy_mj")
    assert made.fitted.logarithm == request.param
    return load(json.loads(json.dumps(made.to_json())))


def test_an_effect_takes_the_columns_it_decides_along(fitted: TableRegression) -> None:
    report = explanation(fitted, 0.95)
    effects = {effect["change"]: effect for effect in report["effects"]}
    assert not any(change.startswith("parameters:") for change in effects)
    (width,) = [x for change, x in effects.items() if change.startswith("width:")]
    assert any(change.endswith("(parameters following)") for change in effects)
    truth = 100 * ((176 / 32) ** 0.5 - 1) if fitted.fitted.logarithm else 36.0
    assert width["effect"] == pytest.approx(truth, rel=0.1)
    assert "engine: fast instead of slow" in effects  # the commonest is what others are instead of
    assert any("'parameters' is" in note and "width^2" in note for note in report["notes"])


def test_shares_add_up_and_idle_columns_have_none(fitted: TableRegression) -> None:
    report = explanation(fitted, 0.95)
    shares = {tuple(one["columns"]): one for one in report["importance"]}
    assert sum(one["share"] for one in shares.values()) == pytest.approx(1)
    assert all(one["lower"] <= one["share"] <= one["upper"] for one in shares.values())
    assert abs(shares[("idle",)]["share"]) < 0.01
    curve = next(one for one in report["curves"] if one["column"] == "width")
    assert curve["x"][0] == 32 and curve["x"][-1] == 176
    assert curve["effect"][0] == 0 and curve["effect"] == sorted(curve["effect"])
    assert all(low <= high for low, high in zip(curve["lower"], curve["upper"], strict=True))


def test_what_two_columns_do_together_is_a_map_of_their_values() -> None:
    rng = np.random.default_rng(6)
    rows = {"width": 8.0 * rng.integers(1, 9, 300), "layers": rng.integers(1, 9, 300) * 1.0}
    rows["op"] = np.array(["conv", "pool"])[rng.integers(0, 2, 300)]
    sign = np.where(rows["op"] == "conv", 0.5, -0.5)
    beyond = 0.4 * (rows["width"] - rows["width"].mean()) * sign
    rows["score"] = 50 + rows["width"] + rows["layers"] + beyond + rng.normal(0, 0.05, 300)
    fitted = TableRegression().fit(rows, "score")
    report = explanation(fitted, 0.95)
    first = report["together"][0]
    assert sorted(first["columns"]) == ["op", "width"]
    at = first["columns"].index("op")
    effect, lower, upper = (np.array(first[x]) for x in ("effect", "lower", "upper"))
    values = np.array(first["values"][1 - at])
    conv, pool = (effect.take(first["values"][at].index(x), axis=at) for x in ("conv", "pool"))
    np.testing.assert_allclose(np.diff(conv - pool), 0.4 * np.diff(values), rtol=0.03)
    assert conv[0] < 0 < conv[-1] and pool[-1] < 0 < pool[0]  # beyond what each does in the mean
    assert (lower <= effect).all() and (effect <= upper).all()
    told = fitted.report()
    assert told["together"] == report["together"] and told["curves"] == report["curves"]
    drawn = of_tables.together(first, "score", "units").svg()
    assert 1 < np.abs(effect).max() < 10  # so that its second digit is the first after the point
    assert all(f">{x:+.1f}<" in drawn for x in effect.ravel() if abs(x) > 0.1)


def test_only_cells_whose_interval_has_no_0_stand_out() -> None:
    effect = [[0.0041, -0.0041], [-0.000012, 0.0039]]
    pair = {
        "columns": ["input", "blocks"],
        "values": [[12.0, 16.0], [1.0, 3.0]],
        "effect": effect,
        "lower": [[0.003, -0.005], [-0.001, -0.001]],
        "upper": [[0.005, -0.003], [0.001, 0.009]],
    }
    specification = of_tables.together(pair, "latency", "ms").specification
    (cells,) = specification["datasets"].values()
    assert [cell["text"] for cell in cells] == ["+0.0041", "-0.0041", "0", "+0.0039"]
    blue = [int(cell["shade"][5:], 16) for cell in cells]  # what orange has none of, and paper all
    assert blue[0] == 0 and blue[3] > 180
    assert cells[0]["ink"] == INK and cells[1]["ink"] == PAPER
    assert cells[2]["ink"] == cells[3]["ink"] == MUTED


def test_parts_of_a_row_make_its_prediction(fitted: TableRegression) -> None:
    rows = _networks(np.random.default_rng(2), 5, fitted.fitted.logarithm)
    for row in range(5):
        told = waterfall.waterfall(fitted, rows, row)
        parts = [told["start"], *(part["adds"] for part in told["parts"])]
        whole = np.prod(parts) if told["multiplied"] else np.sum(parts)
        assert whole == pytest.approx(told["prediction"])
        assert told["prediction"] == pytest.approx(fitted.predict(rows)[row])
    two = waterfall.comparison(fitted, rows, (1, 3))
    assert (two["start"], two["prediction"]) == pytest.approx(fitted.predict(rows)[[1, 3]])
    with pytest.raises(PredictorError, match="no row 6"):
        waterfall.waterfall(fitted, rows, 5)


def test_what_others_decide_is_found_as_sum_and_as_product() -> None:
    rng = np.random.default_rng(3)
    columns = {"a": rng.integers(1, 9, 50) * 1.0, "b": rng.integers(1, 9, 50) * 1.0}
    columns |= {"total": 2 * columns["a"] + columns["b"], "area": columns["a"] ** 2 * columns["b"]}
    columns["free"] = rng.normal(size=50)
    found = {one.column: one for one in derived_columns.find(columns, tuple(columns))}
    assert set(found) == {"total", "area"}
    assert found["area"].kind == "product" and found["total"].kind == "sum"
    assert dict(zip(found["area"].causes, found["area"].weights, strict=True)) == pytest.approx(
        {"a": 2, "b": 1}
    )
    for one in found.values():
        assert one.of(columns) == pytest.approx(columns[one.column])
    assert derived_columns.find({x: columns[x] for x in ("a", "b", "free")}, ("a", "b")) == ()


FORMULA = "area = a * b + 40 * sqrt(b)"


def _sizes() -> Columns:
    rng = np.random.default_rng(8)
    rows = {"a": rng.integers(1, 9, 60) * 1.0, "b": rng.integers(1, 9, 60) * 1.0}
    rows["area"] = rows["a"] * rows["b"] + 40 * np.sqrt(rows["b"])
    rows["score"] = 30 * rows["a"] + rows["b"] + 0.1 * rows["area"] + rng.normal(0, 0.1, 60)
    return rows


@pytest.mark.parametrize("later", [False, True], ids=["in the fit", "in the explanation"])
def test_a_column_follows_the_formula_that_is_given(later: bool) -> None:
    rows = _sizes()
    fitted = TableRegression("main").fit(
        rows, "score", keep=["area"], derived=[] if later else [FORMULA]
    )
    fitted = load(json.loads(json.dumps(fitted.to_json())))
    if later:
        assert explanation(fitted, 0.95)["derived"] != [FORMULA]
        fitted = effects.with_derived(fitted, rows, [FORMULA])
    report = explanation(fitted, 0.95)
    (told,) = report["derived"]
    assert (told["kind"], told["causes"], told["r2"]) == ("formula", ("a", "b"), 1.0)
    changes = {one["change"]: one["effect"] for one in report["effects"]}
    assert len(changes) == 2
    b, a = np.array([1.0, 8.0]), np.full(2, 4.5)
    ends = fitted.predict({"a": a, "b": b, "area": a * b + 40 * np.sqrt(b)})
    assert changes["b: 8 instead of 1 (area following)"] == pytest.approx(ends[1] - ends[0])
    assert "'area' is a * b + 40 * sqrt(b)" in " ".join(report["notes"])


def test_a_formula_is_scaled_to_its_column() -> None:
    rows = _sizes()
    (known,) = derived_columns.given(rows, tuple(rows), ["area = 3 * (a * b / 40 + sqrt(b)) - 1"])
    assert known.of(rows) == pytest.approx(rows["area"])
    assert known.weights == pytest.approx((40 / 3,)) and known.constant == pytest.approx(40 / 3)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("area", "does not say what a column is made of"),
        ("area = ", "does not say what a column is made of"),
        ("area = a *", "cannot be read"),
        ("area = depth * b", "no column 'depth'"),
        ("area = engine", "'engine', which is no column of numbers"),
        ("area = C(a)", "category, which is no column"),
        ("width = a * b", "no column 'width'"),
        ("area = a", "gives back .* of how it varies"),
        ("area = 12", "has no column"),
        ("area = log(a - 1)", "no finite number in every row"),
        ("area = area * 1", "derived itself"),
        ("area = __import__('os')", "not allowed|calls what is none of"),
    ],
)
def test_a_formula_that_says_nothing_true_is_refused(said: str, why: str) -> None:
    rows = {**_sizes(), "engine": np.array(["fast", "slow"] * 30)}
    with pytest.raises(PredictorError, match=why):
        TableRegression("main").fit(rows, "score", derived=[said])
