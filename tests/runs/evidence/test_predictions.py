"""Predictions are worked out again from the predictors that the search used, not later ones."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.core.errors import RunFolderError
from edgenas.core.files.run_folder import RunFolder, write_json
from edgenas.core.records import (
    PredictedBy,
    Verification,
    VerifiedModel,
    to_json,
)
from edgenas.optimize import term_rows
from edgenas.runs.evidence import bundle as evidence
from edgenas.runs.evidence.predictions import prediction_checks
from edgenas.runs.models.kept_predictors import drop_others
from edgenas.runs.run import RunContext
from edgenas.runs.steps import fit, optimize
from helpers.learnt_run import learnt, measure
from helpers.verified_run import verdict

Files = dict[str, bytes]


def judge(
    context: RunContext, earlier: tuple[VerifiedModel, ...] = ()
) -> tuple[VerifiedModel, ...]:
    """Write the verdict of a search, as verify does, and return its models."""
    search = context.search_result()
    models = tuple(
        replace(
            verdict(),
            model=replace(verdict().model, candidate=candidate, int8_file=f"{index}.onnx"),
            predicted_by=search.predicted_by,
        )
        for index, candidate in enumerate(search.candidates)
    )
    models += tuple(replace(one, from_earlier_round=True) for one in earlier)
    result = Verification("local", search.limit_ms, search.confidence, 1, models)
    write_json(context.folder.verification, to_json(result))
    drop_others(context.folder, [search.predicted_by, *(one.predicted_by for one in models)])
    return models


def searched(path: Path, **options: Any) -> RunContext:
    context = learnt(path, **options)
    optimize.run(context)
    judge(context)
    return context


def collected(context: RunContext) -> Files:
    return dict(evidence.collect(context.folder, np.zeros(4, int), {}))


def found(files: Files, path: Path) -> dict[tuple[str, str], str]:
    """Return the statuses by model and figure, of a bundle whose sums are made to fit."""
    names = sorted(files.keys() - {evidence.SUMS})
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in names)
    bundle = evidence.write({**files, evidence.SUMS: sums.encode()}, path / "evidence.zip")
    return {(one.model, one.figure): one.status for one in prediction_checks(bundle)}


@dataclass(frozen=True)
class Rounds:
    """A run that searched, measured more, fitted again, and searched again.

    first : the bundle of its first verdict, made after the second fit. both : that of the second
        verdict, which has the winners of both rounds.
    """

    context: RunContext
    first: Files
    both: Files


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Rounds:
    context = learnt(tmp_path_factory.mktemp("run"))
    optimize.run(context)
    models = judge(context)
    fitted = context.folder.predictors / "latency_ms.json"
    before = fitted.read_bytes()
    measure(context, 12, 16, speed=1.5)
    fit.run(context)
    assert fitted.read_bytes() != before
    first = collected(context)
    optimize.run(context)
    judge(context, earlier=models)
    return Rounds(context, first, collected(context))


@pytest.fixture
def bundle(rounds: Rounds) -> Files:
    return dict(rounds.first)


def test_predictions_follow_from_the_predictors_of_the_search(
    bundle: Files, tmp_path: Path
) -> None:
    statuses = found(bundle, tmp_path)
    assert set(statuses.values()) == {"follows"}
    for name in ("0.onnx", "1.onnx"):
        for end in ("", ", lower", ", upper"):
            assert (name, f"predicted latency_ms{end}") in statuses
            assert (name, f"predicted accuracy{end}") in statuses
    assert any(name == "search.json" for name, _ in statuses)


def test_each_round_follows_from_its_own_predictors(rounds: Rounds, tmp_path: Path) -> None:
    models = evidence.verification_of(rounds.both).models
    assert models[0].predicted_by != models[-1].predicted_by
    assert set(found(rounds.both, tmp_path).values()) == {"follows"}


def test_predictors_that_nothing_names_are_dropped(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.kept_predictors.mkdir(parents=True)
    for name in ("used", "old"):
        (folder.kept_predictors / f"{name}.json").write_text("{}")
    drop_others(folder, [None, PredictedBy("mbv3-tiny", 2, 1, 16, {"accuracy": "used"})])
    assert [path.name for path in folder.kept_predictors.iterdir()] == ["used.json"]


def test_a_warm_start_and_another_confidence_follow_too(tmp_path: Path) -> None:
    searched(tmp_path / "old")
    options = {"warm_start": str(tmp_path / "old"), "confidence": 0.8, "optimizer": "evolution"}
    context = searched(tmp_path / "new", speed=2.0, budget=300, **options)
    assert set(found(collected(context), tmp_path).values()) == {"follows"}


def surer(document: Any) -> None:
    document["models"][0]["model"]["candidate"]["latency_ms"]["upper"] *= 0.99


def better(document: Any) -> None:
    document["models"][1]["model"]["candidate"]["accuracy"]["mean"] += 0.01


def less_sure(document: Any) -> None:
    document["confidence"] = 0.9


def better_front(document: Any) -> None:
    document["frontier"][3]["accuracy"]["mean"] += 0.01


def other_network(document: Any) -> None:
    document["candidates"][0]["architecture"]["resolution"] = 7


def other_classes(document: Any) -> None:
    document["predicted_by"]["num_classes"] = 1000


def other_predictor(document: Any) -> None:
    document["predicted_by"]["predictors"]["latency_ms"] = "0" * 64


def no_space(document: Any) -> None:
    document["predicted_by"]["image_size"] = -4


@pytest.mark.parametrize(
    ("name", "change", "figure"),
    [
        ("verification.json", surer, ("0.onnx", "predicted latency_ms, upper")),
        ("verification.json", better, ("1.onnx", "predicted accuracy")),
        ("verification.json", less_sure, ("0.onnx", "predicted latency_ms, upper")),
        ("search.json", better_front, ("search.json", "predicted accuracy, of ")),
        ("search.json", other_network, ("search.json", "predicted latency_ms, of ")),
        ("search.json", other_classes, ("search.json", "predicted params, of ")),
        ("search.json", other_predictor, ("search.json", "predicted latency_ms, of ")),
        ("search.json", no_space, ("search.json", "predicted latency_ms, of ")),
    ],
)
def test_a_tampered_prediction_is_found(
    bundle: Files, tmp_path: Path, name: str, change: Callable[[Any], None], figure: tuple[str, str]
) -> None:
    document = json.loads(bundle[name])
    change(document)
    statuses = found({**bundle, name: json.dumps(document).encode()}, tmp_path)
    differing = {key for key, status in statuses.items() if status == "differs"}
    assert any(model == figure[0] and of.startswith(figure[1]) for model, of in differing)
    if name == "search.json":
        assert {model for model, _ in differing} == {"search.json"}


def scaled(content: bytes) -> bytes:
    document = json.loads(content)
    document["params"] = [1.1 * value for value in document["params"]]
    return json.dumps(document).encode()


def test_a_tampered_predictor_is_found_under_its_name_and_under_another(
    bundle: Files, tmp_path: Path
) -> None:
    by = json.loads(bundle["verification.json"])["models"][0]["predicted_by"]["predictors"]
    sha256 = by["latency_ms"]
    name = evidence.predictor_name(sha256)
    changed = scaled(bundle[name])
    assert "differs" in found({**bundle, name: changed}, tmp_path).values()
    other = hashlib.sha256(changed).hexdigest()
    renamed = {
        key.replace(sha256, other): content.replace(sha256.encode(), other.encode())
        for key, content in {**bundle, name: changed}.items()
    }
    assert set(found(renamed, tmp_path).values()) == {"differs"}  # its own seal is broken
    gone = {key: content for key, content in bundle.items() if key != name}
    assert set(found(gone, tmp_path).values()) == {"differs"}


def test_a_search_before_predictors_were_kept_is_unknown(bundle: Files, tmp_path: Path) -> None:
    files = dict(bundle)
    for name in ("verification.json", "search.json"):
        document = json.loads(files[name])
        for one in (document, *document.get("models", ())):
            one.pop("predicted_by", None)
        files[name] = json.dumps(document).encode()
    assert set(found(files, tmp_path).values()) == {"unknown"}


def test_terms_that_this_program_does_not_make_are_unknown(
    bundle: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = term_rows.term_set

    def others(*arguments: Any) -> Any:
        terms = made(*arguments)
        return replace(terms, kinds=tuple(f"new_{kind}" for kind in terms.kinds))

    monkeypatch.setattr(term_rows, "term_set", others)
    assert set(found(bundle, tmp_path).values()) == {"unknown"}


@pytest.mark.parametrize("gone", [True, False])
def test_a_kept_predictor_that_is_not_what_it_was_is_not_packed(
    rounds: Rounds, tmp_path: Path, gone: bool
) -> None:
    copy = RunFolder(tmp_path / "copy")
    shutil.copytree(rounds.context.folder.path, copy.path)
    path = next(copy.kept_predictors.iterdir())
    if gone:
        path.unlink()
    else:
        path.write_bytes(b"{}")
    with pytest.raises(RunFolderError, match="is gone" if gone else "was changed"):
        evidence.collect(copy, np.zeros(4, int), {})
