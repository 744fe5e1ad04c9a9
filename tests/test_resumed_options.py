"""A finished search answers a resumed run only if it was made under the options of now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reporting_sample import sample

from edgenas import pipeline
from edgenas.open_run import open_run
from edgenas.progress import Silent
from edgenas.records import (
    ExportedModel,
    FineTuned,
    Outcome,
    SearchResult,
    Verification,
    VerifiedModel,
    to_json,
)
from edgenas.run_context import RunContext
from edgenas.run_folder import RunFolder, write_json

REUSED = ["explain", "report"]


def searched(**options: Any) -> SearchResult:
    found = sample().search
    assert found is not None
    first = found.candidates[:1]
    return SearchResult(
        "exact", 3, found.limit_ms, 0.95, first, first, True, 0.0, 9, 0.1, **options
    )


def finish(folder: RunFolder, result: SearchResult, tuned: FineTuned | None = None) -> None:
    """Write a search, and that its first candidate passed."""
    model = ExportedModel(
        *(
            result.candidates[0],
            "m.int8.onnx",
            "m.fp32.onnx",
            "a" * 64,
            100,
            "u8s8",
            (0.5,),
            (0.5,),
        ),
        *(("a", "b"), 0.9, 0.9, 40, "c" * 64),
        finetuned=tuned,
    )
    outcome = Outcome("ok", "", "onnxruntime", "1", "CPUExecutionProvider", {})
    verified = VerifiedModel(model, True, (), outcome, 0.9, 0.9, 0.9, 1.0, 40)
    write_json(folder.search, to_json(result))
    verification = Verification("local", result.limit_ms, 0.95, 1, (verified,))
    write_json(folder.verification, to_json(verification))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that are run."""
    names: list[str] = []

    def step(context: RunContext, name: str, **_: Any) -> Any:
        names.append(name)
        return context.verified()

    monkeypatch.setattr(pipeline, "step", step)
    monkeypatch.setattr(pipeline, "search_until_known", lambda context: names.append("search"))
    monkeypatch.setattr(pipeline, "summary", lambda context: {})
    monkeypatch.setattr(RunContext, "predictors", lambda context: None)
    return names


@pytest.mark.parametrize(
    "asked",
    [
        {"finetune": 2},
        {"budget": 500},
        {"warm_start": "runs/other"},
        {"top": 2},
        {"confidence": 0.8},
        {"optimizer": "anneal"},
        {"objectives": ("accuracy", "latency_ms")},
        {"constraints": ("size<=80kB",)},
        {"max_latency_ms": 1.0},
    ],
)
def test_another_option_is_searched_for_and_not_passed_over(
    tmp_path: Path, steps: list[str], asked: dict[str, Any]
) -> None:
    with open_run(tmp_path / "run", {}, Silent(), resume=False) as context:
        finish(context.folder, searched())
        pipeline.conclude(context, 0)
        assert steps == REUSED
    with open_run(tmp_path / "run", asked, Silent(), resume=True) as context:
        pipeline.conclude(context, 0)
    assert steps == [*REUSED, "search", "export", "verify", *REUSED]


def test_what_was_fine_tuned_is_reused(tmp_path: Path, steps: list[str]) -> None:
    with open_run(tmp_path / "run", {"finetune": 2}, Silent(), resume=False) as context:
        finish(context.folder, searched(), FineTuned(2, False, 0.9, 0.8))
        pipeline.conclude(context, 0)
    assert steps == REUSED


@pytest.mark.parametrize(
    ("before", "kept"), [((), True), (("latency<=2ms",), False), (("size<=80kB",), True)]
)
def test_a_limit_that_was_asked_for_is_none_of_the_run_once_it_is_dropped(
    tmp_path: Path, before: tuple[str, ...], kept: bool
) -> None:
    with open_run(tmp_path / "run", {"constraints": before}, Silent(), resume=False) as context:
        finish(context.folder, searched(constraints=before))
    with open_run(tmp_path / "run", {"constraints": ()}, Silent(), resume=True) as context:
        limit_ms = context.limit_ms(lambda: -1.0)
    assert (limit_ms != -1.0) is kept
