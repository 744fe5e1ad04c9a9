"""Searches on measured tables: end to end, resumed, explained; nothing is said to be measured."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import edgenas
from edgenas.cli.main import edgenas as command_line
from edgenas.core import plugins
from edgenas.core.errors import EdgeNasError, InfeasibleError, InputError
from edgenas.core.progress import Silent
from edgenas.optimize.table import TableProblem
from edgenas.runs import search
from edgenas.runs.open import open_run
from edgenas.runs.run import RunContext
from helpers.browser import barriers, browser_or_skip
from helpers.html_page import Page

OPERATIONS = ("none", "skip", "conv1", "conv3")
COST = {"none": 0.0, "skip": 0.1, "conv1": 0.5, "conv3": 2.0}
GAIN = {"none": 0.0, "skip": 2.0, "conv1": 5.0, "conv3": 8.0}
TOML = """kind = "table"
path = "board.csv"
architecture = ["op_*"]
board = "a board"
[responses]
latency_ms = "ms"
energy_mj = "mj"
accuracy = { column = "top1", unit = "percent" }
"""


def rows() -> list[tuple[str, ...]]:
    """A board whose latency is nearly additive, and accuracy less so."""
    rng = np.random.default_rng(0)
    lines = []
    for chosen in itertools.product(OPERATIONS, repeat=4):
        ms = 1 + sum(COST[op] for op in chosen) + rng.normal(0, 0.02)
        top1 = 50 + sum(GAIN[op] for op in chosen) + 3 * (chosen[0] == chosen[1])
        noisy = top1 + rng.normal(0, 0.3)
        lines.append(
            (*chosen, f"{ms:.4f}", f"{1.5 * ms + rng.normal(0, 0.05):.4f}", f"{noisy:.3f}")
        )
    return lines


def write(folder: Path, lines: list[tuple[str, ...]]) -> Path:
    head = ("op_0", "op_1", "op_2", "op_3", "ms", "mj", "top1")
    text = "\n".join(",".join(line) for line in (head, *lines))
    (folder / "board.csv").write_text(text + "\n")
    (folder / "board.toml").write_text(TOML)
    return folder / "board.toml"


def looked_up(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "looked_up.json").read_text())["rows"]
    return found


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("table")
    target = write(folder, rows())
    asked = {"target": str(target), "max_latency_ms": 5.0, "samples": 30, "evaluate": 40}
    return target, folder / "run", search.search(folder / "run", asked, Silent(), resume=False)


def test_finds_a_network_near_the_best_of_the_table(
    searched: tuple[Path, Path, dict[str, Any]],
) -> None:
    target, _, document = searched
    table = TableProblem.read(target).table
    within = table.response("latency_ms") <= 5.0
    best = table.response("accuracy")[within].max()

    winner = document["winner"]

    assert document["table"]["best"]["values"]["accuracy"] == pytest.approx(best)
    assert winner["within"] and winner["looked_up"]["latency_ms"] <= 5.0
    assert document["table"]["regret"] == pytest.approx(best - winner["looked_up"]["accuracy"])
    assert document["table"]["regret"] < 0.02
    index = winner["row"] - 1
    assert winner["looked_up"] == pytest.approx(
        {name: table.response(name)[index] for name in ("latency_ms", "energy_mj", "accuracy")}
    )
    assert len(looked_up(searched[1])) < 60 and document["provider"] == "replayed from board.csv"


def test_never_says_that_it_was_measured(searched: tuple[Path, Path, dict[str, Any]]) -> None:
    _, run, document = searched
    page = (run / "report.html").read_text("utf-8")

    assert document["status"] == "looked up"
    assert "pass" not in json.dumps({k: v for k, v in document.items() if k != "run"}).lower()
    assert "This is a replay." in page and "replayed from board.csv" in page
    assert "--max-latency 5ms" in page and "--data" not in page and "--device-time" not in page
    shown = page.split("<script>")[0]
    assert "Passed" not in shown and "src=" not in shown
    assert "true front" in page and "predicted front" in page


class TablePage(Page):
    first_heading = "The predicted front beside the true one"


def limit_answers(run: Path) -> dict[str, Any]:
    """Return what the page's script reads of limits."""
    found = map(json.loads, TablePage((run / "report.html").read_text("utf-8")).data)
    return next(one for one in found if isinstance(one, dict) and "runs" in one)


def picked(run: Path, limit_ms: float) -> str | None:
    try:
        return edgenas.open_run(run).pick(max_latency_ms=limit_ms).picked.point.name
    except InfeasibleError:
        return None


def limits_of(run: Path) -> list[float]:
    """Return twenty limits from below the fastest network to above the slowest."""
    bounds = [one["from"] for one in limit_answers(run)["runs"][0]["choices"]]
    return [float(f"{x:.4g}") for x in np.linspace(0.9 * bounds[0], 1.05 * bounds[-1], 20)]


def test_the_page_has_what_pick_gives_at_twenty_limits(
    searched: tuple[Path, Path, dict[str, Any]],
) -> None:
    _, run, document = searched
    budgets = limit_answers(run)
    (of,) = budgets["runs"]
    assert budgets["limit"] == 5.0 and budgets["unit"] == "ms" and of["how"] == "looked up"
    expected = [picked(run, limit) for limit in limits_of(run)]
    assert None in expected and len(set(expected)) > 8
    for limit, network in zip(limits_of(run), expected, strict=True):
        within = [one["network"] for one in of["choices"] if one["from"] <= limit]
        assert (within[-1] if within else None) == network
    winner = document["winner"]["choices"]
    for one in of["choices"]:
        row = dict(part.split("=") for part in one["network"].split(": ")[1].split(", "))
        changed = {f"{n}: {row[n]} instead of {winner[n]}" for n in row if row[n] != winner[n]}
        assert set(one["changes"]) == changed


@pytest.mark.slow
def test_in_a_browser_the_slider_gives_what_pick_gives(
    searched: tuple[Path, Path, dict[str, Any]],
) -> None:
    run = searched[1]
    browser = browser_or_skip(run / "report.html")
    with browser as page:
        for limit in limits_of(run):
            page.fill("#budget-limit", repr(limit))
            expected = picked(run, limit) or "No network of the frontier is within this limit."
            assert page.text_content(".budget-answer .net") == expected, limit
            command = page.text_content(".budget-answer code")
            assert command == f"edgenas pick {run} --max-latency {limit:g}ms"
        assert browser.requested == [browser.url] and browser.problems == []
        assert barriers(page) == []


def test_resuming_reuses_what_was_found(searched: tuple[Path, Path, dict[str, Any]]) -> None:
    _, run, document = searched

    again = search.search(run, {}, Silent(), resume=True)

    assert again["winner"] == document["winner"]
    assert any("search and its verification" in text for text in again["reused"])


def without_a_page(run: Path, asked: dict[str, Any], progress: Silent) -> dict[str, Any]:
    """Search once, and neither explain nor draw: that takes longest."""
    for name in ("probe", "measure", "evaluate", "fit", "optimize"):
        search.run_step(name, run, asked, progress)
    return search.run_step("verify", run, asked, progress)


def test_other_limits_search_again_from_what_is_known(tmp_path: Path) -> None:
    target, run = write(tmp_path, rows()), tmp_path / "run"
    asked = {"target": str(target), "max_latency_ms": 5.0, "samples": 20}
    without_a_page(run, asked, Silent())
    before = [row["network"]["row"] for row in looked_up(run)]

    more = {"constraints": ("energy_mj<=4",), "samples": 24}
    document = without_a_page(run, more, Silent())

    assert document["winner"]["looked_up"]["energy_mj"] <= 4.0
    assert {limit["response"] for limit in document["limits"]} == {"latency_ms", "energy_mj"}
    after = [row["network"]["row"] for row in looked_up(run)]
    assert after[: len(before)] == before and len(after) > len(before)


def test_a_limit_is_dropped_and_searched_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, run = write(tmp_path, rows()), tmp_path / "run"
    asked = {"target": str(target), "constraints": ("energy_mj<=4",), "samples": 20}
    without_a_page(run, asked, Silent())
    with open_run(run, {"constraints": ()}, Silent(), resume=True) as context:
        names: list[str] = []
        run_step = search.step

        def step(context: RunContext, name: str, **options: Any) -> Any:
            names.append(name)
            return 0 if name in ("explain", "report") else run_step(context, name, **options)

        monkeypatch.setattr(search, "step", step)
        document = search.conclude(context, 0)
    assert {"fit", "optimize", "verify"} <= set(names)
    assert [limit["response"] for limit in document["limits"]] == ["latency_ms"]


def test_a_changed_table_is_refused(tmp_path: Path) -> None:
    target, run = write(tmp_path, rows()), tmp_path / "run"
    search.run_step("probe", run, {"target": str(target)}, Silent())
    write(tmp_path, rows()[1:])
    with pytest.raises(InputError, match="changed since"):
        search.run_step("measure", run, {}, Silent())


def test_explains_the_columns(searched: tuple[Path, Path, dict[str, Any]]) -> None:
    document = search.explain(searched[1], Silent())

    assert document["int8"] is None
    with pytest.raises(InputError, match="no layers"):
        search.explain(searched[1], Silent(), layers=True)
    latency = next(report for report in document["result"] if report["response"] == "latency_ms")
    effects = {effect["change"]: effect for effect in latency["effects"]}
    # categories are sorted: the first is conv1
    one = effects["op_2: conv3 instead of conv1"]
    assert one["lower"] <= COST["conv3"] - COST["conv1"] <= one["upper"]
    predicted = searched[2]["winner"]["predicted"]["latency_ms"]
    if predicted["lower"] < predicted["upper"]:
        parts = sum(part["effect"] for part in latency["breakdown"])
        assert parts == pytest.approx(predicted["mean"], abs=0.1)


def test_the_page_draws_what_numbers_do_and_columns_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["width,kernel,ms,top1"]
    for width, kernel in itertools.product(range(8, 72, 4), (3, 5, 7, 9)):
        ms = 0.1 * width + 0.2 * kernel + 0.02 * width * kernel + rng.normal(0, 0.05)
        lines.append(f"{width},{kernel},{ms:.4f},{40 + width**0.5 + rng.normal(0, 0.1):.3f}")
    (tmp_path / "board.csv").write_text("\n".join(lines))
    named = TOML.replace("op_*", 'width", "kernel').replace('energy_mj = "mj"\n', "")
    (tmp_path / "board.toml").write_text(named)
    asked = {"target": str(tmp_path / "board.toml"), "max_latency_ms": 8.0}
    search.search(tmp_path / "run", {**asked, "samples": 50}, Silent(), resume=False)
    latency = next(
        one
        for one in json.loads((tmp_path / "run" / "explanation.json").read_text())
        if one["response"] == "latency_ms"
    )
    shapes = latency["shapes"]
    assert shapes["effects_in"] in ("ms", "%")
    assert {one["column"] for one in shapes["curves"]} == {"width", "kernel"}
    assert ["kernel", "width"] in [sorted(one["columns"]) for one in shapes["together"]]
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert 'data-name="latency-ms-curve-0"' in page and "What choices do together" in page


def test_searches_among_rows_that_lack_values(tmp_path: Path) -> None:
    lines = rows()
    for index in range(0, len(lines), 5):
        lines[index] = (*lines[index][:4], "", *lines[index][5:])
    progress = Silent()
    asked = {"target": str(write(tmp_path, lines)), "max_latency_ms": 4.0}

    document = without_a_page(tmp_path / "run", asked, progress)

    assert document["winner"]["looked_up"]["latency_ms"] <= 4.0
    assert any("no latency_ms of 52 of its 256 networks" in text for text in progress.warnings)
    failed = [row for row in looked_up(tmp_path / "run") if row["status"] == "failed"]
    assert failed and all("latency_ms" not in row["values"] for row in failed)


def test_says_which_limit_nothing_meets(tmp_path: Path) -> None:
    asked = {"target": str(write(tmp_path, rows())), "max_latency_ms": 0.2}
    with pytest.raises(InfeasibleError, match="least upper bound of latency"):
        search.search(tmp_path / "run", asked, Silent(), resume=False)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"data": "digits"}, "--data means nothing"),
        ({"epochs": 3}, "--epochs means nothing"),
        ({"finetune": 3}, "--finetune means nothing"),
        ({"device_time_s": 3.0}, "--device-time means nothing"),
        ({"constraints": ("peak_rss<=4MB",)}, "no response 'peak_rss'"),
        ({"reward": "mixed"}, "exact has no rewards"),
        ({"objectives": ("enrgy_mj",)}, "Did you mean 'energy_mj'"),
    ],
)
def test_refuses_what_a_table_does_not_have(
    asked: dict[str, Any], said: str, tmp_path: Path
) -> None:
    target = write(tmp_path, rows())
    with pytest.raises(EdgeNasError, match=said):
        search.search(tmp_path / "run", {"target": str(target), **asked}, Silent(), False)


def test_searches_responses_that_no_board_gives(tmp_path: Path) -> None:
    target = write(tmp_path, rows())
    named = (
        TOML.replace("accuracy = ", "score = ")
        .replace('unit = "percent"', 'goal = "max"')
        .replace("latency_ms", "wait")
    )
    target.write_text(named.replace('wait = "ms"', 'wait = { column = "ms", goal = "min" }'))
    asked = {"target": str(target), "constraints": ("wait<=4", "energy<=8mJ"), "samples": 60}

    document = without_a_page(tmp_path / "run", asked, Silent())

    assert document["objectives"] == ["score"] and document["winner"]["looked_up"]["wait"] <= 4
    assert document["table"]["regret"] < 2


def test_every_optimizer_searches_a_table(tmp_path: Path) -> None:
    target, run = write(tmp_path, rows()), tmp_path / "run"
    asked = {"target": str(target), "max_latency_ms": 5.0}
    exact = without_a_page(run, asked, Silent())

    for name in plugins.names("optimizers"):
        search.run_step("optimize", run, {"optimizer": name, "budget": 100}, Silent())
        document = search.run_step("verify", run, {}, Silent())
        assert document["search"]["method"] == name
        if name != "exact":
            assert document["search"]["evaluations"] <= 100 and not document["search"]["optimal"]
        assert document["winner"]["looked_up"]["latency_ms"] <= 5.0
        assert document["table"]["best"] == exact["table"]["best"]


def test_has_no_step_that_needs_a_machine(tmp_path: Path) -> None:
    run = tmp_path / "run"
    search.run_step("probe", run, {"target": str(write(tmp_path, rows()))}, Silent())
    with pytest.raises(InputError, match="nothing to export"):
        search.run_step("export", run, {}, Silent())


def test_the_command_line_shows_a_replay(
    searched: tuple[Path, Path, dict[str, Any]],
) -> None:
    target, run, _ = searched
    shown = CliRunner().invoke(command_line, ["report", str(run)])
    card = CliRunner().invoke(command_line, ["probe", str(target)])
    document = CliRunner().invoke(command_line, ["probe", str(target), "--json"])

    assert shown.exit_code == 0 and "REPLAY: replayed from board.csv" in shown.stdout
    assert "PASS" not in shown.stdout
    assert "256 rows, 256 architectures" in card.stdout
    assert json.loads(document.stdout)["variables"]["op_0"] == sorted(OPERATIONS)


def test_a_folder_whose_name_is_no_utf_8_is_a_run_folder_too(tmp_path: Path) -> None:
    target = write(tmp_path, rows())
    run = tmp_path / os.fsdecode(b"r-\xff\xe9")
    asked = {"target": str(target), "max_latency_ms": 5.0}
    found = search.search(run, asked, Silent(), resume=False)
    assert found["run"] == str(run)
    assert r"r-\udcff\udce9" in (run / "report.html").read_text("utf-8")
