"""Warnings of int8: only of what was measured, and only where float is as good."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgenas.core.records import (
    Architecture,
    Candidate,
    ExportedModel,
    Interval,
    Latency,
    Outcome,
    VerifiedModel,
)
from edgenas.explain.int8_warnings import int8_warnings

PROMISED = Interval(0.9, 0.8, 1.0)
CANDIDATE = Candidate(Architecture("tiny", 8, ((3,),), ((3,),)), PROMISED, PROMISED)
MODEL = ExportedModel(
    *(CANDIDATE, "m.int8.onnx", "m.fp32.onnx", "a" * 64, 100, "u8s8", (0.5,), (0.5,)),
    *(("a", "b"), 0.9, 0.9, 40, "c" * 64),
)
LATENCY = Latency(0.31, 0.33, (0.30, 0.32), ((310_000,),), (1.0,), True)
OUTCOME = Outcome("ok", "", "onnxruntime", "1", "CPUExecutionProvider", {}, LATENCY)
GOOD = VerifiedModel(MODEL, True, (), OUTCOME, 0.90, 0.89, 0.891, 1.0, 1500, fp32_latency_ms=0.62)


def test_good_int8_warns_of_nothing() -> None:
    assert int8_warnings("kitchen", GOOD) == ()


@pytest.mark.parametrize(("fp32_ms", "shown"), [(0.29, "0.29"), (0.31, "0.31")])
def test_int8_that_is_not_faster(fp32_ms: float, shown: str) -> None:
    assert int8_warnings("kitchen", replace(GOOD, fp32_latency_ms=fp32_ms)) == (
        f"m.int8.onnx: int8 is not faster than float on kitchen: 0.31 against {shown} ms.",
    )


def test_int8_that_loses_more_than_a_point() -> None:
    on_target = replace(GOOD, device_accuracy=0.886)
    assert int8_warnings("kitchen", on_target) == (
        "m.int8.onnx: int8 loses 1.4 points against float (on the target, 1,500 test images).",
    )
    on_host = replace(GOOD, device_accuracy=None, int8_accuracy=0.88)
    assert int8_warnings("kitchen", on_host) == (
        "m.int8.onnx: int8 loses 2.0 points against float (on the host, 1,500 test images).",
    )


def test_what_was_not_measured_is_not_warned_of() -> None:
    failed = replace(OUTCOME, status="failed", reason="It crashed.", latency=None)
    for found in (
        replace(GOOD, fp32_latency_ms=None),
        replace(GOOD, outcome=failed, fp32_latency_ms=0.1),
    ):
        assert int8_warnings("kitchen", found) == ()
