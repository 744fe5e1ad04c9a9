"""Replaying limits: nothing passes in a bundle that breaks what its run was asked to keep."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgenas.core.errors import EdgeNasError
from edgenas.core.records import (
    Architecture,
    Candidate,
    ExportedModel,
    Interval,
    Latency,
    Outcome,
    Verification,
    VerifiedModel,
    to_json,
)
from edgenas.runs.config import RunConfig, limits_of
from edgenas.runs.evidence import bundle as evidence
from edgenas.runs.evidence.limits import limit_checks

LATENCY = Latency(2.0, 2.5, (1.9, 2.1), ((2_000_000,), (2_000_000,)), (1.0, 1.0), True)


def verified(**changes: Any) -> VerifiedModel:
    exact = {name: Interval(500.0, 500.0, 500.0) for name in ("params", "luts")}
    candidate = Candidate(
        Architecture("tiny", 8, ((3,),), ((1,),)), Interval(0.8, 0.7, 0.9), Interval(2, 1, 3), exact
    )
    model = ExportedModel(
        *(candidate, "m.int8.onnx", "m.fp32.onnx", "a" * 64, 900, "u8s8", (0.5,), (0.5,)),
        *(("a", "b"), 0.8, 0.8, 40, "c" * 64),
        robust_accuracy=0.6,
    )
    outcome = Outcome("ok", "", "onnxruntime", "1", "CPUExecutionProvider", {}, LATENCY, 9_000_000)
    measured = {
        **{"accuracy": 0.75, "latency_ms": 2.0, "latency_p90_ms": 2.5, "params": 500.0},
        **{"peak_rss_bytes": 9e6, "model_bytes": 900.0, "luts": 500.0, "robust_accuracy": 0.6},
    }
    found = VerifiedModel(model, True, (), outcome, 0.75, 0.75, 0.75, 1.0, 40, measured=measured)
    return replace(found, **changes)


def bundle(folder: Path, model: VerifiedModel, document: Any) -> Path:
    verdict = Verification("local", 3.0, 0.95, 1, (model,))
    files = {
        "verification.json": json.dumps(to_json(verdict)).encode(),
        "run.json": json.dumps(document).encode(),
    }
    sums = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return evidence.write({**files, evidence.SUMS: "".join(sums).encode()}, folder / "b.zip")


def differing(folder: Path, model: VerifiedModel, **options: Any) -> set[str]:
    document = {"edgenas_run": 1, "config": to_json(RunConfig(**options))}
    checks = limit_checks(bundle(folder, model, document), limits_of)
    assert checks
    return {check.figure for check in checks if check.status != "follows"}


KEPT = ("peak_rss<=9MB", "accuracy>=75%", "p90<=2.5ms", "params<=500", "size<=900B",
        "luts<=500", "robust_accuracy>=60%")  # fmt: skip


def test_what_keeps_all_limits_follows(tmp_path: Path) -> None:
    assert differing(tmp_path, verified(), constraints=KEPT, max_latency_ms=3.0) == set()


@pytest.mark.parametrize(
    ("limit", "figure"),
    [
        ("peak_rss<=8MB", "peak memory at most"),
        ("accuracy>=80%", "accuracy at least"),
        ("p90<=2.4ms", "90th percentile of latency at most"),
        ("params<=400", "parameters at most"),
        ("luts<=400", "LUTs at most"),
        ("robust_accuracy>=61%", "accuracy under corruptions at least"),
        ("energy<=1mJ", "energy at most"),  # which was not measured
    ],
)
def test_a_pass_that_breaks_a_limit_does_not_follow(
    tmp_path: Path, limit: str, figure: str
) -> None:
    assert differing(tmp_path, verified(), constraints=(limit,)) == {figure}
    failed = verified(passed=False, reasons=("It does not.",))
    assert differing(tmp_path, failed, constraints=(limit,)) == set()


def test_another_limit_than_the_runs_and_another_response_than_the_verdicts_are_found(
    tmp_path: Path,
) -> None:
    assert differing(tmp_path, verified(), max_latency_ms=2.5) == {"limit_ms"}
    small = verified(measured={**verified().measured, "peak_rss_bytes": 8e6})
    assert differing(tmp_path, small) == {"measured peak_rss_bytes"}


@pytest.mark.parametrize("document", [[], {"config": 7}, {"config": {"constraints": ["a"]}}])
def test_a_broken_configuration_is_one_clear_line(tmp_path: Path, document: Any) -> None:
    with pytest.raises(EdgeNasError, match=r"run\.json|is not a constraint"):
        limit_checks(bundle(tmp_path, verified(), document), limits_of)
