"""edgenas explain on two runs: how much more every choice costs on the other board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgenas.cli.explain import explain
from edgenas.core.errors import EdgeNasError
from edgenas.core.records import Int8Layer, Int8Layers, to_json
from edgenas.predictors.tables.regression import TableRegression
from edgenas.reporting.words import roofline
from edgenas.reporting.words.int8_layers import sentences
from edgenas.runs import search
from edgenas.runs.results import Run
from helpers import roofline_sample

NAMES = (["stem"], ["head"], ["logits"])


def run_document(path: Path, kernel: float, depth: float) -> dict[str, Any]:
    effects = [
        {"change": change, "effect": mean, "lower": mean - 0.1, "upper": mean + 0.1}
        for change, mean in (("kernel 7 instead of 5", kernel), ("one more block", depth))
    ]
    report = {
        "response": "latency_ms",
        "label": "latency",
        "unit": "ms",
        "n": 40,
        "confidence": 0.9,
        "heldout": None,
        "notes": [],
        "effects": effects,
        "breakdown": [],
        "rows": [{"network": "a", "observed": 1.0, "predicted": 1.1, "failed": False}],
    }
    return {
        "run": str(path),
        "step": "explain",
        "result": [report],
        "savings": [],
        "int8": None,
        "plots": [],
    }


@pytest.fixture(autouse=True)
def without_run_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgenas.open_run", lambda path, **_: Run(path))


def test_every_layer_is_printed_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = tuple(
        Int8Layer(name, "conv", 41.25, ratio, 0.005, 0.01)
        for name, ratio in (("stem", 45.0), ("head", 31.0), ("logits", None))
    )
    report = Int8Layers("a" * 64, "u8s8", 200, 0.975, 0.965, 29.5, 0.02, layers)
    more = {"noise_shares": report.noise_shares, "says": list(sentences(report))}
    document = run_document(Path("run"), 1.0, 1.0) | {"int8": {**to_json(report), **more}}
    monkeypatch.setattr(search, "explain", lambda *_, **__: document)
    short = CliRunner().invoke(explain, ["run"], catch_exceptions=False).output
    assert "96.5 % are right instead of 97.5 %" in short
    assert "comes from head (conv, 96 %) and stem (conv, 4 %)" in short
    assert "41.2 dB" not in short
    whole = CliRunner().invoke(explain, ["run", "--layers"], catch_exceptions=False).output
    rows = [line.split() for line in whole.splitlines() if line.split()[:1] in NAMES]
    assert rows == [
        ["stem", "conv", "41.2", "dB", "45.0", "dB", "3.8", "%", "1.0", "%", "0.50"],
        ["head", "conv", "41.2", "dB", "31.0", "dB", "96.2", "%", "1.0", "%", "0.50"],
        ["logits", "conv", "41.2", "dB", "no", "noise", "0.0", "%", "1.0", "%", "0.50"],
    ]
    found = CliRunner().invoke(explain, ["run", "--layers", "--json"], catch_exceptions=False)
    assert json.loads(found.output)["int8"]["layers"] == to_json(list(layers))


def test_how_far_layers_are_from_their_limits_is_said_slowest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = roofline.document(roofline_sample.sample())
    document = run_document(Path("run"), 1.0, 1.0) | {"roofline": found}
    monkeypatch.setattr(search, "explain", lambda *_, **__: document)
    said = CliRunner().invoke(explain, ["run", "--all"], catch_exceptions=False).output
    rows = [line.split() for line in said.splitlines() if line.split()[:1] in (["block"], ["stem"])]
    assert rows == [  # 33 of 36 us, 13 of 14 us
        ["block", "depthwise", "0.090", "6.0", "15.0", "33.00", "compute", "36.00", "92%"],
        ["stem", "dense", "0.160", "6.0", "26.7", "13.00", "compute", "14.00", "93%"],
    ]
    short = CliRunner().invoke(explain, ["run"], catch_exceptions=False).output
    for text in (said, short):
        assert "27% is starting 3 kernels" in " ".join(text.split())


def test_one_screen_has_the_largest_effects_and_all_has_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = run_document(Path("run"), 1.0, 1.0)
    (report,) = document["result"]
    names = [f"expand ratio 6 instead of 4 in one block of stage {i}" for i in range(1, 13)]
    report["effects"] = [
        {"change": name, "effect": effect, "lower": effect - 0.35, "upper": effect + 0.35}
        for name, effect in zip(names, (0.1 * i * (-1) ** i for i in range(1, 13)), strict=True)
    ]
    report["breakdown"] = [
        {"change": f"stage {i}", "effect": i, "lower": 0, "upper": 9} for i in range(1, 9)
    ]
    report["heldout"] = {
        "rmse": 0.5, "kendall_tau": 0.9, "coverage": 0.9, "confidence": 0.9
    }  # fmt: skip
    report["notes"] = ["A note."]
    document["result"].append({**report, "response": "accuracy", "label": "accuracy"})
    monkeypatch.setattr(search, "explain", lambda *_, **__: document)
    short = CliRunner().invoke(explain, ["run"], catch_exceptions=False).output.splitlines()
    assert len(short) <= 24
    assert max(map(len, short)) <= 106 and all(len(line) <= 80 for line in short[1:-2])
    effects = [line for line in short if "expand ratio" in line]
    assert [line.split(":")[0] for line in effects] == [f"stage {i}" for i in range(12, 4, -1)]
    bars = [line.count("█") for line in effects]
    assert bars == sorted(bars, reverse=True) and bars[0] == 10
    assert "--all has the same of accuracy, 2 notes, all effects." in short
    assert not any("A note." in line for line in short)
    whole = CliRunner().invoke(explain, ["run", "--all"], catch_exceptions=False).output
    assert whole.count("expand ratio") == 24 and whole.count("A note.") == 2
    assert "stage 3: expand ratio 6 instead of 4   ░░" in whole  # may be zero


def test_layers_are_not_known_before_the_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    document = run_document(Path("run"), 1.0, 1.0)
    monkeypatch.setattr(search, "explain", lambda *_, **__: document)
    shown = CliRunner().invoke(explain, ["run", "--layers"], catch_exceptions=False).output
    assert "not known before edgenas verify" in shown


def test_a_predictor_file_has_no_layers(tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    path.write_text("{}")
    with pytest.raises(EdgeNasError, match="--layers are for run folders"):
        CliRunner().invoke(explain, [str(path), "--layers"], catch_exceptions=False)


def test_two_runs_are_compared_choice_by_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = {
        "onnx": run_document(Path("onnx"), kernel=1.0, depth=0.05),  # depth may cost nothing
        "litert": run_document(Path("litert"), kernel=3.1, depth=2.0),
    }
    monkeypatch.setattr(search, "explain", lambda path, *_, **__: documents[str(path)])
    shown = CliRunner().invoke(explain, ["onnx", "litert"], catch_exceptions=False).output
    assert "kernel 7 instead of 5: 3.1 times the latency in litert that it is in onnx" in shown
    assert "one more block: " not in shown
    found = CliRunner().invoke(explain, ["onnx", "litert", "--json"], catch_exceptions=False).output
    compared = json.loads(found)["compared_with"]
    assert compared["run"] == "litert"
    (one,) = compared["ratios"]
    assert one["lower"] < 3.1 < one["upper"] and one["lower"] > 2.7 and one["upper"] < 3.6


def write_predictor(path: Path, kernel_cost: float, seed: int) -> None:
    """A predictor of latency = 5 + kernel_cost (kernel 7) + 2 width, fitted on 80 rows."""
    rng = np.random.default_rng(seed)
    share = 0.6 if seed == 0 else 0.4  # the commonest kernel is another in the other file
    kernel, width = rng.choice(["k5", "k7"], 80, p=[share, 1 - share]), rng.uniform(1, 3, 80)
    ms = 5 + kernel_cost * (kernel == "k7") + 2 * width + rng.normal(0, 0.05, 80)
    table = {"kernel": kernel, "width": width, "ms": ms}
    path.write_text(json.dumps(TableRegression("main").fit(table, "ms").to_json()))


def test_two_predictor_files_are_compared(tmp_path: Path) -> None:
    onnx, litert = tmp_path / "onnx.json", tmp_path / "litert.json"
    write_predictor(onnx, 1.0, 0)
    write_predictor(litert, 3.1, 1)
    shown = CliRunner().invoke(explain, [str(onnx), str(litert)], catch_exceptions=False).output
    assert "kernel: k7 instead of k5" in shown and "times the ms in" in shown
    arguments = [str(onnx), str(litert), "--json"]
    found = json.loads(CliRunner().invoke(explain, arguments, catch_exceptions=False).output)
    effects = {one["change"]: one for one in found["result"][0]["effects"]}
    kernel = effects["kernel: k7 instead of k5"]
    assert kernel["effect"] == pytest.approx(1.0, abs=0.05)
    assert kernel["lower"] < kernel["effect"] < kernel["upper"] < kernel["lower"] + 0.1
    ratios = {one["change"]: one for one in found["compared_with"]["ratios"]}
    ratio = ratios["kernel: k7 instead of k5"]
    assert ratio["ratio"] == pytest.approx(3.1, abs=0.2)
    assert ratio["lower"] < ratio["ratio"] < ratio["upper"] < ratio["lower"] + 0.5
    with pytest.raises(EdgeNasError, match="run folders"):
        CliRunner().invoke(explain, [str(onnx), "--save", "1ms"], catch_exceptions=False)


def test_rows_of_a_predictor_are_broken_down_and_drawn(tmp_path: Path) -> None:
    predictor, table, plots = tmp_path / "a.json", tmp_path / "new.csv", tmp_path / "plots"
    write_predictor(predictor, 1.0, 0)
    table.write_text("kernel,width\nk5,1\nk7,3\n")
    words = [str(predictor), "--rows", str(table), "--row", "1", "--row", "2"]
    shown = CliRunner().invoke(explain, [*words, "--png", str(plots)], catch_exceptions=False)
    assert "From row 1 to row 2" in shown.output and "Share of the variance" in shown.output
    names = {path.name for path in plots.iterdir()}
    assert names == {"shares.png", "curve-1-width.png", "rows.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in plots.iterdir())
    found = CliRunner().invoke(explain, [*words, "--json"], catch_exceptions=False).output
    told = json.loads(found)["result"][0]["decomposition"]
    adds = {part["column"]: part["adds"] for part in told["parts"]}
    assert adds["width"] == pytest.approx(4, abs=0.1) and adds["kernel"] == pytest.approx(
        1, abs=0.1
    )
    assert told["start"] + sum(adds.values()) == pytest.approx(told["prediction"])
    with pytest.raises(EdgeNasError, match="takes a table"):
        CliRunner().invoke(explain, [str(predictor), "--row", "1"], catch_exceptions=False)
