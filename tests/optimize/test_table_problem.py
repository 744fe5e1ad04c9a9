"""Measured tables as problems: values are those of the CSV, and bad tables are refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from edgenas.core.errors import InputError
from edgenas.optimize.optimizers.problem import Response
from edgenas.optimize.table import TableProblem
from edgenas.targets.table import measured_table, target_file

FILE = """kind = "table"
path = "board.csv"
architecture = ["op", "width"]
[responses]
latency_ms = "ms"
accuracy = { column = "top1", unit = "percent" }
"""
OPERATIONS = ("conv", "pool", "skip")
WIDTHS = (8, 16, 24, 32)
RESPONSES = (Response("accuracy", "max"), Response("latency_ms", "min"))


def write(folder: Path, lines: list[str], toml: str = FILE) -> Path:
    (folder / "board.csv").write_text("\n".join(["op,width,ms,top1", *lines]) + "\n")
    path = folder / "board.toml"
    path.write_text(toml)
    return path


def product(rng: np.random.Generator) -> dict[tuple[str, int], tuple[float, float]]:
    measured = rng.uniform([1, 50], [9, 90], (len(OPERATIONS) * len(WIDTHS), 2)).round(3)
    pairs = itertools.product(OPERATIONS, WIDTHS)
    return {pair: (ms, top1) for pair, (ms, top1) in zip(pairs, measured.tolist(), strict=True)}


def lines(measured: dict[tuple[str, int], tuple[float, float]]) -> list[str]:
    return [f"{op},{width},{ms},{top1}" for (op, width), (ms, top1) in measured.items()]


def test_looks_every_architecture_up(tmp_path: Path) -> None:
    measured = product(np.random.default_rng(0))
    table = TableProblem.read(write(tmp_path, lines(measured)))
    problem = table.problem(RESPONSES)

    points = np.array(list(itertools.product(range(3), range(4))))
    values = problem.evaluate(points)

    assert problem.options == (3, 4) and problem.project is None
    for point, (accuracy, latency_ms) in zip(points, values, strict=True):
        chosen = table.table.shown(table.networks(point[None])[0])
        expected = measured[chosen["op"], int(chosen["width"])]
        assert (latency_ms, accuracy * 100) == pytest.approx(expected)


def test_the_true_front_is_that_of_brute_force(tmp_path: Path) -> None:
    measured = product(np.random.default_rng(1))
    table = TableProblem.read(write(tmp_path, lines(measured)))

    front = table.true_front((RESPONSES[0], Response("latency_ms", "min", at_most=7.0)))

    within = [(top1, ms) for ms, top1 in measured.values() if ms <= 7.0]
    best = {
        (top1, ms)
        for top1, ms in within
        if not any(a >= top1 and b <= ms and (a, b) != (top1, ms) for a, b in within)
    }
    found = {(round(accuracy * 100, 6), ms) for accuracy, ms in front.values.tolist()}
    assert found == best
    assert front.evaluations == len(measured)


def test_missing_values_and_missing_architectures_are_nan(tmp_path: Path) -> None:
    rows = ["conv,8,1.5,50", "conv,16,,60", "pool,8,1.0,"]
    problem = TableProblem.read(write(tmp_path, rows)).problem(RESPONSES)

    values = problem.evaluate(np.array([[0, 0], [0, 1], [1, 0], [1, 1], [7, 7]]))

    np.testing.assert_allclose(
        values, [[0.5, 1.5], [0.6, np.nan], [np.nan, 1.0], [np.nan] * 2, [np.nan] * 2]
    )
    assert problem.feasible(values).tolist() == [True, False, False, False, False]


def test_projects_to_the_rows_that_differ_least(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    measured = product(rng)
    kept = dict(list(measured.items())[::3] + list(measured.items())[1::5])
    problem = TableProblem.read(write(tmp_path, lines(kept))).problem(RESPONSES)
    assert problem.project is not None
    every = np.array(list(itertools.product(*map(range, problem.options))))
    there = every[~np.isnan(problem.evaluate(every)).any(axis=1)]

    projected = problem.project(every)

    assert len(there) == len(kept)
    for point, nearest in zip(every, projected, strict=True):
        distances = (there != point).sum(axis=1)
        assert (nearest != point).sum() == distances.min()
        assert (there == nearest).all(axis=1).any()
    np.testing.assert_array_equal(projected, problem.project(every))


def test_repeated_rows_are_averaged(tmp_path: Path) -> None:
    rows = ["conv,8,1.0,50", "pool,8,3.0,60", "conv,8,2.0,54", "conv,8,,"]
    toml = FILE.replace('"width"]', '"wid*"]')  # a constant column that only a pattern names
    table = TableProblem.read(write(tmp_path, rows, toml))

    assert table.table.variables == ("op",)
    np.testing.assert_allclose(table.values(RESPONSES), [[0.52, 1.5], [0.6, 3.0]])


def test_one_network_under_several_names_is_measured_once(tmp_path: Path) -> None:
    rows = ["conv,8,1.0,50", "skip,8,3.0,60", "skip,16,4.0,62"]
    (tmp_path / "more.csv").write_text("op,width,net\nskip,16,7\nskip,8,7\nconv,8,3\n")
    more = 'join = "more.csv"\njoin_on = ["op", "width"]\nsame_network = "net"\n[responses]'
    table = TableProblem.read(write(tmp_path, rows, FILE.replace("[responses]", more)))

    assert table.points.tolist() == [[0, 0], [1, 0]]
    assert table.networks(np.array([[1, 0], [1, 1], [0, 0], [0, 1]])).tolist() == [1, 1, 0, -1]
    np.testing.assert_allclose(table.problem(RESPONSES).evaluate(np.array([[1, 1]])), [[0.61, 3.5]])


def test_predictions_take_the_place_of_measurements(tmp_path: Path) -> None:
    table = TableProblem.read(write(tmp_path, ["conv,8,1.0,50", "pool,16,3.0,60"]))
    predicted = np.array([[0.1, 10.0], [0.2, 20.0]])

    values = table.problem(RESPONSES, predicted).evaluate(table.points)

    np.testing.assert_array_equal(values, predicted)


GOOD = ["conv,8,1.0,50", "pool,16,3.0,60"]


@pytest.mark.parametrize(
    ("rows", "change", "said"),
    [
        (GOOD, ('"board.csv"', '"bord.csv"'), "bord.csv, which is not there"),
        (GOOD, ('"ms"', '"mss"'), "Did you mean 'ms'"),
        (GOOD, ('"width"]', '"widht"]'), "Did you mean 'width'"),
        (GOOD, ("architecture", "architektur"), "Did you mean 'architecture'"),
        (GOOD, ('architecture = ["op", "width"]', "architecture = []"), "no architecture"),
        (GOOD, ('"percent"', '"fraction"'), 'unit = "percent"'),
        (["conv,8,1.0,0.5", "pool,16,3.0,0.6"], ("", ""), 'unit = "fraction"'),
        (["conv,8,1.0,-50", "pool,16,3.0,60"], ("", ""), "Call it something else"),
        (GOOD, ('unit = "percent"', 'unit = "prozent"'), "cannot be read in 'prozent'"),
        (GOOD, ('latency_ms = "ms"', 'speed = "ms"'), "better high or low"),
        ([], ("", ""), "has no rows"),
        (["conv,8,1.0,50", "pool,8,3.0,60"], ("", ""), "always 8"),
        (["conv,8,1.0,50", "pool,,3.0,60"], ("", ""), "Row 2"),
        (["conv,8,1.0,50", "pool,16,0,60"], ("", ""), "is 0 in row 2"),
        (["conv,8,1.0,50", "pool,16,inf,60"], ("", ""), "is inf in row 2"),
        (["conv,8,1.0,50", "pool,16,slow,60"], ("", ""), "no numbers"),
        (["conv,8,,50", "pool,16,,60"], ("", ""), "is empty"),
        (GOOD, ("[responses]", 'join = "board.csv"\n[responses]'), "join_on"),
        (GOOD, ("[responses]", 'categorical = ["depth"]\n[responses]'), "'depth' is not in"),
    ],
)
def test_bad_tables_are_refused_in_one_line(
    rows: list[str], change: tuple[str, str], said: str, tmp_path: Path
) -> None:
    path = write(tmp_path, rows, FILE.replace(*change) if change[0] else FILE)
    with pytest.raises(InputError) as refused:
        TableProblem.read(path)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_an_unknown_response_names_the_nearest(tmp_path: Path) -> None:
    table = TableProblem.read(write(tmp_path, GOOD))
    with pytest.raises(InputError, match="Did you mean 'accuracy'"):
        table.problem([Response("acuracy", "max")])


def test_the_template_is_a_table_target() -> None:
    template = target_file.read(Path(__file__).parents[2] / "targets" / "table.toml")
    assert template.factor("energy_mj") == 1e3 and template.factor("accuracy") == 0.01
    with pytest.raises(InputError, match=r"my-table.csv.gz, which is not there"):
        measured_table.read(template)
