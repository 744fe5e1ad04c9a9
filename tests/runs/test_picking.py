"""Picking from a stored frontier: within the bounds, between measured points, and at once."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgenas.cli.pick import pick as command
from edgenas.cli.show import step_result
from edgenas.core.errors import InfeasibleError, InputError, RunFolderError
from edgenas.core.files.run_folder import RunFolder, write_json
from edgenas.core.goals import parse_constraints
from edgenas.core.records import (
    Answers,
    Candidate,
    Evaluation,
    Interval,
    Measurement,
    Outcome,
    SearchResult,
    TableRow,
    to_json,
)
from edgenas.core.records.goals import Limit
from edgenas.core.records.tables import (
    LookedUp,
    LookedUpRows,
    TableCard,
    TableResponse,
)
from edgenas.runs.config import RunConfig, write_config
from edgenas.runs.frontier.choice import reason
from edgenas.runs.frontier.pick import pick
from edgenas.runs.frontier.stored import Front, read_front
from edgenas.runs.store import Store
from helpers.reporting_sample import sample

DATA = sample()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a frontier and measurements, as the steps write them."""
    folder = RunFolder(tmp_path / "run")
    write_config(folder, RunConfig(), "0")
    write_json(folder.search, to_json(DATA.search))
    write_json(folder.profile, to_json(replace(DATA.environment.profile, target="local")))
    store = Store(folder.store)
    for measurement in DATA.measurements[:20]:
        store.add_measurement(replace(measurement, target="local", outcome=plain(measurement)))
    return folder.path


def plain(measurement: Measurement) -> Outcome:
    """Return the outcome with Python's own floats."""
    latency = measurement.outcome.latency
    if latency is None:
        return measurement.outcome
    low, high = map(float, latency.ci95_ms)
    numbers = replace(
        latency,
        median_ms=float(latency.median_ms),
        p90_ms=float(latency.p90_ms),
        ci95_ms=(low, high),
    )
    return replace(measurement.outcome, latency=numbers)


@pytest.fixture
def front(run: Path) -> Front:
    return read_front(run)


def test_the_most_accurate_within_the_upper_bound_is_picked(front: Front) -> None:
    assert DATA.search is not None
    for limit in (0.12, 0.15, 0.2):
        within = [c for c in DATA.search.frontier if c.latency_ms.upper <= limit]
        best = max(within, key=lambda one: one.accuracy.mean)
        picked = pick(front, parse_constraints([f"latency<={limit}ms"]))
        assert picked.point.predicted["accuracy"] == best.accuracy


SUPERNET = b"weights"


def evaluate(run: Path, right: dict[int, int], n_images: int = 150) -> list[Candidate]:
    """Store right answers of frontier networks within 0.15 ms, the fastest being number 0.

    Each is right on the first images, so that of two networks one is right wherever the other is.
    """
    assert DATA.search is not None
    within = [c for c in DATA.search.frontier if c.latency_ms.upper <= 0.15]
    within.sort(key=lambda one: one.latency_ms.mean)
    RunFolder(run).supernet.write_bytes(SUPERNET)
    store = Store(RunFolder(run).store)
    for index, count in right.items():
        answers = Answers.of(image < count for image in range(n_images))
        accuracy = answers.accuracy
        sha256 = hashlib.sha256(SUPERNET).hexdigest()
        store.add_evaluation(
            Evaluation(within[index].architecture, sha256, accuracy, accuracy, n_images, answers)
        )
    return within


def test_of_evaluated_networks_that_are_alike_one_that_is_clearly_faster_is_picked(
    run: Path,
) -> None:
    # 146 and 144 of 150 are 2 images apart: noise; 120 is 24 behind: no noise
    within = evaluate(run, {0: 120, 1: 144, 12: 146})
    front = read_front(run)
    picked = pick(front, parse_constraints(["latency<=0.15ms"]))
    assert picked.point.architecture == within[1].architecture
    assert [one.architecture for one in picked.choice.evaluated] == [
        within[index].architecture for index in (12, 1, 0)
    ]
    assert reason(front, picked.choice) == (
        f"Of the {len(within)} networks within the limits, 3 were evaluated; the best 2 of these "
        "do not differ in accuracy beyond noise (96.0% of 150 validation images for it, 97.3% for "
        "the best): it has 45.9% less latency than the one that is expected to be the most "
        "accurate, by 1.2 points (a point counts as 20% of it)."
    )


def test_of_evaluated_networks_that_are_alike_one_per_cent_of_latency_decides_nothing(
    run: Path,
) -> None:
    within = evaluate(run, {0: 120, 1: 144, 2: 146})
    front = read_front(run)
    picked = pick(front, parse_constraints(["latency<=0.15ms"]))
    assert picked.point.architecture == within[2].architecture
    assert picked.choice.decided_by == "accuracy"
    assert "more accurate than the one of least latency, for 1.2% more latency" in reason(
        front, picked.choice
    )


def test_one_that_is_measurably_better_is_picked_though_slower(run: Path) -> None:
    within = evaluate(run, {0: 120, 2: 146})
    picked = pick(read_front(run), parse_constraints(["latency<=0.15ms"]))
    assert picked.point.architecture == within[2].architecture
    assert picked.choice.decided_by == "accuracy"


def test_a_prediction_beyond_what_any_evaluated_network_can_have_is_picked(run: Path) -> None:
    within = evaluate(run, {0: 60})
    front = read_front(run)
    picked = pick(front, parse_constraints(["latency<=0.15ms"]))
    assert picked.point.architecture == max(within, key=lambda c: c.accuracy.mean).architecture
    assert "none of these reaches" in reason(front, picked.choice)


def test_the_command_says_why_and_which_were_evaluated(run: Path) -> None:
    within = evaluate(run, {1: 144, 12: 146})
    arguments = [str(run), "--max-latency", "0.15ms"]
    text = CliRunner().invoke(command, arguments).output
    assert "2 were evaluated" in text
    assert f"evaluated, not measurably worse: accuracy 97.33 %\n  {within[12].architecture}" in text
    choice = json.loads(CliRunner().invoke(command, [*arguments, "--json"]).output)["choice"]
    assert choice["is_evaluated"] is True
    assert choice["decided_by"] == "latency_ms"
    assert choice["evaluated"] == [
        {"network": str(within[12].architecture), "accuracy": 146 / 150, "is_alike": True},
        {"network": str(within[1].architecture), "accuracy": 144 / 150, "is_alike": True},
    ]
    assert "2 were evaluated" in choice["reason"]


def test_values_of_a_table_are_exact(tmp_path: Path) -> None:
    """Networks differ by what was looked up, however little; equal ones by the cost."""
    folder = RunFolder(tmp_path / "run")
    write_config(folder, RunConfig(), "0")
    networks = [TableRow(index, index, {"op": str(index)}) for index in range(4)]
    accuracies, latencies = (0.901, 0.9, 0.901, 0.8), (2.0, 1.0, 1.5, 0.5)
    points = tuple(
        Candidate.of(
            one,
            {
                "latency_ms": Interval(latency, latency, latency),
                "accuracy": Interval(accuracy, accuracy, accuracy),
            },
        )
        for one, latency, accuracy in zip(networks, latencies, accuracies, strict=True)
    )
    rows = tuple(
        LookedUp(one, ("accuracy",), "ok", "", {"accuracy": accuracy})
        for one, accuracy in zip(networks, accuracies, strict=True)
    )
    search = SearchResult("exact", 1, (), 0.9, points, points, True, 0.0, 4, 0.1)
    responses = (
        TableResponse("latency_ms", "latency", "ms", "min", "ms", 4, 0.5, 2.0),
        TableResponse("accuracy", "accuracy", "fraction", "max", "top1", 4, 0.8, 0.901),
    )
    card = TableCard("board", "table", "a board", "", {}, 4, 4, 4, 9.0, {}, responses)
    write_json(folder.search, to_json(search))
    write_json(folder.table, to_json(card))
    write_json(folder.looked_up, to_json(LookedUpRows("replayed from t.csv", rows)))
    front = read_front(folder.path)
    picked = pick(front, parse_constraints(["latency<=3ms"]))
    assert picked.point.name == "row 2: op=2"
    assert reason(front, picked.choice) == (
        "Of the 4 networks within the limits, 4 were looked up; the best 2 of these do not differ "
        "in accuracy: it is the fastest."
    )


def test_it_lies_between_the_nearest_measured_points(front: Front) -> None:
    picked = pick(front, parse_constraints(["latency<=0.15ms"]))
    mean = picked.point.predicted["latency_ms"].mean
    measured = sorted(
        m.measured["latency_ms"] for m in front.measured if m.name != picked.point.name
    )
    assert picked.below is not None
    assert picked.above is not None
    assert picked.below.measured["latency_ms"] == max(x for x in measured if x <= mean)
    assert picked.above.measured["latency_ms"] == min(x for x in measured if x > mean)


def test_limits_that_no_point_keeps_say_what_can_be_had(front: Front) -> None:
    least = min(point.predicted["latency_ms"].upper for point in front.points)
    with pytest.raises(InfeasibleError, match=f"least upper bound of latency is {least:.4g} ms"):
        pick(front, parse_constraints(["latency<=1us"]))
    with pytest.raises(InputError, match="has no energy_mj"):
        pick(front, parse_constraints(["energy<=1mJ"]))
    with pytest.raises(InputError, match="Say what the network must keep"):
        pick(front, {})


def test_a_response_that_was_not_searched_for_is_said_to_be(run: Path) -> None:
    assert DATA.search is not None
    sized = [
        replace(one, responses={"model_bytes": replace(one.latency_ms, mean=5e4, upper=5e4)})
        for one in DATA.search.frontier
    ]
    write_json(RunFolder(run).search, to_json(replace(DATA.search, frontier=tuple(sized))))
    picked = pick(read_front(run), parse_constraints(["size<=60kB"]))
    assert "was not searched for model size" in picked.notes[-1]


def test_a_run_without_a_frontier_is_one_clear_line(tmp_path: Path, run: Path) -> None:
    with pytest.raises(RunFolderError, match="is not a run folder"):
        read_front(tmp_path)
    assert DATA.search is not None
    empty: SearchResult = replace(DATA.search, frontier=())
    write_json(RunFolder(run).search, to_json(empty))
    with pytest.raises(RunFolderError, match="has no frontier"):
        read_front(run)
    RunFolder(run).search.unlink()
    with pytest.raises(RunFolderError, match="edgenas optimize"):
        read_front(run)


def test_the_command_prints_text_and_json(run: Path) -> None:
    arguments = [str(run), "--max-latency", "0.15ms"]
    text = CliRunner().invoke(command, arguments)
    assert "measured, nearest under it in latency" in text.output
    done = CliRunner().invoke(command, [*arguments, "--json"])
    document = json.loads(done.output)
    assert document["predicted"]["latency_ms"]["upper"] <= 0.15
    assert document["between"]["below"]["measured"]["latency_ms"] > 0


def test_a_run_on_a_table_is_picked_from_too(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    write_config(folder, RunConfig(), "0")
    network = TableRow(3, 4, {"op": "conv"})
    predicted = {"latency_ms": Interval(2.0, 1.9, 2.1), "accuracy": Interval(0.9, 0.9, 0.9)}
    candidates = (Candidate.of(network, predicted),)
    search = SearchResult("exact", 1, (), 0.9, candidates, candidates, True, 0.0, 9, 0.1)
    responses = (
        TableResponse("latency_ms", "latency", "ms", "min", "ms", 9, 1.0, 9.0),
        TableResponse("accuracy", "accuracy", "fraction", "max", "top1", 9, 0.1, 0.9),
    )
    card = TableCard("board", "table", "a board", "", {}, 9, 9, 9, 9.0, {}, responses)
    known = LookedUp(TableRow(5, 6, {"op": "skip"}), ("latency_ms",), "ok", "", {"latency_ms": 1.0})
    write_json(folder.search, to_json(search))
    write_json(folder.table, to_json(card))
    write_json(folder.looked_up, to_json(LookedUpRows("replayed from t.csv", (known,))))
    picked = pick(read_front(folder.path), parse_constraints(["latency<=3ms"]))
    assert picked.point.name == "row 4: op=conv"
    assert picked.below is not None
    assert picked.below.name == "row 6: op=skip"
    assert any("Nothing was looked up with more latency" in note for note in picked.notes)
    with pytest.raises(InfeasibleError, match=r"least upper bound of latency is 2\.1 ms"):
        pick(read_front(folder.path), parse_constraints(["latency<=2ms"]))


def test_a_search_is_printed_with_its_goals_and_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert DATA.search is not None
    sized = [replace(one, responses={"macs": one.latency_ms}) for one in DATA.search.candidates]
    search = replace(DATA.search, candidates=tuple(sized), constraints=("macs<=9M",))
    limits = (Limit("latency_ms", at_most=0.2), Limit("macs", at_most=9e6))
    search = replace(search, limits=limits)
    step_result("optimize", {"run": "runs/x", "result": to_json(search)})
    text = capsys.readouterr().out
    assert "objective accuracy; limits latency_ms<=0.2ms, macs<=9M; by exact" in text
    assert "multiply" in text


def test_nothing_heavy_is_imported(run: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edgenas.runs.frontier.pick import pick; "
        "from edgenas.runs.frontier.stored import read_front; "
        "from edgenas.core.goals import parse_constraints as p; "
        f"pick(read_front(Path({str(run)!r})), p(['latency<=0.15ms'])); "
        "bad = {'torch', 'statsmodels', 'scipy', 'altair', 'onnx', 'onnxruntime', 'sklearn'}; "
        "sys.exit(str(bad & set(sys.modules)) if bad & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
