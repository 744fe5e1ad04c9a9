"""Replaying contents: a verdict on other files than those in its bundle does not follow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgenas.cli.verify import verify
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.records import PredictedBy, to_json
from edgenas.core.records.verdicts import search_sha256
from edgenas.runs.config import RunConfig, limits_of
from edgenas.runs.evidence import bundle as evidence
from edgenas.runs.evidence.contents import content_checks
from helpers.finished_run import LIMIT_MS, finish, latency, verified

Files = dict[str, Any]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """The files of a bundle of a finished run, by name; a document is JSON."""
    folder = RunFolder(tmp_path / "run")
    finish(folder, verified(latency()), RunConfig(max_latency_ms=LIMIT_MS))
    documents = (folder.verification, folder.search, folder.config)
    cards = folder.models.glob("*.json")
    return {
        **{path.name: json.loads(path.read_text("utf-8")) for path in documents},
        **{f"models/{path.name}": path.read_bytes() for path in cards},
    }


def bundle(folder: Path, files: Files) -> Path:
    contents = {
        name: value if isinstance(value, bytes) else json.dumps(value).encode()
        for name, value in files.items()
    }
    sums = [f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in sorted(contents)]
    return evidence.write({**contents, evidence.SUMS: "".join(sums).encode()}, folder / "b.zip")


def statuses(folder: Path, files: Files) -> dict[str, str]:
    return {one.model: one.status for one in content_checks(bundle(folder, files), limits_of)}


def test_a_verdict_on_the_files_of_its_bundle_follows(tmp_path: Path, files: Files) -> None:
    found = statuses(tmp_path, files)
    assert set(found) == {
        "search.json",
        "run.json",
        "models/m.int8.onnx",
        "supernet.safetensors",
        *(name for name in files if name.startswith("models/")),
    }
    assert set(found.values()) == {"follows"}


def another_search(files: Files) -> str:
    files["search.json"]["method"] = "random"
    return "search.json"


def another_limit(files: Files) -> str:
    files["run.json"]["config"]["max_latency_ms"] = 2 * LIMIT_MS
    return "run.json"


def another_model(files: Files) -> str:
    files["verification.json"]["models"][0]["model"]["sha256"] = "0" * 64
    return "models/m.int8.onnx"


def another_supernet(files: Files) -> str:
    files["verification.json"]["models"][0]["model"]["supernet_sha256"] = "0" * 64
    return "supernet.safetensors"


def another_card(files: Files) -> str:
    name = next(name for name in files if name.startswith("models/"))
    files[name] += b" "
    return str(name)


def other_predictors(files: Files) -> str:
    by = PredictedBy("mbv3-tiny", 10, 1, 16, {"latency_ms": "0" * 64})
    files["search.json"]["predicted_by"] = to_json(by)
    files["verification.json"]["verified_from"]["search"] = search_sha256(files["search.json"])
    return "predictors/latency_ms.json"


@pytest.mark.parametrize(
    "change",
    [
        another_search,
        another_limit,
        another_model,
        another_supernet,
        another_card,
        other_predictors,
    ],
)
def test_what_was_not_verified_is_named(
    tmp_path: Path, files: Files, change: Callable[[Files], str]
) -> None:
    changed = change(files)
    found = statuses(tmp_path, files)
    assert [name for name, status in found.items() if status == "differs"] == [changed]


def test_the_seconds_of_a_search_are_not_what_was_verified(tmp_path: Path, files: Files) -> None:
    files["search.json"]["seconds"] = 99.0
    assert statuses(tmp_path, files)["search.json"] == "follows"


def test_what_is_left_out_or_older_is_unknown(tmp_path: Path, files: Files) -> None:
    files["search.json"]["warm_start"] = "(left out)"
    assert statuses(tmp_path, files)["search.json"] == "unknown"
    files["verification.json"]["verified_from"] = None
    assert statuses(tmp_path, files) == {"verification.json": "unknown"}


def test_the_command_says_what_was_not_verified(tmp_path: Path, files: Files) -> None:
    another_search(files)
    done = CliRunner().invoke(verify, ["--replay", str(bundle(tmp_path, files))])
    assert done.exit_code == 1
    assert "differs: content, as verified: Another file was verified than this one." in done.output
