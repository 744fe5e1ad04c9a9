"""Replay of limits: whether what passed keeps all that the run was asked to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from device_runtime.json_text import read_json_text
from edgenas.core.errors import RunFolderError
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.metrics import REGISTRY
from edgenas.core.records import Verification, VerifiedModel
from edgenas.core.records.goals import ROBUST, SCORE, Limit
from edgenas.runs.evidence import bundle
from edgenas.runs.evidence.figures import Check, number

RUN = RunFolder.config.name
ReadLimits = Callable[[Any, str], dict[str, Limit]]


def limit_checks(path: Path, read_limits: ReadLimits) -> tuple[Check, ...]:
    """Return a check of each measured response in the bundle, and of each limit in its run.json.

    A response is held against the figure of the verdict that it repeats, which `challenges.replay`
    works out from the journals.

    read_limits : makes the limits of a run.json's options; its errors name the second argument.

    Raises
    ------
    RunFolderError : the bundle is damaged, or was changed after it was made.
    """
    files = bundle.read(path)
    verdict = bundle.verification_of(files)
    limits = limits_asked(files, read_limits)
    return tuple(
        check for one in verdict.models for check in (*_repeated(one), *_kept(one, verdict, limits))
    )


def limits_asked(files: Mapping[str, bytes], read_limits: ReadLimits) -> dict[str, Limit]:
    """Return what the run was asked to keep; nothing where the bundle does not say."""
    if RUN not in files:
        return {}
    what = f"{RUN} in the bundle"
    try:
        document = read_json_text(files[RUN])
    except ValueError as problem:
        raise RunFolderError(f"{what} is not valid: {problem}.") from problem
    config = document.get("config") if isinstance(document, dict) else None
    return read_limits(config, what)


def _repeated(verified: VerifiedModel) -> Iterator[Check]:
    known = _known(verified)
    for name, stated in verified.measured.items():
        if name in known:
            yield number(verified.model.int8_file, f"measured {name}", stated, known[name])


def _known(verified: VerifiedModel) -> dict[str, float]:
    """Return each response as the verdict has it elsewhere."""
    outcome, predicted = verified.outcome, verified.model.candidate.responses
    latency, energy = outcome.latency, outcome.energy
    found: dict[str, float | None] = {
        SCORE: verified.device_accuracy,
        "latency_ms": None if latency is None else latency.median_ms,
        "latency_p90_ms": None if latency is None else latency.p90_ms,
        "peak_rss_bytes": outcome.peak_rss_bytes,
        "energy_mj": None if energy is None else energy.energy_mj,
        "model_bytes": verified.model.int8_bytes,
        ROBUST: verified.model.robust_accuracy,
        **{name: one.mean for name, one in predicted.items() if REGISTRY[name].exact},
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def _kept(
    verified: VerifiedModel, verdict: Verification, limits: Mapping[str, Limit]
) -> Iterator[Check]:
    name, known = verified.model.int8_file, _known(verified)
    for response, limit in limits.items():
        if response == "latency_ms" and limit.at_most is not None:
            if verdict.limit_ms is None:
                why = "The verdict knows no limit on latency."
                yield Check(name, "limit_ms", "differs", None, limit.at_most, why)
            else:
                yield number(name, "limit_ms", verdict.limit_ms, limit.at_most)
        value = known.get(response)
        for side, bound in (("at most", limit.at_most), ("at least", limit.at_least)):
            if bound is None:
                continue
            keeps = value is not None and (value <= bound if side == "at most" else value >= bound)
            why = "" if keeps or not verified.passed else "It passed, and does not keep the limit."
            figure = f"{REGISTRY[response].label} {side}"
            yield Check(name, figure, "differs" if why else "follows", bound, value, why)
