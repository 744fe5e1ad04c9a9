"""The steps in order: one search, resumable at any point, and each step alone on a run folder."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgenas.progress import Progress
from edgenas.records import Verification, to_json
from edgenas.run_context import RunContext, open_run
from edgenas.summary import summary

# Searches until a promise holds: each is refitted with the measured winners of the one before.
MOST_ROUNDS = 3


def search(path: Path, asked: dict[str, Any], progress: Progress, resume: bool) -> dict[str, Any]:
    """Run every step on the run folder `path`; return the JSON document of `edgenas search`.

    Finished work in the folder is reused and said to be. If no candidate keeps its promise on the
    target, the predictors are refitted with the measured candidates and the search is repeated.
    """
    with open_run(path, asked, progress, resume) as context:
        for name in ("probe", "train", "measure", "evaluate"):
            _run(context, name)
        for rounds in range(1, MOST_ROUNDS + 1):
            for name in ("fit", "optimize", "export"):
                _run(context, name)
            verification = _run(context, "verify", rounds=rounds)
            if verification.winner is not None or not _missed(verification):
                break
            if rounds < MOST_ROUNDS:
                progress.warning(
                    f"Round {rounds}: no candidate met the limit when it was measured; "
                    "the search is repeated with these measurements."
                )
        for name in ("explain", "report"):
            _run(context, name)
        return summary(context)


def run_step(name: str, path: Path, asked: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Run one step on a run folder (made if it is not there) and return what it says as JSON."""
    with open_run(path, asked, progress, resume=True) as context:
        result = _run(context, name)
        if name in ("verify", "report"):
            return summary(context)
        document: dict[str, Any] = {"run": str(path), "step": name, "result": to_json(result)}
        return document


def _run(context: RunContext, name: str, **options: Any) -> Any:
    """Run one step; add its seconds, and the warnings so far, to the run's notes."""
    step = importlib.import_module(f"edgenas.steps.{name}")
    run: Callable[..., Any] = step.run
    started = time.perf_counter()
    try:
        return run(context, **options)
    finally:
        context.note(name, time.perf_counter() - started)


def _missed(verification: Verification) -> bool:
    """Whether a candidate failed on latency: the one promise that another search can mend."""
    return any(
        verified.outcome.latency is not None
        and verified.outcome.latency.median_ms > verification.limit_ms
        for verified in verification.models
    )
