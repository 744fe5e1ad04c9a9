"""Without --engine a run takes the fastest engine of its machine, says why, and keeps it."""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgenas.core.progress import Silent
from edgenas.core.records import EngineTrial
from edgenas.int8.engines.scheme import Scheme
from edgenas.runs import search
from edgenas.runs.open import open_run
from edgenas.runs.start import fastest_engine
from edgenas.runs.start.fastest_engine import CLEARLY_FASTER, choose, schemes_to_try
from edgenas.targets.base import Target
from edgenas.targets.local import LocalTarget

pytest.importorskip("ai_edge_litert", reason="there is one engine only")


def trial(engine: str, ms: float | None, spread: float = 0.02, why_not: str = "") -> EngineTrial:
    scheme = "u8s8" if engine == "onnxruntime" else "s8s8"
    span = None if ms is None else (ms * (1 - spread), ms * (1 + spread))
    return EngineTrial(engine, scheme, ms, span, why_not)


@pytest.mark.parametrize(
    ("usual_ms", "other_ms", "spread", "taken"),
    [
        (0.18, 0.069, 0.02, "litert"),  # no VNNI: exact kernels
        (0.21, 0.189, 0.02, "onnxruntime"),  # with VNNI: near each other
        (0.10, 0.30, 0.02, "onnxruntime"),
        (0.18, 0.10, 0.40, "onnxruntime"),  # intervals that overlap tell nothing
        (None, 0.3, 0.02, "litert"),
        (0.3, None, 0.02, "onnxruntime"),
        (None, None, 0.02, "onnxruntime"),
    ],
)
def test_another_engine_is_taken_only_where_it_is_clearly_faster(
    usual_ms: float | None, other_ms: float | None, spread: float, taken: str
) -> None:
    trials = (
        trial("onnxruntime", usual_ms, spread, "" if usual_ms else "it is broken"),
        trial("litert", other_ms, spread, "" if other_ms else "it is broken"),
    )
    chosen, reason = choose(trials, "here")
    assert chosen.engine == taken
    assert reason.startswith(f"{taken} ")
    for ms in filter(None, (usual_ms, other_ms)):
        assert f"{ms:.3g} ms" in reason
    assert ("it is broken" in reason) == (None in (usual_ms, other_ms))


def test_a_scheme_that_is_part_float_is_not_taken_whatever_its_time() -> None:
    trials = (
        trial("onnxruntime", 0.18),
        EngineTrial("onnxruntime", "s8s8", 0.05, (0.05, 0.05), "part of it is left in float"),
    )
    taken, reason = choose(trials, "here")
    assert (taken.engine, taken.scheme) == ("onnxruntime", "u8s8")
    assert "onnxruntime (s8s8) takes 0.05 ms" in reason and "left in float" in reason


def test_the_faster_scheme_of_one_engine_is_taken() -> None:
    trials = (
        EngineTrial("onnxruntime", "s8s8", 0.30, (0.29, 0.31)),
        EngineTrial("onnxruntime", "u8s8", 0.15, (0.14, 0.16)),
        trial("litert", 0.29),
    )
    taken, reason = choose(trials, "board")
    assert (taken.engine, taken.scheme) == ("onnxruntime", "u8s8")
    assert "onnxruntime (u8s8) is taken on board: 0.15 ms" in reason
    assert "0.3 ms of onnxruntime (s8s8), against 0.29 ms of litert (s8s8)" in reason


@pytest.mark.parametrize(
    ("machine", "by_file", "tried"),
    [
        ("x86_64", None, ["u8s8", "s8s8"]),
        ("aarch64", None, ["s8s8", "u8s8"]),
        ("aarch64", "u8s8", ["u8s8"]),
    ],
)
def test_every_scheme_of_an_engine_is_tried_the_usual_one_first(
    machine: str, by_file: Scheme | None, tried: list[str]
) -> None:
    assert schemes_to_try("onnxruntime", machine, by_file) == tried
    assert schemes_to_try("litert", machine, by_file) == ["s8s8"]


def test_a_run_goes_on_with_the_scheme_that_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a processor that is said to be an Arm one, where the second scheme wins."""
    fast = ("onnxruntime", "u8s8")

    def timed(context: Any, target: Target, *_: Any) -> EngineTrial:
        ms = 0.1 if (target.engine, target.scheme) == fast else 0.9
        return EngineTrial(target.engine, target.scheme, ms, (ms, ms))

    probe = LocalTarget.probe
    monkeypatch.setattr(LocalTarget, "probe", lambda self: replace(probe(self), machine="aarch64"))
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(fastest_engine, "_timed", timed)
    run = tmp_path / "run"
    search.run_step("probe", run, {}, Silent())
    stated = json.loads((run / "run.json").read_text("utf-8"))["config"]
    assert (stated["engine"], stated["scheme"]) == fast
    with open_run(run, {}, Silent(), resume=True) as context:
        assert (context.target.engine, context.target.scheme) == fast


def test_a_run_keeps_the_engine_that_was_decided_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    search.run_step("probe", run, {}, Silent())
    profile = json.loads((run / "profile.json").read_text("utf-8"))
    decision = profile["engine_decision"]
    trials = {(one["engine"], one["scheme"]): one for one in decision["trials"]}
    assert set(trials) == {("onnxruntime", "u8s8"), ("onnxruntime", "s8s8"), ("litert", "s8s8")}
    assert all(one["median_ms"] for one in trials.values())
    if platform.machine() == "x86_64":
        assert "in float" in trials["onnxruntime", "s8s8"]["why_not"]
    times = {one["engine"]: one["median_ms"] for one in trials.values() if not one["why_not"]}
    other = times["litert"] * CLEARLY_FASTER <= times["onnxruntime"]
    assert decision["engine"] == "onnxruntime" or other
    stated = json.loads((run / "run.json").read_text("utf-8"))["config"]["engine"]
    assert stated == (None if decision["engine"] == "onnxruntime" else decision["engine"])

    jobs = sorted((run / "jobs").glob("engine-*"))
    search.run_step("probe", run, {}, Silent())
    again = json.loads((run / "profile.json").read_text("utf-8"))
    assert again["engine_decision"] == decision
    assert sorted((run / "jobs").glob("engine-*")) == jobs


@pytest.mark.parametrize("by_file", [True, False])
def test_the_users_own_engine_counts(by_file: bool, tmp_path: Path) -> None:
    file = tmp_path / "here.toml"
    file.write_text('kind = "local"\n' + 'engine = "onnxruntime"\n' * by_file)
    asked = {"target": str(file)} | ({} if by_file else {"engine": "onnxruntime"})
    document = search.run_step("probe", tmp_path / "run", asked, Silent())
    assert document["result"]["engine_decision"] is None
    assert not (tmp_path / "run" / "jobs").exists()
