"""edgenas explain on two runs: how much more every choice costs on the other board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgenas import pipeline
from edgenas.cli.explain import explain


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
    }
    return {"run": str(path), "step": "explain", "result": [report], "savings": [], "plots": []}


def test_two_runs_are_compared_choice_by_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = {
        "onnx": run_document(Path("onnx"), kernel=1.0, depth=0.05),  # depth may cost nothing
        "litert": run_document(Path("litert"), kernel=3.1, depth=2.0),
    }
    monkeypatch.setattr(pipeline, "explain", lambda path, *_: documents[str(path)])
    shown = CliRunner().invoke(explain, ["onnx", "litert"], catch_exceptions=False).output
    assert "kernel 7 instead of 5: 3.1 times the latency in litert that it is in onnx" in shown
    assert "one more block: " not in shown
    found = CliRunner().invoke(explain, ["onnx", "litert", "--json"], catch_exceptions=False).output
    compared = json.loads(found)["compared_with"]
    assert compared["run"] == "litert"
    (one,) = compared["ratios"]
    assert one["lower"] < 3.1 < one["upper"] and one["lower"] > 2.7 and one["upper"] < 3.6
