"""Held-out errors that do not flatter: columns that are no features, and runs of one network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgenas.cli.tables import fit
from edgenas.core.errors import PredictorError
from edgenas.predictors.tables.regression import TableRegression
from edgenas.predictors.tables.rows import choose_rows

Columns = dict[str, np.ndarray]


def designs(n: int, rng: np.random.Generator) -> Columns:
    """Return networks, each another one: 4 x 5 x 5 x 4 there are."""
    place = rng.permutation(400)[:n]
    options = ([2, 3, 4, 5], [16, 24, 32, 40, 48], [128, 144, 160, 192, 224], [1, 3, 5, 7])
    names, columns = ("depth", "width", "res", "kernel"), {}
    for name, values in zip(names, options, strict=True):
        columns[name] = np.array(values, np.float64)[place % len(values)]
        place = place // len(values)
    return columns


def latency(design: Columns, rng: np.random.Generator) -> np.ndarray:
    """Return what the columns say, times what they do not know of a network: 12 %."""
    known = 3 + design["depth"] * design["width"] / 20 + design["res"] / 40 + design["kernel"] / 2
    return known * np.exp(rng.normal(0, 0.12, len(known)))


def repeated(networks: int, runs: int, seed: int, names: str) -> Columns:
    """Return a table of runs: each network again and again, 1 % apart, by another name if so."""
    rng = np.random.default_rng(seed)
    design = designs(networks, rng)
    time_ms = latency(design, rng)
    of = np.tile(np.arange(networks), runs)
    run = np.repeat(np.arange(runs), networks)
    names_of = {
        "same": [f"net{i:03}" for i in of],
        "each": [f"net{i:03}-{j}" for i, j in zip(of, run, strict=True)],
    }
    return {
        "model": np.array(names_of[names]),
        "run": run.astype(float),
        "date": np.array([f"2024-03-{j + 1:02}" for j in run]),
        "temp_c": rng.uniform(40, 60, len(of)),
        **{name: values[of] for name, values in design.items()},
        "ms": time_ms[of] * np.exp(rng.normal(0, 0.01, len(of))),
    }


@pytest.mark.parametrize("names", ["same", "each"])
def test_errors_of_repeated_runs_are_those_on_new_networks(names: str) -> None:
    shares = []
    for seed in range(4):
        fitted = TableRegression().fit(repeated(40, 4, seed, names), "ms")
        rng = np.random.default_rng(100 + seed)
        new = designs(400, rng)
        off = np.mean(np.abs(fitted.predict(new) / latency(new, rng) - 1))
        shares.append(fitted.report()["heldout"]["mape"] / off)
        assert set(fitted.fitted.left_out) == {"model", "run", "date", "temp_c"}
    assert 0.75 < np.exp(np.mean(np.log(shares))) < 1.3


def test_runs_are_counted_and_averaged_and_single_runs_are_covered() -> None:
    table = repeated(40, 5, 0, "same")
    report = TableRegression().fit(table, "ms").report()
    assert (report["n"], report["networks"]) == (200, 40)
    assert any("200 rows are runs of 40 networks" in note for note in report["notes"])
    assert 0.8 <= report["heldout"]["coverage90"] <= 1


def test_a_lookup_table_of_categories_keeps_its_rows() -> None:
    rng = np.random.default_rng(0)
    layer = rng.integers(0, 30, 200)
    table = {"layer": np.array([f"L{x}" for x in layer]), "ms": 1 + layer + rng.normal(0, 0.1, 200)}
    assert TableRegression().fit(table, "ms").report()["heldout"]["rmse"] < 0.2


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("q", lambda ms, rng: 1000 / ms),
        ("img_per_s", lambda ms, rng: np.round(8000 / ms, 1)),
        ("other", lambda ms, rng: ms * np.exp(np.abs(rng.normal(0, 0.02, len(ms))))),
        ("logged", lambda ms, rng: -np.log(ms)),
        ("wh", lambda ms, rng: np.where(rng.uniform(size=len(ms)) < 0.05, 1.0, 5 * ms)),
    ],
)
def test_a_column_that_says_the_response_again_is_left_out(name: str, again: object) -> None:
    rng = np.random.default_rng(1)
    design = designs(80, rng)
    ms = latency(design, rng)
    table = {**design, name: again(ms, rng), "ms": ms}  # type: ignore[operator]
    assert choose_rows(table, "ms").left_out == {name: "says ms over again"}
    kept = choose_rows(table, "ms", keep=(name,))
    assert name in kept.columns and f"'{name}' follows ms in nearly all rows" in kept.warnings[0]


def test_a_column_that_decides_most_is_a_feature() -> None:
    rng = np.random.default_rng(2)
    work, depth = rng.uniform(1, 9, 60), rng.choice([2.0, 3.0, 4.0], 60)
    table = {"work": work, "depth": depth, "ms": 5 * work + 0.1 * depth + rng.normal(0, 0.05, 60)}
    assert choose_rows(table, "ms").left_out == {}
    # the only column that varies, however near
    assert choose_rows({"x": work, "one": np.ones(60), "ms": 2 * work}, "ms").left_out == {}


def test_counts_of_work_are_features_however_near() -> None:
    rng = np.random.default_rng(3)
    design = designs(60, rng)
    macs = design["depth"] * design["width"] * design["res"] + rng.uniform(0, 1, 60)
    table = {**design, "gmacs": macs, "ms": 0.01 * macs * np.exp(rng.normal(0, 0.01, 60))}
    assert choose_rows(table, "ms").left_out == {}


@pytest.mark.parametrize("name", ["macts", "activations", "mactivations", "activation_count"])
def test_counts_of_activations_are_sizes_and_the_same_numbers_by_another_name_are_not(
    name: str,
) -> None:
    rng = np.random.default_rng(4)
    design = designs(60, rng)
    macs = design["depth"] * design["width"] * design["res"]
    sizes = {**design, name: macs**0.8 * rng.lognormal(0, 0.03, 60)}
    ms = 0.01 * macs + 0.02 * sizes[name]
    assert choose_rows({**sizes, "ms": ms}, "ms").left_out == {}
    renamed = {**design, "counter": sizes[name], "ms": ms}
    assert choose_rows(renamed, "ms").left_out == {"counter": "says ms over again"}


def test_columns_that_count_rows_are_no_features() -> None:
    rng = np.random.default_rng(4)
    design = designs(40, rng)
    ms = latency(design, rng)
    counts = {
        "nr": np.arange(40.0),
        "column 1": rng.permutation(np.arange(40.0)),
        "down": np.arange(40.0, 0, -1),
    }
    counts["id"] = 7.0 * rng.permutation(40)
    rows = choose_rows({**counts, **design, "ms": ms}, "ms")
    assert set(rows.left_out) == set(counts) and set(rows.columns) == set(design)
    asked = choose_rows({**counts, **design, "ms": ms}, "ms", features=("nr", "depth"))
    assert set(asked.columns) == {"nr", "depth"}


def test_dates_and_empty_columns_are_no_features() -> None:
    rng = np.random.default_rng(5)
    design = designs(40, rng)
    odd: Columns = {"when": np.array([f"{i % 9 + 1}.3.2024 12:0{i % 10}" for i in range(40)])}
    odd |= {"none": np.full(40, np.nan), "blank": np.full(40, "")}
    odd["stamp"] = 1.7e9 + np.cumsum(rng.uniform(1, 9, 40))
    assert set(choose_rows({**odd, **design, "ms": latency(design, rng)}, "ms").left_out) == set(
        odd
    )


def test_zero_rates_are_warned_of() -> None:
    rng = np.random.default_rng(6)
    design = designs(40, rng)
    fps = 1000 / latency(design, rng)
    fps[[4, 9]] = 0.0
    (warning,) = choose_rows({**design, "fps": fps}, "fps").warnings
    assert warning.startswith("2 rows have fps = 0") and "row 5" in warning
    spread = {**design, "gain": latency(design, rng) - 20}
    assert choose_rows(spread, "gain").warnings == ()


def test_a_column_that_empties_the_rows_is_named() -> None:
    rng = np.random.default_rng(7)
    design = designs(40, rng)
    table = {
        **design,
        "flops": np.where(np.arange(40) < 30, np.nan, 1.0),
        "ms": latency(design, rng),
    }
    (warning,) = choose_rows(table, "ms").warnings
    assert warning == "30 of 40 rows are skipped: 'flops' has no value in 30 of 40 rows."
    table["b"] = np.where(np.arange(40) < 30, 1.0, np.nan)
    with pytest.raises(PredictorError, match="'flops' has no value in 30 of 40") as refused:
        choose_rows(table, "ms")
    assert "--exclude 'flops'" in refused.value.hint


def test_excluded_columns_are_not_looked_at(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    lines = [f'{a},"1,{i:03}",{2 + a}' for i, a in enumerate(rng.uniform(1, 9, 20).round(1))]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["a b,params,ms", *(x.replace(".", "") for x in lines)]))
    arguments = [str(path), "--response", "ms", "--json"]
    refused = CliRunner().invoke(fit, arguments)
    assert "'1,000' is one thousand and more" in str(refused.exception)
    told = CliRunner().invoke(fit, [*arguments, "--exclude", "params"])
    assert json.loads(told.output)["n"] == 20
