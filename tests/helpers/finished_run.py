"""A run folder that is verified, and goes on being worked on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from edgenas.core.files.run_folder import RunFolder, write_bytes, write_json
from edgenas.core.records import (
    ExportedModel,
    Interval,
    Latency,
    Limit,
    Outcome,
    SearchResult,
    Verification,
    VerifiedModel,
    to_json,
)
from edgenas.runs.config import RunConfig, write_config
from edgenas.runs.verdict.verdicts import verified_from, write
from helpers.reporting_sample import sample

DATA = sample()
LIMIT_MS = 0.2
INT8 = b"an int8 model"
HASH = hashlib.sha256(INT8).hexdigest()


def search_result(**changes: Any) -> SearchResult:
    assert DATA.search is not None
    first = DATA.search.candidates[:1]
    return replace(
        DATA.search, candidates=first, limits=(Limit("latency_ms", at_most=LIMIT_MS),), **changes
    )


def latency(median_ms: float = 0.15, **changes: Any) -> Latency:
    passes = ((150_000,) * 3,) * 6
    known = {"ci95_ms": (0.97 * median_ms, 1.03 * median_ms), "converged": True}
    return Latency(
        median_ms, 1.1 * median_ms, samples_ns=passes, drift=(1.0,) * 6, **{**known, **changes}
    )


def verified(timed: Latency, provider: str = "CPUExecutionProvider") -> VerifiedModel:
    candidate = search_result().candidates[0]
    promised = replace(candidate, latency_ms=Interval(0.15, 0.1, 0.19))
    supernet = hashlib.sha256(b"a supernet").hexdigest()
    model = ExportedModel(
        *(promised, "m.int8.onnx", "m.fp32.onnx", HASH, len(INT8), "u8s8", (0.5,), (0.5,)),
        *(("a", "b"), None, None, 0, supernet),
    )
    outcome = Outcome("ok", "", "onnxruntime", "1", provider, {}, timed)
    measured = {"latency_ms": timed.median_ms, "model_bytes": 13.0}
    return VerifiedModel(model, True, (), outcome, 0.9, 0.9, 0.9, 1.0, 40, measured=measured)


def finish(
    folder: RunFolder, one: VerifiedModel, config: RunConfig, *, hashes: bool = True
) -> None:
    """Write a run whose only candidate passed, as the steps do; once without hashes."""
    write_config(folder, config, "0")
    result = replace(search_result(), candidates=(one.model.candidate,))
    write_json(folder.search, to_json(result))
    write_json(folder.data, {"identity": "a"})
    name = one.model.candidate.architecture.short_name
    for path, content in (
        (folder.models / "m.int8.onnx", INT8),
        (folder.models / "m.fp32.onnx", b"a float model"),
        (folder.models / f"{name}.json", json.dumps(to_json(one.model)).encode()),
        (folder.supernet, b"a supernet"),
        (folder.predictors / "latency_ms.json", b"{}"),
    ):
        write_bytes(path, content)
    found = Verification("local", LIMIT_MS, 0.95, 1, (one,))
    if hashes:
        write(folder, replace(found, verified_from=verified_from(folder, config, [one.model])))
        return
    document = to_json(found)
    del document["verified_from"]  # as an edgenas that kept no hashes wrote it
    write_json(folder.verification, document)
