"""Cells: edges that nothing uses and operations repeated, against enumeration; what rows tell."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import numpy as np
import pytest

from edgenas.predictors.tables import cells, regression
from edgenas.predictors.tables import effects as table_effects
from edgenas.predictors.tables.regression import TableRegression

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
COLUMNS = tuple(f"op_{start}_{end}" for start, end in EDGES)
COSTS = {"0": 0.0, "1": 0.1, "2": 1.0, "3": 4.0}


def drawn(n: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.choice(list(COSTS), n) for name in COLUMNS}


def on_paths(row: dict[str, str]) -> set[str]:
    """The edges from which a path of operations leads to node 3, by enumeration of all paths."""
    found = set()
    for length in (1, 2, 3):
        for path in itertools.permutations(range(4), length + 1):
            names = [f"op_{a}_{b}" for a, b in itertools.pairwise(path)]
            known = path[-1] == 3 and all(name in row for name in names)
            if known and all(row[name] != "0" for name in names[1:]):
                found.add(names[0])
    return found


def test_cells_are_read_off_names() -> None:
    assert cells.find([*COLUMNS, "channels"]) == cells.Cell(COLUMNS)
    assert cells.find(["edge_0_1_op", "edge_0_2_op", "edge_1_2_op"]) is not None
    assert cells.find(["block_1_1", "block_1_2", "block_2_2"]) is None
    assert cells.find(["op_0_1", "op_0_2"]) is None
    assert cells.find(["op_0_1", "op_2_3", "op_4_5"]) is None
    assert cells.find(["kernel", "width"]) is None


def test_unused_edges_are_those_from_which_no_path_leads_to_the_end() -> None:
    rows = drawn(400, 0)
    cut = cells.Cell(COLUMNS, "0").cut(rows)
    for index in range(400):
        row = {name: str(rows[name][index]) for name in COLUMNS}
        used = on_paths(row)
        for name in COLUMNS:
            assert cut[name][index] == (row[name] if name in used else "0")


def test_repeats_are_counted_by_input() -> None:
    rows = drawn(200, 1)
    found = cells.repeats(rows, dict.fromkeys(COLUMNS, "2"))
    for index, count in enumerate(found):
        asked = Counter(a for a, b in EDGES if rows[f"op_{a}_{b}"][index] == "2")
        assert count == sum(times - 1 for times in asked.values())


def timed(rows: dict[str, np.ndarray], pruned: bool, merged: bool) -> dict[str, np.ndarray]:
    n = len(rows[COLUMNS[0]])
    run = cells.Cell(COLUMNS, "0").cut(rows) if pruned else rows
    time = np.sum([[COSTS[op] for op in run[name]] for name in COLUMNS], axis=0)
    if merged:
        time = time - cells.repeats(run, dict.fromkeys(COLUMNS, "2"))
    noise = np.random.default_rng(n).normal(0, 0.02, n)
    return {**rows, "latency_ms": 5 + time + noise}


@pytest.mark.parametrize(("pruned", "merged"), [(True, True), (False, True), (False, False)])
def test_rows_tell_what_the_engine_does_with_a_graph(pruned: bool, merged: bool) -> None:
    fitted = TableRegression().fit(
        timed(drawn(90, 2), pruned, merged), "latency_ms", categorical=COLUMNS
    )
    assert fitted.fitted.cell == (cells.Cell(COLUMNS, "0") if pruned else None)
    unseen = timed(drawn(500, 3), pruned, merged)
    means = fitted.predict(unseen)
    assert np.sqrt(np.mean((means - unseen["latency_ms"]) ** 2)) < 0.05
    found = fitted.get_prediction({**unseen, "op_0_1": np.array(["new"] * 500)})
    np.testing.assert_allclose(
        found.mean, fitted.predict({**unseen, "op_0_1": np.array(["new"] * 500)}), rtol=1e-9
    )
    many = {name: np.tile(values, 40) for name, values in unseen.items()}
    np.testing.assert_allclose(fitted.predict(many), np.tile(means, 40), rtol=1e-12)
    loaded = regression.load(json.loads(json.dumps(fitted.to_json())))
    np.testing.assert_allclose(loaded.predict(unseen), means, rtol=1e-9)
    report = table_effects.explanation(fitted, 0.95, {"op_0_2": "0"})
    assert bool(report["notes"]) == pruned == bool(fitted.report()["notes"])
    effects = {effect["change"]: effect for effect in report["effects"]}
    assert effects["op_0_2: 3 instead of 0"]["effect"] == pytest.approx(4, abs=0.1)
    again = effects.get("2 again of the same input")
    assert (again is not None) == merged
    if again is not None:
        assert again["lower"] < -1 < again["upper"] < -0.9


def test_the_same_category_twice_is_found_without_a_cell() -> None:
    rng = np.random.default_rng(5)

    def made(n: int) -> dict[str, np.ndarray]:
        rows = {name: rng.choice(list(COSTS), n) for name in "abcdef"}
        pools = np.sum([values == "2" for values in rows.values()], axis=0)
        cost = np.sum([[COSTS[op] for op in values] for values in rows.values()], axis=0)
        time = 5 + cost - 0.5 * pools * (pools - 1) / 2
        return {**rows, "latency_ms": time + rng.normal(0, 0.05, n)}

    measured, unseen = made(90), made(500)
    errors = {}
    for terms in ("auto", "main"):
        fitted = TableRegression(terms).fit(measured, "latency_ms", categorical=list("abcdef"))
        errors[terms] = np.sqrt(np.mean((fitted.predict(unseen) - unseen["latency_ms"]) ** 2))
    assert errors["auto"] < errors["main"] / 3


@pytest.mark.parametrize("forward", [True, False])
def test_operations_on_nothing_are_cut_where_rows_say_so(forward: bool) -> None:
    edges = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))

    def made(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
        names = [f"op_{a}_{b}" for a, b in edges]
        rows = {name: rng.choice(["none", "conv", "pool"], n) for name in names}
        live = cells.Cell(tuple(names), "none", forward).cut(rows) if forward else rows
        time = sum(3.0 * (x == "conv") + 1.0 * (x == "pool") for x in live.values())
        return {**rows, "latency_ms": 5 + time + rng.normal(0, 0.05, n)}

    fitted = TableRegression().fit(made(np.random.default_rng(1), 50), "latency_ms")
    unseen = made(np.random.default_rng(2), 300)
    error = fitted.predict(unseen) - unseen["latency_ms"]
    assert np.sqrt(np.mean(error**2)) < 0.1
    assert (fitted.fitted.cell is not None and fitted.fitted.cell.forward) == forward
    assert any("operation on nothing" in note for note in fitted.report()["notes"]) == forward
