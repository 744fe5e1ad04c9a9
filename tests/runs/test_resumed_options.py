"""A finished search answers a resumed run only if it was made under the options of now."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from edgenas.core.files.run_folder import RunFolder, write_bytes, write_json
from edgenas.core.progress import Silent
from edgenas.core.records import (
    ExportedModel,
    FineTuned,
    Outcome,
    SearchResult,
    Verification,
    VerifiedModel,
    to_json,
)
from edgenas.runs import search
from edgenas.runs.config import RunConfig, write_config
from edgenas.runs.open import open_run
from edgenas.runs.run import RunContext
from helpers.reporting_sample import sample

REUSED = ["explain", "report"]


def searched(**options: Any) -> SearchResult:
    found = sample().search
    assert found is not None
    first = found.candidates[:1]
    return SearchResult("exact", 3, found.limits, 0.95, first, first, True, 0.0, 9, 0.1, **options)


def finish(folder: RunFolder, result: SearchResult, tuned: FineTuned | None = None) -> None:
    """Write a search, and that its first candidate passed, as its file is."""
    write_bytes(folder.models / "m.int8.onnx", b"a model")
    model = ExportedModel(
        *(
            result.candidates[0],
            "m.int8.onnx",
            "m.fp32.onnx",
            hashlib.sha256(b"a model").hexdigest(),
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
    document = to_json(Verification("local", result.limit_ms, 0.95, 1, (verified,)))
    del document["verified_from"]  # as an edgenas that kept no hashes wrote it
    write_json(folder.verification, document)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that are run."""
    names: list[str] = []

    def step(context: RunContext, name: str, **_: Any) -> Any:
        names.append(name)
        return context.verified()

    monkeypatch.setattr(search, "step", step)
    monkeypatch.setattr(search, "search_until_known", lambda context: names.append("search"))
    monkeypatch.setattr(search, "summary", lambda context: {})
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
        context.source.check_unchanged()  # keeps which images they are
        finish(context.folder, searched())
        search.conclude(context, 0)
        assert steps == REUSED
    if "warm_start" in asked:
        asked = {"warm_start": str(tmp_path / asked["warm_start"])}
        write_config(RunFolder(Path(asked["warm_start"])), RunConfig(), "0")
    with open_run(tmp_path / "run", asked, Silent(), resume=True) as context:
        search.conclude(context, 0)
    checked = ["export", "verify"] * (2 if "finetune" in asked else 1)  # once more, trained alone
    assert steps == [*REUSED, "search", *checked, *REUSED]


def test_what_was_fine_tuned_is_reused(tmp_path: Path, steps: list[str]) -> None:
    with open_run(tmp_path / "run", {"finetune": 2}, Silent(), resume=False) as context:
        context.source.check_unchanged()  # keeps which images they are
        finish(context.folder, searched(), FineTuned(2, False, 0.9, 0.8))
        search.conclude(context, 0)
    assert steps == REUSED


@pytest.mark.parametrize(
    ("before", "kept"), [((), True), (("latency<=2ms",), False), (("size<=80kB",), True)]
)
def test_a_limit_that_was_asked_for_is_none_of_the_run_once_it_is_dropped(
    tmp_path: Path, before: tuple[str, ...], kept: bool
) -> None:
    with open_run(tmp_path / "run", {"constraints": before}, Silent(), resume=False) as context:
        context.source.check_unchanged()  # keeps which images they are
        finish(context.folder, searched(constraints=before))
    with open_run(tmp_path / "run", {"constraints": ()}, Silent(), resume=True) as context:
        limit_ms = context.resolved_limits(lambda: -1.0)["latency_ms"].at_most
    assert (limit_ms != -1.0) is kept
