"""A verdict holds for what was verified and nothing newer, and a pass says what it stands under."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgenas.cli.pick import pick
from edgenas.core.errors import NotVerifiedError
from edgenas.core.files.run_folder import RunFolder, write_bytes, write_json
from edgenas.core.progress import Silent
from edgenas.core.records import (
    EngineTrial,
    Interval,
    Latency,
    Limit,
    RunVerdict,
    to_json,
)
from edgenas.reporting.document import ReportData
from edgenas.reporting.pages.report import render
from edgenas.reporting.words.verdict import verdict as in_words
from edgenas.runs.config import RunConfig, read_config, write_config
from edgenas.runs.open import open_run
from edgenas.runs.steps.submit import run as submit
from edgenas.runs.verdict.verdicts import read_verification, verdict, write
from helpers.finished_run import (
    DATA,
    LIMIT_MS,
    finish,
    latency,
    search_result,
    verified,
)

LIMITS = (Limit("latency_ms", at_most=LIMIT_MS),)


def now(folder: RunFolder) -> RunVerdict:
    return verdict(folder, read_config(folder))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    finish(folder, verified(latency()), RunConfig(max_latency_ms=LIMIT_MS))
    return folder


@pytest.fixture
def old_run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "old")
    finish(folder, verified(latency()), RunConfig(max_latency_ms=LIMIT_MS), hashes=False)
    return folder


def searched_again(folder: RunFolder) -> None:
    other = replace(
        search_result(), limits=(Limit("latency_ms", 0.15),), candidates=DATA.search.candidates[1:2]
    )  # type: ignore[union-attr]
    write_json(folder.search, to_json(other))


def asked_for_less(folder: RunFolder) -> None:
    write_config(folder, RunConfig(max_latency_ms=0.12), "0")


def asked_for_size(folder: RunFolder) -> None:
    limits = RunConfig(max_latency_ms=LIMIT_MS, constraints=("size<=12B",))
    write_config(folder, limits, "0")


def changed(*parts: str) -> Callable[[RunFolder], None]:
    return lambda folder: write_bytes(folder.path.joinpath(*parts), b"other")


CHANGES: dict[str, tuple[Callable[[RunFolder], None], str]] = {
    "search": (searched_again, "search was repeated"),
    "latency limit": (asked_for_less, "limits were changed"),
    "another limit": (asked_for_size, "limits were changed"),
    "int8 file": (changed("models", "m.int8.onnx"), "m.int8.onnx was changed"),
    "float file": (changed("models", "m.fp32.onnx"), "m.fp32.onnx was changed"),
    "supernet": (changed("supernet.safetensors"), "supernet.safetensors was changed"),
    "predictors": (changed("predictors", "latency_ms.json"), "fitted again since: latency_ms"),
    "images": (changed("data.json"), "data.json was changed"),
    "a file gone": (lambda folder: (folder.models / "m.int8.onnx").unlink(), "is gone"),
    "the search gone": (lambda folder: folder.search.unlink(), "search.json"),
}
# What the records of a verification without hashes tell.
KNOWN_WITHOUT_HASHES = (
    *("search", "latency limit", "another limit", "int8 file", "supernet", "a file gone"),
    "the search gone",
)


def test_what_was_verified_and_nothing_else_passes(run: RunFolder) -> None:
    assert now(run) == RunVerdict("pass")


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_is_newer_is_not_verified(run: RunFolder, what: str) -> None:
    change, sentence = CHANGES[what]
    change(run)
    found = now(run)
    assert (found.status, found.passed) == ("not verified", False)
    assert any(sentence in text for text in found.outdated), found.outdated
    assert found.next_command in (
        f"edgenas search --out {run.path} --resume",
        f"edgenas verify {run.path}",
    )


@pytest.mark.parametrize("what", KNOWN_WITHOUT_HASHES)
def test_a_run_without_hashes_is_held_against_its_records(old_run: RunFolder, what: str) -> None:
    change, sentence = CHANGES[what]
    change(old_run)
    assert now(old_run).status == "not verified"
    assert any(sentence in text for text in now(old_run).outdated)


def test_a_run_without_hashes_passes_with_that_reservation(old_run: RunFolder) -> None:
    found = now(old_run)
    assert found.status == "pass"
    assert any("kept no hashes" in text for text in found.reservations)
    assert found.next_command == f"edgenas verify {old_run.path}"


def test_the_same_search_again_changes_nothing(run: RunFolder) -> None:
    document = json.loads(run.search.read_text())
    write_json(run.search, {**document, "seconds": 99.0})
    assert now(run).status == "pass"


def test_a_search_that_is_exported_is_only_to_be_verified(run: RunFolder) -> None:
    document = json.loads(run.search.read_text())
    write_json(run.search, {**document, "evaluations": 1})
    assert now(run).next_command == f"edgenas verify {run.path}"
    (run.models / "m.int8.onnx").unlink()
    assert now(run).next_command == f"edgenas search --out {run.path} --resume"


@pytest.mark.parametrize(
    ("timed", "said"),
    [
        (
            latency(rejected=tuple((i, "busy: 30 %") for i in range(6)), stands_on_rejected=True),
            "6 of 6 passes",
        ),
        (latency(rejected=tuple((i, "heat: 9 %") for i in range(9))), "9 of 15 passes"),
        (latency(0.195, ci95_ms=(0.188, 0.203)), "reaches 0.203 ms, over the limit of 0.2 ms"),
        (latency(0.195), "promise of its latency is broken: 0.19 ms at most"),
        (latency(ci95_ms=None), "one pass"),
    ],
)
def test_a_doubtful_pass_has_reservations(tmp_path: Path, timed: Latency, said: str) -> None:
    folder = RunFolder(tmp_path / "run")
    finish(folder, verified(timed), RunConfig(max_latency_ms=LIMIT_MS))
    found = now(folder)
    assert found.status == "pass"
    assert any(said in text for text in found.reservations), found.reservations


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((), "Deploy the float file m.fp32.onnx (0.12 ms, 91.00% right on the host) instead."),
        ((EngineTrial("litert", "s8s8", 0.05),), "On litert the same network takes 0.05 ms"),
        ((EngineTrial("litert", "s8s8", 0.13),), "instead; in int8 on litert 0.13 ms."),
        ((EngineTrial("litert", "s8s8", None, None, "not installed"),), "Deploy the float file"),
    ],
)
def test_int8_that_gains_nothing_says_first_what_to_do_instead(
    tmp_path: Path, others: tuple[EngineTrial, ...], said: str
) -> None:
    slow = replace(
        verified(latency(ci95_ms=None)),
        fp32_latency_ms=0.12,
        fp32_accuracy=0.91,
        other_engines=others,
    )
    folder = RunFolder(tmp_path / "run")
    finish(folder, slow, RunConfig(max_latency_ms=LIMIT_MS))
    first = now(folder).reservations[0]
    assert first.startswith("int8 is not faster than float on onnxruntime: 0.15 against 0.12 ms.")
    assert said in first


@pytest.mark.parametrize(
    ("provider", "count"),
    [
        ("CPUExecutionProvider; exact u8s8, as the CPU has no VNNI", 0),
        ("built-in kernels", 1),
        ("TensorrtExecutionProvider with CPUExecutionProvider for 2 of 9: Conv", 1),
    ],
)
def test_another_kernel_than_the_engines_own_is_a_reservation(
    tmp_path: Path, provider: str, count: int
) -> None:
    folder = RunFolder(tmp_path / "run")
    finish(folder, verified(latency(), provider), RunConfig(max_latency_ms=LIMIT_MS))
    assert sum("fell back" in text for text in now(folder).reservations) == count


def test_a_promise_that_is_not_asked_for_is_none(tmp_path: Path) -> None:
    one = verified(latency())
    bounds = {"latency_p90_ms": Interval(0.01, 0.01, 0.01)}
    candidate = replace(one.model.candidate, responses=bounds)
    measured = {"latency_p90_ms": 0.2}
    one = replace(one, model=replace(one.model, candidate=candidate), measured=measured)
    for constraints, count in (((), 0), (("p90<=3ms",), 1)):
        folder = RunFolder(tmp_path / f"run {count}")
        finish(folder, one, RunConfig(max_latency_ms=LIMIT_MS, constraints=constraints))
        assert len(now(folder).reservations) == count


def test_without_a_limit_no_interval_reaches_over_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    finish(folder, verified(latency(0.185)), RunConfig())
    write(folder, replace(read_verification(folder), limit_ms=None))
    assert now(folder) == RunVerdict("pass")


def test_the_page_of_a_doubtful_pass_is_amber_and_that_of_an_outdated_one_names_no_file() -> None:
    plain = replace(DATA, predictors=(), measurements=(), evaluations=())
    doubtful = replace(plain, reservations=("6 of 6 passes were rejected",))
    assert in_words(plain).tone == "pass"
    assert in_words(doubtful).tone == "reserved"
    page = render(doubtful)
    assert '<header class="answer reserved"' in page
    assert "6 of 6 passes were rejected" in page
    outdated = outdated_page(plain)
    assert in_words(outdated).tone == "outdated"
    assert "deploy" not in in_words(outdated).headline
    assert "edgenas verify runs/a" in render(outdated)


def outdated_page(data: ReportData) -> ReportData:
    return replace(
        data,
        status="not verified",
        outdated=("The search was repeated since.",),
        next_command="edgenas verify runs/a",
    )


def test_nothing_outdated_is_submitted(run: RunFolder) -> None:
    asked_for_less(run)
    with (
        open_run(run.path, {}, Silent(), resume=True) as context,
        pytest.raises(NotVerifiedError, match="limits were changed") as refused,
    ):
        submit(context, "generic", {})
    assert refused.value.exit_code == 8
    assert "edgenas search --out" in refused.value.hint


def test_pick_says_whether_what_it_picks_was_verified(run: RunFolder) -> None:
    def picked(limit: str) -> tuple[int, dict[str, Any]]:
        done = CliRunner().invoke(pick, [str(run.path), "--max-latency", limit, "--json"])
        return done.exit_code, json.loads(done.stdout)

    code, document = picked("0.17ms")
    assert (code, document["status"]) == (0, "not verified")  # of the frontier: only predicted
    searched_again(run)
    code, document = picked("0.17ms")
    assert (code, document["status"]) == (8, "not verified")
    assert "search was repeated" in document["not_verified"][0]
