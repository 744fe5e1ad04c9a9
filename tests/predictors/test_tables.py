"""Tables: what is read off their columns, formulas against statsmodels, and bad input."""

from __future__ import annotations

import gzip
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from edgenas.core.errors import PredictorError
from edgenas.predictors.linear import names as vocabulary
from edgenas.predictors.tables import regression
from edgenas.predictors.tables import rows as table_columns
from edgenas.predictors.tables.regression import TableRegression
from helpers.measured_tables import fox_nas

with warnings.catch_warnings():  # statsmodels 0.14 imports what pandas 3 deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    import statsmodels.formula.api as smf

SHARED = Path(__file__).parents[3] / "shared" / "data" / "fox_nas_cpu256" / "fox_nas_cpu256.csv"


def columns(n: int = 60, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(1, 4, (2, n))
    op = rng.choice(["conv", "pool", "none"], n)
    cost = np.select([op == "conv", op == "pool"], [3.0, 1.0], 0.0)
    return {"a": a, "b b": b, "op:1": op, "latency_ms": 5 + a + cost + rng.normal(0, 0.1, n)}


def blocks(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Two places, blocks of expand ratio 2, 3, 4 and kernel 3, 5; their time is their work."""
    rng = np.random.default_rng(seed)
    made = {f"mb_e{e}_k{k}_{s}": np.zeros(n) for s in (24, 40) for e in (2, 3, 4) for k in (3, 5)}
    time = np.full(n, 10.0)
    names = list(made)
    for row in range(n):
        for name in rng.choice(names, rng.integers(1, 5)):
            made[name][row] += 1
            parsed = vocabulary.parse(name)
            time[row] += parsed.attributes[0] * (1 + parsed.attributes[1] ** 2 / 10)
    return {**made, "latency_ms": time + rng.normal(0, 0.05, n)}


def test_names_are_taken_apart():
    name = vocabulary.parse("se_e4_k5_112_I")
    assert (name.place, name.labels, name.attributes) == (112, ("e", "k"), (4, 5))
    assert name.role == vocabulary.parse("mbcv_e2_k3_24_I").role
    assert name.role != vocabulary.parse("se_e4_k5_112").role
    assert vocabulary.parse("tot_e_16_24").attributes == ()
    assert vocabulary.parse("stage2.conv1x1_mmac").place == 2
    assert vocabulary.parse("resolution").place is None


def test_few_rows_of_block_counts_are_enough_when_time_is_work():
    fitted = TableRegression().fit(blocks(25), "latency_ms")
    unseen = blocks(300, seed=1)
    error = fitted.predict(unseen) - unseen["latency_ms"]
    assert np.sqrt(np.mean(error**2)) < 0.5 < unseen["latency_ms"].std() / 10


def test_larger_blocks_are_never_faster():
    data = blocks(12, seed=3)
    data["latency_ms"] = 20 - data["latency_ms"] / 10
    fitted = TableRegression("main").fit(data, "latency_ms").regression
    cost = dict(zip(fitted.terms, fitted.params[1:], strict=True))
    for place in (24, 40):
        assert cost[f"mb_e2_k3_{place}"] >= -1e-6
        assert cost[f"mb_e4_k5_{place}"] >= cost[f"mb_e2_k5_{place}"] - 1e-6


def test_categories_and_columns_with_odd_names():
    fitted = TableRegression().fit(columns(), "latency_ms")
    unseen = columns(400, seed=1)
    error = fitted.predict(unseen) - unseen["latency_ms"]
    assert np.sqrt(np.mean(error**2)) < 0.15
    inside = fitted.get_prediction(unseen, 0.9)
    share = np.mean((inside.lower <= unseen["latency_ms"]) & (unseen["latency_ms"] <= inside.upper))
    assert 0.8 < share < 0.98


def test_intervals_of_twenty_rows_hold_where_folds_disagree_about_the_noise():
    inside = []
    for seed in (2, 3, 4):
        rng = np.random.default_rng(seed)
        table = {"depth": rng.integers(1, 7, 220).astype(float)}
        for layer in range(6):
            table[f"ffn_{layer}"] = rng.choice([1024.0, 2048.0, 3072.0], 220)
            table[f"heads_{layer}"] = rng.choice([4.0, 8.0], 220)
        ms = (30 + 22 * table["depth"]) * rng.lognormal(0, 0.02, 220)
        few = {name: values[:20] for name, values in table.items()}
        fitted = TableRegression().fit({**few, "ms": ms[:20]}, "ms")
        found = fitted.get_prediction({name: values[20:] for name, values in table.items()})
        inside.append(np.mean((found.lower <= ms[20:]) & (ms[20:] <= found.upper)))
    assert min(inside) > 0.8 and np.mean(inside) < 0.97


def test_a_few_of_many_columns_are_found():
    from sklearn.linear_model import LassoCV, RidgeCV

    names = [f"width{chr(97 + i // 5)}{chr(97 + i % 5)}" for i in range(30)]
    ours, theirs, lasso, inside = [], [], [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        matrix = rng.normal(size=(640, 30))
        response = 20 + 3 * matrix[:, 0] - 2 * matrix[:, 3] + matrix[:, 7] + rng.normal(0, 0.5, 640)
        data = dict(zip(names, matrix.T, strict=True))
        rows = {name: values[:40] for name, values in data.items()} | {"top1": response[:40]}
        fitted = TableRegression().fit(rows, "top1")
        found = fitted.get_prediction({name: values[40:] for name, values in data.items()})
        truth = response[40:]
        ours.append(np.mean((found.mean - truth) ** 2))
        ridge = RidgeCV(np.logspace(-3, 4, 15)).fit(matrix[:40], response[:40])
        theirs.append(np.mean((ridge.predict(matrix[40:]) - truth) ** 2))
        sparse = LassoCV(cv=5).fit(matrix[:40], response[:40])
        lasso.append(np.mean((sparse.predict(matrix[40:]) - truth) ** 2))
        inside.append(np.mean((found.lower <= truth) & (truth <= found.upper)))
    assert np.mean(ours) < 0.6 * np.mean(theirs)
    assert np.mean(ours) < 1.3 * np.mean(lasso)
    assert 0.8 < np.mean(inside) < 0.97


def test_annealed_terms_find_an_interaction():
    rng = np.random.default_rng(0)
    data = {f"x{i}": rng.normal(size=90) for i in range(6)}
    data["top1"] = data["x0"] + data["x1"] + 2 * data["x0"] * data["x1"] + rng.normal(0, 0.1, 90)
    fitted = TableRegression("annealed").fit(data, "top1")
    assert "x0 * x1" in fitted.regression.terms
    assert fitted.regression.heldout.rmse < 0.3


def test_formulas_equal_statsmodels():
    data = columns()
    fitted = TableRegression('log(a) + Q("b b") + C(Q("op:1"))').fit(data, "latency_ms")
    frame = {"a": data["a"], "b": data["b b"], "op": data["op:1"], "y": data["latency_ms"]}
    theirs = smf.ols("y ~ C(op) + np.log(a) + b", frame).fit()
    found = {line.name: line for line in fitted.regression.coefficients(0.95)}
    assert found["log(a)"].coef == pytest.approx(theirs.params["np.log(a)"], rel=1e-8)
    assert found["log(a)"].bse == pytest.approx(theirs.bse["np.log(a)"], rel=1e-8)
    loaded = regression.load(json.loads(json.dumps(fitted.to_json())))
    np.testing.assert_allclose(loaded.predict(data), theirs.fittedvalues, rtol=1e-8)


def test_looked_up_means_are_those_of_the_rows_of_terms():
    rng = np.random.default_rng(3)
    data = {"w 1": rng.uniform(1, 9, 150), "w 2": rng.uniform(1, 9, 150)}
    data |= {f"op{i}": rng.choice(["skip", "conv", "pool"], 150) for i in (1, 2)}
    data["code"] = rng.choice([0.0, 1.0, 2.5], 150)
    both = (data["op1"] == "conv") & (data["op2"] == "conv")
    data["top1"] = (
        np.log(data["w 1"]) * data["w 2"]
        + 9.0 * both
        + (data["op1"] == "pool") * (data["w 2"] + 4 * (data["code"] == 2.5))
    )
    fitted = TableRegression().fit(data, "top1", categorical=["code"])
    kinds = {atom.kind for atom in fitted.fitted.atoms}
    assert kinds == {"column", "is", "log", "product"}
    unseen = {name: values[::-1].copy() for name, values in data.items()}
    unseen["op1"][:9] = "new"
    unseen["w 1"][9:12] = 0.01  # far below what was seen, where logarithms have a floor
    unseen["op2"] = unseen["op2"].astype(object)  # as pandas has text
    means = fitted.predict(unseen)
    np.testing.assert_allclose(means, fitted.get_prediction(unseen).mean, rtol=1e-10)
    assert np.abs(means[12:] - data["top1"][::-1][12:]).mean() < data["top1"].std() / 3
    with pytest.raises(PredictorError, match="'w 2' has cells that are not finite"):
        fitted.predict({**unseen, "w 2": np.append(np.nan, unseen["w 2"][1:])})
    with pytest.raises(PredictorError, match="no column 'op2'"):
        fitted.predict({name: unseen[name] for name in unseen if name != "op2"})


def test_a_category_that_one_column_lacks_costs_what_it_costs_in_the_others():
    rng = np.random.default_rng(4)
    cost = {"conv": 9.0, "pool": 2.0, "none": 0.0}
    data = {f"op{i}": rng.choice(list(cost), 80) for i in range(4)}
    data["op0"][data["op0"] == "none"] = "pool"
    data["top1"] = np.sum([[cost[x] for x in data[f"op{i}"]] for i in range(4)], axis=0)
    data["top1"] += rng.normal(0, 0.1, 80)
    fitted = TableRegression().fit(data, "top1")
    unseen = {name: np.array(["conv"]) for name in data} | {"op0": np.array(["none"])}
    assert abs(fitted.predict(unseen)[0] - 27) < 0.5
    found = fitted.get_prediction(unseen)
    np.testing.assert_allclose(found.mean, fitted.predict(unseen))
    seen = fitted.get_prediction({**unseen, "op0": np.array(["pool"])})
    assert found.upper[0] - found.lower[0] > seen.upper[0] - seen.lower[0]
    assert fitted.outside(unseen)[0]


def test_categories_are_encoded_whatever_they_are_stored_as():
    for values in (
        np.array(["b", "a", "c", "a"]),
        np.array(["b", "a", "c", "a"], object),
        np.array(["b" * 30, "a", "c", "a"]),
    ):
        assert table_columns.encode(values, ("a", "b", "b" * 30)).tolist() in (
            [1, 0, 3, 0],
            [2, 0, 3, 0],
        )
    assert table_columns.encode(np.array([2.0, np.nan, 1.5]), ("1.5", "2")).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    "formula", ["__import__('os').getcwd()", "a.__class__", "open('x')", "[a]", "a + nothing"]
)
def test_formulas_run_no_python(formula):
    with pytest.raises(PredictorError):
        TableRegression(formula).fit(columns(), "latency_ms")


def test_saved_predictors_predict_the_same_and_notice_an_edit():
    for data, name in ((columns(), "latency_ms"), (blocks(40), "latency_ms")):
        fitted = TableRegression().fit(data, name)
        saved = json.loads(json.dumps(fitted.to_json(), allow_nan=False))
        np.testing.assert_array_equal(regression.load(saved).predict(data), fitted.predict(data))
        with pytest.raises(PredictorError, match="seal"):
            regression.load({**saved, "skipped": 7})


def test_missing_responses_are_skipped_and_counted():
    data = columns()
    data["latency_ms"][:7] = np.nan
    report = TableRegression().fit(data, "latency_ms").report()
    assert (report["n"], report["skipped"]) == (53, 7)
    assert set(report["heldout"]) == {"rmse", "mape", "kendall_tau", "r2", "coverage90"}
    json.dumps(report, allow_nan=False)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"latency_ms": np.inf}, "Row 4 has latency_ms = inf"),
        ({"latency_ms": -1.0}, "Row 4 has latency_ms = -1"),
        ({"latency_ms": 0.0}, "Row 4 has latency_ms = 0"),
        ({"a": np.inf}, "Row 4 has a = inf"),
    ],
)
def test_bad_cells_are_named(edit, message):
    data = columns()
    for name, value in edit.items():
        data[name][3] = value
    with pytest.raises(PredictorError, match=message):
        TableRegression().fit(data, "latency_ms")


def test_bad_questions_are_answered_in_one_line():
    data = columns()
    with pytest.raises(PredictorError, match="'latency_ms'"):
        TableRegression().fit(data, "latency")
    with pytest.raises(PredictorError, match="not a column of numbers"):
        TableRegression().fit(data, "op:1")
    with pytest.raises(PredictorError, match="too few"):
        TableRegression().fit({k: v[:1] for k, v in data.items()}, "latency_ms")
    with pytest.raises(PredictorError, match="no column left"):
        TableRegression().fit({"latency_ms": data["latency_ms"]}, "latency_ms")
    with pytest.raises(PredictorError, match="No column varies"):
        TableRegression().fit({"a": np.ones(60), "latency_ms": data["latency_ms"]}, "latency_ms")
    with pytest.raises(PredictorError, match="foxnas"):
        TableRegression("foxnas").fit(data, "latency_ms")
    fitted = TableRegression().fit(data, "latency_ms")
    with pytest.raises(PredictorError, match="no column 'a'"):
        fitted.predict({k: v for k, v in data.items() if k != "a"})


def test_duplicated_rows_stay_in_one_fold_and_are_counted():
    data = {k: np.tile(v, 2) for k, v in columns().items()}
    fitted = TableRegression().fit(data, "latency_ms")
    assert fitted.fitted.duplicates == 60
    assert fitted.regression.heldout.rmse > 0.05


def test_many_rows_are_fitted_from_all_of_them():
    rng = np.random.default_rng(0)
    data = {f"v_{chr(97 + i)}": rng.normal(size=4000) for i in range(12)}
    slopes = rng.normal(size=12)
    data["kind"] = np.where(np.arange(4000) == 1234, "rare", "common")
    mean = 20 + np.stack([data[name] for name in list(data)[:12]], 1) @ slopes
    data["top1"] = mean + rng.normal(0, 1, 4000)
    fitted = TableRegression().fit(data, "top1").regression
    assert fitted.n == 4000 and "kind=rare" in fitted.terms
    found = fitted.params[1 + np.array([fitted.terms.index(f"v_{chr(97 + i)}") for i in range(12)])]
    # 4000 rows give standard errors of 1 / sqrt(4000); 500 would give three times as much
    assert np.abs(found - slopes).max() < 3.5 / np.sqrt(4000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,ms\n", "has no rows"),
        ("a,ms\n1,2\n1,2,3\n", "Line 3 of .* has 3 cells; its first line names 2 columns"),
        ("a,ms\n1,2,3\n4,5,6\n", "more cells than its first line has names"),
        ("a,ms\n1,2\n\0,3\n", "no text"),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(PredictorError, match=message) as refused:
        table_columns.read_csv(path)
    assert "\n" not in str(refused.value)


def test_text_among_numbers_is_named_and_not_taken_for_categories():
    data = columns()
    for name in ("a", "latency_ms"):
        mixed = data[name].astype(str)
        mixed[4] = "n/a?"
        with pytest.raises(PredictorError, match=r"row 5 has 'n/a\?'"):
            TableRegression().fit({**data, name: mixed}, "latency_ms")


def test_a_response_next_to_nothing_has_no_share_of_error():
    data = columns()
    data["latency_ms"][3] = np.finfo(np.float64).tiny  # training flushes what is smaller to zero
    heldout = TableRegression().fit(data, "latency_ms").report()["heldout"]
    assert np.isfinite(list(heldout.values())).all()


def test_csv_files(tmp_path):
    text = "a,op,latency_ms\n" + "".join(f"{i},x{i % 3},{i + 5}\n" for i in range(20)) + "3,x1,\n"
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    read = table_columns.read_csv(path)
    assert read["a"].dtype == np.float64 and read["op"][0] == "x0"
    assert TableRegression().fit(read, "latency_ms").fitted.skipped == 1
    comma = tmp_path / "comma.csv"
    comma.write_text("a,ms\n1,2,\n4,5,\n")
    assert table_columns.read_csv(comma)["ms"].tolist() == [2, 5]
    twice = tmp_path / "u.csv"
    twice.write_text("a,a\n1,2\n")
    with pytest.raises(PredictorError, match="'a' twice"):
        table_columns.read_csv(twice)
    with pytest.raises(PredictorError, match="Cannot read"):
        table_columns.read_csv(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("table", "most", "formula"),
    [
        pytest.param("drawn", 5.0, 5.5),
        pytest.param(
            *("measured", 1.4, 4.0),
            marks=pytest.mark.skipif(
                not SHARED.exists(), reason="the measured tables are not here"
            ),
        ),
    ],
)
def test_fox_nas_table_beats_the_published_formula(table, most, formula):
    data = fox_nas() if table == "drawn" else table_columns.read_csv(SHARED)
    order = np.random.default_rng(0).permutation(300)
    train = {k: v[order[:50]] for k, v in data.items()}
    test = {k: v[order[50:]] for k, v in data.items()}
    exclude = [name for name in ("acc", "acc/latency") if name in data]
    errors = {
        terms: np.sqrt(
            np.mean(
                (
                    TableRegression(terms).fit(train, "latency", exclude=exclude).predict(test)
                    - test["latency"]
                )
                ** 2
            )
        )
        for terms in ("auto", "foxnas")
    }
    assert errors["auto"] < most
    assert errors["foxnas"] > formula


@pytest.mark.parametrize(
    ("header", "cell", "message"),
    [
        ("size,latency_ms", '"1,234",3', "'1,234' is one thousand and more"),
        ("size,latency_ms", "1e200,3", "Row 3 has size = 1e[+]200, too much to compute with"),
    ],
)
def test_numbers_that_cannot_be_meant_are_one_clear_line(
    tmp_path: Path, header: str, cell: str, message: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("\n".join([header, "1,2", "2,3", cell, "4,5", "5,7", "6,8"]), "utf-8")
    with pytest.raises(PredictorError, match=message):
        TableRegression().fit(table_columns.read_csv(path), "latency_ms")


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    rng = np.random.default_rng(0)
    columns = {"depth": rng.normal(size=30), "width": rng.normal(size=30)}
    model = TableRegression().fit({**columns, "y": columns["depth"] + columns["width"]}, "y")
    with pytest.raises(PredictorError, match="no column 'depth'") as refused:
        model.get_prediction({"depht": columns["depth"], "width": columns["width"]})
    assert "depht" in (refused.value.hint or "")


def test_an_empty_formula_is_refused() -> None:
    rows = {"a": np.arange(12.0), "y": np.arange(12.0) ** 2}
    with pytest.raises(PredictorError, match="formula is empty"):
        TableRegression("").fit(rows, "y")


def test_columns_called_like_terms_are_columns_all_the_same() -> None:
    rng = np.random.default_rng(3)
    width, layers = 16.0 * rng.integers(2, 12, 60), rng.integers(2, 13, 60).astype(float)
    rows = {"width": width, "layers": layers, "log(width)": rng.normal(size=60)}
    rows |= {"width * layers": rng.normal(size=60), "a, b (c)": rng.uniform(1, 9, 60)}
    rows |= {"op=x": rng.choice([0.0, 1.0], 60), "op": rng.choice(["x", "y", "z"], 60)}
    rows["energy_mj"] = (1 + rows["op=x"]) * width**0.5 * layers * rng.lognormal(0, 0.02, 60)
    fitted = TableRegression().fit(rows, "energy_mj")
    again = regression.load(json.loads(json.dumps(fitted.to_json())))
    mean = again.get_prediction(rows).mean
    np.testing.assert_allclose(again.predict(rows), mean)
    assert np.mean(np.abs(mean / rows["energy_mj"] - 1)) < 0.03


def test_texts_that_are_others_in_most_rows_are_left_out() -> None:
    rng = np.random.default_rng(4)
    rows = {"blocks": rng.integers(1, 9, 200).astype(float)}
    rows["note"] = np.array([f"n{x}" for x in [*range(190), *range(10)]])
    rows["ms"] = 2 + rows["blocks"] + rng.normal(0, 0.01, 200)
    fitted = TableRegression().fit(rows, "ms")
    assert fitted.fitted.left_out == {"note": "has 190 texts in 200 rows"}
    assert fitted.columns == ("blocks",)
