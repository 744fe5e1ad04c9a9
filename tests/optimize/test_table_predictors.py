"""Which networks of a table are looked up, and whether limits on predictions hold by the table."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.optimize import table_predictors
from edgenas.targets.table import measured_table
from edgenas.targets.table.measured_table import MeasuredTable
from edgenas.targets.table.target_file import Column, TableTarget

DATA = Path(__file__).parents[2].parent / "shared" / "data"
OPERATIONS = tuple(f"op_{edge}" for edge in ("0_1", "0_2", "1_2", "0_3", "1_3", "2_3"))
PI5 = TableTarget(
    name="pi5",
    source=str(DATA / "pi5.toml"),
    path="nb201_hw360_pi5_pixel/nb201_hw360.csv.gz",
    architecture=OPERATIONS,
    categorical=OPERATIONS,
    same_network="rep_arch_idx",
    responses={
        "latency_ms": Column("lat_ms_pi5_onnx_cifar100"),
        "accuracy": Column("acc_cifar100", "percent"),
    },
)
FOX = TableTarget(
    name="fox",
    source=str(DATA / "fox.toml"),
    path="fox_nas_cpu256/fox_nas_cpu256.csv",
    architecture=("mbcv_*", "se_*"),
    responses={"latency_ms": Column("latency"), "accuracy": Column("acc", "percent")},
)


@pytest.fixture
def table(tmp_path: Path) -> MeasuredTable:
    """Four operations on four edges: 256 networks, latency additive with noise."""
    rng = np.random.default_rng(0)
    cost = {"none": 0.0, "skip": 0.1, "conv1": 0.5, "conv3": 2.0}
    lines = ["a,b,c,d,ms"]
    for chosen in itertools.product(cost, repeat=4):
        ms = 1 + sum(cost[op] for op in chosen) + rng.normal(0, 0.05)
        lines.append(",".join((*chosen, f"{ms:.4f}")))
    (tmp_path / "board.csv").write_text("\n".join(lines) + "\n")
    return measured_table.read(
        TableTarget(
            name="board",
            source=str(tmp_path / "board.toml"),
            path="board.csv",
            architecture=("a", "b", "c", "d"),
            responses={"latency_ms": Column("ms")},
        )
    )


def test_the_plan_shows_every_choice_of_every_column(table: MeasuredTable) -> None:
    planned = table_predictors.plan(table, 16, seed=0)

    points = table.points[table.first[planned]]
    assert len(set(planned.tolist())) == 16
    assert all(len(np.unique(column)) == 4 for column in points.T)
    counts = np.array([np.bincount(column, minlength=4) for column in points.T])
    assert counts.min() >= 3  # of 4: a random draw leaves choices out


def test_the_plan_completes_what_is_known(table: MeasuredTable) -> None:
    taken = np.array([3, 200, 77])
    more = table_predictors.plan(table, 20, seed=0, taken=taken)

    assert len(more) == 17 and not set(more.tolist()) & set(taken.tolist())
    assert not len(table_predictors.plan(table, 3, seed=0, taken=taken))
    everything = table_predictors.plan(table, 1000, seed=0, taken=taken)
    assert sorted([*everything.tolist(), *taken.tolist()]) == list(range(256))


def test_what_is_known_is_not_predicted(table: MeasuredTable) -> None:
    known = table_predictors.plan(table, 30, seed=0)
    predictor = table_predictors.fit(table, "latency_ms", known, seed=0)

    found = table_predictors.predict(table, predictor, 0.95, known)

    truth = table.response("latency_ms")
    for bound in (found.mean, found.lower, found.upper):
        np.testing.assert_array_equal(bound[known], truth[known])
    rest = np.setdiff1d(np.arange(256), known)
    assert (found.lower[rest] < found.mean[rest]).all()
    assert np.sqrt(np.mean((found.mean[rest] - truth[rest]) ** 2)) < 0.1


@pytest.mark.parametrize("target", [PI5, FOX], ids=lambda target: target.name)
def test_winners_keep_the_limit_when_looked_up(target: TableTarget) -> None:
    """The most accurate network whose upper bound is within a limit: as near to it as can be."""
    if not target.file(target.path).exists():
        pytest.skip(f"{target.path} of the shared data is not here")
    table = measured_table.read(target)
    latency_ms, accuracy = table.response("latency_ms"), table.response("accuracy")
    kept = []
    for seed in range(2):
        measured = table_predictors.plan(table, 40, seed)
        predictor = table_predictors.fit(table, "latency_ms", measured, seed)
        upper = table_predictors.predict(table, predictor, 0.95).upper
        for limit_ms in np.quantile(latency_ms, np.linspace(0.1, 0.9, 17)):
            allowed = np.setdiff1d(np.flatnonzero(upper <= limit_ms), measured)
            if allowed.size:
                kept.append(latency_ms[allowed[np.argmax(accuracy[allowed])]] <= limit_ms)
    assert len(kept) > 20
    assert np.mean(kept) >= 0.95


@pytest.mark.skipif(not DATA.exists(), reason="the measured tables are not beside the repository")
def test_accuracy_learns_from_latency_which_networks_compute_nothing() -> None:
    columns = {**PI5.responses, "latency_ms": Column("lat_ms_pi5_litert_cifar100")}
    table = measured_table.read(replace(PI5, responses=columns))
    looked_up = table_predictors.plan(table, 100, seed=0)
    latency = table_predictors.fit(table, "latency_ms", looked_up, 0)
    accuracy = table.response("accuracy")
    dead = accuracy < 0.02
    means = [
        table_predictors.predict(
            table, table_predictors.fit(table, "accuracy", looked_up, 0, others), 0.95
        ).mean
        for others in ({}, {"latency_ms": latency})
    ]
    best = accuracy.max() - 0.1
    assert (means[0][dead] > best).any() and not (means[1][dead] > best).any()
