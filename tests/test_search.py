"""The whole product, small: one search on this machine, killed and resumed, and its report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

ROOT = Path(__file__).parents[1]
SMALL = ("--epochs", "2", "--samples", "10", "--evaluate", "10", "--top", "1", "--seed", "1")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "edgenas", *arguments]


def edgenas(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment(), check=False
    )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A search that was killed without warning while it measured, and then resumed."""
    run = tmp_path_factory.mktemp("search") / "run"
    process = subprocess.Popen(
        command("search", "--out", str(run), *SMALL),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    deadline = time.monotonic() + 240
    while not any(run.glob("jobs/measure-*/**/journal.jsonl")) and time.monotonic() < deadline:
        assert process.poll() is None, "the search ended before it measured"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = edgenas("search", "--out", str(run), "--resume", "--json")
    assert resumed.returncode in (0, 1), resumed.stderr
    document = json.loads(resumed.stdout)
    assert resumed.returncode == (0 if document["status"] == "pass" else 1)
    return run, document


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
    assert (document["status"] == "pass") == (document["winner"] is not None)


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


def test_int8_is_held_against_float_layer_by_layer(searched: tuple[Path, dict[str, Any]]) -> None:
    run, document = searched
    timed = [one for one in document["candidates"] if one["fp32_latency_ms"] is not None]
    assert timed[0]["sha256"] == document["candidates"][0]["sha256"]
    slow = [one["measured_latency_ms"]["median"] >= one["fp32_latency_ms"] for one in timed]
    warned = ["int8 is not faster than float on local" in text for text in document["warnings"]]
    assert any(slow) == any(warned)
    int8 = json.loads(edgenas("explain", str(run), "--layers", "--json").stdout)["int8"]
    shown = document["winner"] or document["candidates"][0]
    assert int8["sha256"] == shown["sha256"]
    assert [int8["layers"][end]["name"] for end in (0, -1)] == ["input", "logits"]
    assert sum(int8["noise_shares"].values()) == pytest.approx(1)
    page = (run / "report.html").read_text("utf-8")
    assert int8["says"][1] in page


def test_a_finished_run_is_not_done_again(searched: tuple[Path, dict[str, Any]]) -> None:
    run, document = searched
    again = edgenas("search", "--out", str(run), "--resume", "--json")
    repeated = json.loads(again.stdout)
    if document["winner"] is None:  # then the search is gone on with
        assert "the search and its verification" not in repeated["reused"]
        return
    assert repeated["candidates"] == document["candidates"]
    assert repeated["constraint"] == document["constraint"]
    assert {"10 of 10 measurements", "10 of 10 evaluations"} <= set(repeated["reused"])


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


def test_the_winner_is_packed_checked_and_its_evidence_replays(
    searched: tuple[Path, dict[str, Any]],
) -> None:
    run, document = searched
    done = edgenas("submit", str(run), "--challenge", "generic", "--json")
    if document["winner"] is None:
        assert "passed its verification" in done.stderr
        return
    submission = json.loads(done.stdout)
    assert (done.returncode, submission["status"]) == (0, "pass"), submission["findings"]
    replayed = edgenas("verify", "--replay", submission["evidence"], "--json")
    checks = json.loads(replayed.stdout)
    assert replayed.returncode == 0
    assert {check["status"] for check in checks["checks"]} == {"follows"}


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
