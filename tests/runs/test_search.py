"""The whole product, small: one search on this machine, killed and resumed, and its report."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.int8.engines.host import logits
from helpers import scripted_clock
from helpers.cli import edgenas
from helpers.dashboard import served
from helpers.html_page import Page

# The engine is named, for which one is the fastest depends on the processor.
ENGINE = 'engine = "onnxruntime"'
SMALL = ("--epochs", "2", "--samples", "10", "--evaluate", "10", "--top", "1", "--seed", "1")


class ComparisonPage(Page):
    first_heading = "The winners side by side"


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose runtime has a scripted clock: what is measured there keeps its limit."""
    folder = tmp_path_factory.mktemp("clock")
    with scripted_clock.ticking(folder):
        yield folder


@pytest.fixture(scope="module")
def searched(clock: Path) -> tuple[Path, dict[str, Any]]:
    """A search that was killed without warning while it measured, and then resumed."""
    run, target = clock / "run", scripted_clock.target_file(clock, "local", ENGINE)
    process = subprocess.Popen(
        [sys.executable, "-m", "edgenas", "search", "--target", target, "--out", str(run), *SMALL],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=scripted_clock.environment(clock),
    )
    deadline = time.monotonic() + 900
    while not any(run.glob("jobs/measure-*/**/journal.jsonl")):
        assert process.poll() is None, "the search ended before it measured"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = edgenas("search", "--out", str(run), "--resume", "--json")
    assert resumed.returncode == 0, resumed.stderr
    return run, json.loads(resumed.stdout)


def test_the_document_has_what_scripts_depend_on(searched: tuple[Path, dict[str, Any]]) -> None:
    _, document = searched
    assert set(document) >= {
        *("status", "run", "target", "constraint", "winner", "candidates", "frontier"),
        *("predictors", "search", "seconds", "warnings"),
    }
    assert set(document["constraint"]) == {"latency_ms", "confidence"}
    assert set(document["search"]) >= {"method", "optimal", "gap"}
    for errors in document["predictors"].values():
        assert set(errors) >= {"n", "rmse", "mape", "kendall_tau", "coverage"}
    candidate = document["candidates"][0]
    assert set(candidate) >= {
        *("architecture", "predicted_latency_ms", "measured_latency_ms", "fp32_accuracy"),
        *("int8_accuracy", "device_accuracy", "agreement", "peak_rss_bytes", "model", "sha256"),
    }
    assert set(candidate["measured_latency_ms"]) == {"median", "p90", "ci95"}
    assert set(candidate["predicted_latency_ms"]) == {"mean", "lower", "upper"}
    assert document["status"] == "pass"
    assert document["winner"] is not None


def test_what_was_finished_before_the_kill_was_reused(
    searched: tuple[Path, dict[str, Any]],
) -> None:
    _, document = searched
    assert "the trained supernet" in document["reused"]


def test_the_exported_file_is_the_one_that_was_verified(
    searched: tuple[Path, dict[str, Any]],
) -> None:
    _, document = searched
    candidate = document["candidates"][0]
    model = Path(candidate["model"])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    size = candidate["architecture"]["resolution"]
    assert session.get_inputs()[0].shape == [1, 1, size, size]
    assert candidate["agreement"] == 1.0  # host and target are one machine here
    assert candidate["device_accuracy"] == candidate["int8_accuracy"]
    assert candidate["peak_rss_bytes"] > 10_000_000


def test_the_card_says_how_an_input_is_made(searched: tuple[Path, dict[str, Any]]) -> None:
    _, document = searched
    candidate = document["candidates"][0]
    model = Path(candidate["model"])
    made = json.loads(model.with_name(model.name.split(".")[0] + ".json").read_text())["input"]
    size = candidate["architecture"]["resolution"]
    assert {name: made[name] for name in ("fit", "image_size", "size", "channels")} == {
        "fit": "crop",
        "image_size": 16,
        "size": size,
        "channels": "grey",
    }
    assert (made["layout"], made["dtype"]) == ("nchw", "float32")
    assert (made["resampling"], made["formula"]) == ("bilinear", "(pixel / 255 - mean) / std")
    test = base.load("digits", seed=0, progress=Silent()).test.resized(size)
    fed = (test.images / 255 - made["mean"]) / made["std"]
    batch = fed.transpose(0, 3, 1, 2).astype(np.float32)
    # the product's own session: a plain one saturates on processors without VNNI
    right = logits(model.read_bytes(), batch).argmax(1) == test.labels
    assert np.mean(right) == pytest.approx(candidate["device_accuracy"], abs=0.003)


def test_int8_is_held_against_float_layer_by_layer(searched: tuple[Path, dict[str, Any]]) -> None:
    run, document = searched
    timed = [one for one in document["candidates"] if one["fp32_latency_ms"] is not None]
    assert timed[0]["sha256"] == document["candidates"][0]["sha256"]
    slow = [one["measured_latency_ms"]["median"] >= one["fp32_latency_ms"] for one in timed]
    warned = ["int8 is not faster than float on local" in text for text in document["warnings"]]
    assert any(slow) == any(warned)
    int8 = json.loads(edgenas("explain", str(run), "--layers", "--json").stdout)["int8"]
    assert int8["sha256"] == document["winner"]["sha256"]
    assert [int8["layers"][end]["name"] for end in (0, -1)] == ["input", "logits"]
    assert sum(int8["noise_shares"].values()) == pytest.approx(1)
    page = (run / "report.html").read_text("utf-8")
    assert int8["says"][1] in page


def test_a_finished_run_is_not_done_again(searched: tuple[Path, dict[str, Any]]) -> None:
    run, document = searched
    again = edgenas("search", "--out", str(run), "--resume", "--json")
    repeated = json.loads(again.stdout)
    assert repeated["candidates"] == document["candidates"]
    assert repeated["constraint"] == document["constraint"]
    assert {"10 of 10 measurements", "10 of 10 evaluations"} <= set(repeated["reused"])


def test_the_winner_is_packed_checked_and_its_evidence_replays(
    searched: tuple[Path, dict[str, Any]],
) -> None:
    run, _ = searched
    done = edgenas("submit", str(run), "--challenge", "generic", "--json")
    submission = json.loads(done.stdout)
    assert (done.returncode, submission["status"]) == (0, "pass"), submission["findings"]
    replayed = edgenas("verify", "--replay", submission["evidence"], "--json")
    checks = json.loads(replayed.stdout)
    assert replayed.returncode == 0
    assert {check["status"] for check in checks["checks"]} == {"follows"}


def test_an_infeasible_limit_names_the_fastest_network(
    searched: tuple[Path, dict[str, Any]],
) -> None:
    run, _ = searched
    done = edgenas("optimize", str(run), "--max-latency", "0.001us", "--json")
    assert done.returncode == 3
    assert "least upper bound" in done.stderr
    assert "12px" in done.stderr


def test_each_step_runs_alone(searched: tuple[Path, dict[str, Any]]) -> None:
    run, document = searched
    limit = f"{document['constraint']['latency_ms']}ms"
    for step in ("fit", "optimize", "export", "explain"):
        options = () if step == "explain" else ("--max-latency", limit)
        done = edgenas(step, str(run), *options, "--json")
        assert done.returncode == 0, f"{step}: {done.stderr}"
        assert json.loads(done.stdout)["step"] == step


def test_the_report_is_one_page_with_the_answer(searched: tuple[Path, dict[str, Any]]) -> None:
    run, document = searched
    page = (run / "report.html").read_text("utf-8")
    assert document["candidates"][0]["sha256"][:8] in page
    assert "<svg" in page
    assert "http-equiv" in page
    assert 'src="http' not in page


def test_any_runs_are_compared_on_one_page(
    searched: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run, _ = searched
    later, page = tmp_path / "javascript:<b>later", tmp_path / "compared.html"
    shutil.copytree(run, later, ignore=shutil.ignore_patterns("jobs"))
    options = json.loads((later / "run.json").read_text())
    options["config"]["seed"] = 99
    (later / "run.json").write_text(json.dumps(options))
    words = ("compare", str(run), str(later), "-o", str(page))
    done = edgenas(*words, "--json")
    assert done.returncode == 0, done.stderr
    compared = json.loads(done.stdout)
    first, second = compared["runs"]
    assert compared["reference"] == first and compared["runs"][second] == str(later)
    assert compared["speed"][second]["ratio"] == pytest.approx(1.0)
    assert all(
        of["ratios"][second]["ratio"] == 1.0 for of in compared["comparison"] if of["ratios"]
    )
    assert {"what": "option seed", "values": ["1", "99"]} in compared["changed"]
    shown = ComparisonPage(page.read_text("utf-8"))
    assert shown.only_own_scripts_run() and "javascript%3A%3Cb%3Elater/report.html" in shown.links
    assert "option seed" in shown.text and "<b>later" in shown.text
    assert edgenas(*words).returncode == 0  # over its own page
    page.write_text("mine")
    assert edgenas(*words).returncode != 0 and page.read_text() == "mine"
    assert "each once" in edgenas("compare", str(run), str(run)).stderr


def test_a_film_of_the_search_replaces_only_its_own(
    searched: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run, _ = searched
    film = tmp_path / "search.svg"
    for _ in range(2):
        done = edgenas("report", str(run), "--animate", str(film))
        assert done.returncode == 0, done.stderr
    assert 'attributeName="visibility"' in film.read_text("utf-8")
    film.write_text("mine")
    assert edgenas("report", str(run), "--animate", str(film)).returncode == 2
    assert film.read_text() == "mine"
    refused = edgenas("report", str(run), "--animate", str(tmp_path / "search.gif"))
    assert refused.returncode == 2 and "End it in .svg" in refused.stderr
    assert 'value"' in next((run / "node_data").glob("*.json")).read_text("utf-8")


def test_runs_that_are_ticked_in_a_dashboard_are_compared_and_nothing_is_written(
    searched: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run, _ = searched
    for name in ("one", "two & more"):
        shutil.copytree(run, tmp_path / name, ignore=shutil.ignore_patterns("jobs"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with served(tmp_path) as dashboard:
        answer = dashboard.get("compare?run=one&run=two%20%26%20more")
        assert dashboard.get("compare?run=one").status == 409
        assert dashboard.get("compare?run=one&run=..").status == 404
    assert answer.status == 200 and "sandbox" in answer.headers["content-security-policy"]
    page = ComparisonPage(answer.text)
    assert page.only_own_scripts_run() and "two%20%26%20more/report.html" in page.links
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.slow  # by default: test_verdicts.py, without a search
def test_what_is_newer_than_the_verification_is_not_verified_until_it_is(
    searched: tuple[Path, dict[str, Any]],
) -> None:
    run, document = searched
    limit_ms = 0.97 * document["constraint"]["latency_ms"]
    assert edgenas("optimize", str(run), "--max-latency", f"{limit_ms}ms").returncode == 0
    assert edgenas("export", str(run)).returncode == 0
    done = edgenas("report", str(run), "--json")
    outdated = json.loads(done.stdout)
    assert (done.returncode, outdated["status"], outdated["winner"]) == (8, "not verified", None)
    assert outdated["next_command"] == f"edgenas verify {run}"
    assert "Not verified as it is now" in (run / "report.html").read_text("utf-8")
    assert edgenas("submit", str(run), "--challenge", "generic").returncode == 8
    shown = edgenas("report", str(run))
    assert "NOT VERIFIED" in shown.stdout
    assert "PASS" not in shown.stdout
    slow = edgenas("verify", str(run), "--max-latency", "0.001us", "--json")
    assert (slow.returncode, json.loads(slow.stdout)["status"]) == (1, "fail")
    again = edgenas("verify", str(run), "--max-latency", f"{limit_ms}ms", "--json")
    verified = json.loads(again.stdout)
    assert (again.returncode, verified["status"]) == (0, "pass")
    assert verified["constraint"]["latency_ms"] == limit_ms
    assert verified["reservations"]  # two epochs teach less than a plain baseline knows
    assert edgenas("report", str(run), "--strict").returncode == 7


def test_the_explanation_adds_up_and_says_what_to_change(
    searched: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run, _ = searched
    done = edgenas("explain", str(run), "--save", "5us", "--png", str(tmp_path), "--json")
    document = json.loads(done.stdout)
    latency = document["result"][0]
    assert latency["response"] == "latency_ms"
    assert len(latency["breakdown"]) == 4  # what is fixed, and three stages
    assert document["savings"][0]["change"]
    plots = [Path(path) for path in document["plots"]]
    assert plots
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in plots)


@pytest.mark.slow  # by default: test_golden.py, on a scripted board
def test_other_goals_are_searched_for_and_picked_from_the_frontier(
    searched: tuple[Path, dict[str, Any]],
) -> None:
    run, _ = searched
    goals = ("--objective", "accuracy", "--objective", "latency_ms", "--objective", "model_bytes")
    done = edgenas(
        "optimize", str(run), *goals, "--constraint", "size<=80kB", "--top", "3", "--json"
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)["result"]
    assert len(result["candidates"]) == 3
    for candidate in result["candidates"]:
        assert candidate["responses"]["model_bytes"]["upper"] <= 80_000
    slowest = result["frontier"][-1]["latency_ms"]["upper"]
    picked = edgenas("pick", str(run), "--max-latency", f"{slowest}ms", "--json")
    assert json.loads(picked.stdout)["predicted"]["latency_ms"]["upper"] <= slowest
    refused = edgenas("optimize", str(run), "--reward", "mixed")
    assert (refused.returncode, "has no rewards" in refused.stderr) == (2, True)
    assert edgenas("optimize", str(run), "--reward", "none").returncode == 0
    nothing = edgenas("optimize", str(run), "--constraint", "size<=1kB", "--json")
    assert nothing.returncode == 3
    assert "cannot be kept by any" in nothing.stderr
