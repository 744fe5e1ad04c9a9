"""Several engines of one machine: never at the same time, under one limit, with one recommended."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edgenas.core.errors import RunFolderError, TargetError
from edgenas.core.progress import Silent
from edgenas.core.records import Latency, Outcome
from edgenas.runs.boards import search as boards
from edgenas.runs.boards.engines import EngineChoice
from edgenas.spaces import mbv3_tiny
from edgenas.targets.base import ModelFile
from edgenas.targets.local import LocalTarget

NETWORK = mbv3_tiny.create(10, 1, 16).smallest()
ASKED = {"samples": 8, "evaluate": 8}


def latency(median_ms: float, half_ms: float = 0.001) -> Latency:
    spread = (median_ms - half_ms, median_ms + half_ms)
    return Latency(median_ms, median_ms, spread, ((1,), (1,)), (1.0, 1.0), True)


def choice(passed: tuple[str, ...] = ("onnxruntime", "litert"), **latencies: float) -> EngineChoice:
    return EngineChoice(
        "local", NETWORK, {name: latency(ms) for name, ms in latencies.items()}, {}, passed
    )


def test_the_fastest_engine_is_recommended_with_its_milliseconds() -> None:
    found = choice(onnxruntime=0.23, litert=0.41)
    assert found.recommended == "onnxruntime"
    assert found.sentence == (
        "litert is 1.8x slower than onnxruntime at the winner: 0.41 against 0.23 ms; "
        "recommended: onnxruntime."
    )
    assert found.document()["latency_ms"]["litert"]["median"] == 0.41


def test_engines_that_cannot_be_told_apart_are_said_to_take_as_long() -> None:
    found = choice(onnxruntime=0.23, litert=0.231)
    assert "take as long at the winner" in found.sentence


def test_an_engine_without_a_winner_is_never_recommended() -> None:
    found = choice(("litert",), onnxruntime=0.23, litert=0.41)
    assert found.recommended == "litert"
    assert "onnxruntime is faster" in found.sentence
    assert "no candidate passed on onnxruntime" in found.sentence
    assert EngineChoice("local").recommended is None
    assert "No engine is recommended" in EngineChoice("local").sentence


def test_engines_of_one_machine_are_measured_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines with two engines each: the machines at once, the engines of each in turn."""
    busy: dict[str, list[str]] = {"a": [], "b": []}
    together = threading.Barrier(2, timeout=60)

    def measure(self: LocalTarget, models: Sequence[ModelFile], *rest: Any) -> dict[str, Outcome]:
        machine, _, engine = self.name.partition("-")
        assert not busy[machine]
        busy[machine].append(engine)
        together.wait()
        time.sleep(0.01)
        busy[machine].remove(engine)
        raise TargetError(f"{self.name} was switched off.")

    monkeypatch.setattr(boards, "MEASURED_ALONE", ())
    monkeypatch.setattr(boards, "_share_supernet", lambda *shared: None)
    monkeypatch.setattr(LocalTarget, "measure", measure)
    targets = []
    for name in busy:
        path = tmp_path / f"{name}.toml"
        path.write_text(f'kind = "local"\nname = "{name}"\n')
        targets.append(str(path))
    document = boards.search_several(
        tmp_path / "run",
        targets,
        ASKED,
        Silent(),
        resume=False,
        engines=("onnxruntime", "litert"),
    )
    assert [board["error"] for board in document["boards"]] == [
        "a-onnxruntime was switched off.",
        "a-litert was switched off.",
        "b-onnxruntime was switched off.",
        "b-litert was switched off.",
    ]
    assert document["engines"] == []
    with pytest.raises(RunFolderError, match="with the engines onnxruntime, litert"):
        boards.search_several(
            tmp_path / "run", [], {}, Silent(), resume=True, engines=("onnxruntime",)
        )
