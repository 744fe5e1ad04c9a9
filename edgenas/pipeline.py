"""The steps in order: one search, resumable at any point, and each step alone on a run folder."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas import (
    int8_layers,
    measured_table,
    table_run,
    table_search,
    table_summary,
    table_target,
    warm_start,
)
from edgenas.advice import savings
from edgenas.errors import InputError, PredictorError
from edgenas.open_run import beside_run, helps, open_run
from edgenas.progress import Progress
from edgenas.records import (
    DeviceProfile,
    ExportedModel,
    SearchResult,
    Verification,
    to_json,
)
from edgenas.records.tables import TableCard
from edgenas.run_context import RunContext
from edgenas.run_folder import write_bytes
from edgenas.summary import summary

if TYPE_CHECKING:
    from edgenas.reporting.document import PredictorReport
    from edgenas.targets.config import Access

STARTING_STEPS = ("probe", "train", "measure")
# Steps that do one thing, with what to call it; the others draw bars of their own.
UNDIVIDED = {
    "fit": "Fitting the predictors",
    "optimize": "Searching",
    "explain": "Explaining",
    "report": "Writing the report",
}
# Searches until a promise holds: each is refitted with the measured winners of the one before.
MOST_ROUNDS = 4
# Searches until the winners are evaluated: each knows those of the one before.
MOST_SEARCHES = 4
# Subnets measured at once while a wanted error is not reached.
BATCH = 8


def search(
    path: Path,
    asked: dict[str, Any],
    progress: Progress,
    resume: bool,
    access: Access | None = None,
) -> dict[str, Any]:
    """Run every step on the run folder `path`; return the JSON document of `edgenas search`.

    Finished work in the folder is reused and said to be. If no candidate keeps its promise on the
    target, the predictors are refitted with the measured candidates and the search is repeated.
    """
    with open_run(path, asked, progress, resume, access=access) as context:
        if context.replays:
            table_search.check(asked)
            return table_search.search(context, step)
        step(context, "probe")
        warm_start.adopt(context)
        step(context, "train")
        added = sum(step(context, name) for name in ("measure", "evaluate"))
        return conclude(context, added)


def conclude(context: RunContext, added: int) -> dict[str, Any]:
    """Search and verify from the rows in the store, `added` of them new; return the document."""
    if context.config.target_mape is not None:
        _measure_until_precise(context, context.config.target_mape)
    if not added and _answers(context):
        context.reuse("the search and its verification")
    else:
        _search_until_kept(context)
    for name in ("explain", "report"):
        step(context, name)
    return summary(context)


def _measure_until_precise(context: RunContext, target_mape: float) -> None:
    """Measure a batch more, and again, until the held-out error or the device time is reached."""
    from edgenas.predictors.design import stop

    while True:
        step(context, "fit")
        held_out = context.predictors().latency.heldout
        mape = held_out.mape if held_out is not None else float("inf")
        verdict = stop(mape, target_mape, context.device_seconds(), context.config.device_time_s)
        if verdict.reached:
            context.progress.message(f"measuring stops: {verdict.reason}")
            return
        before = len(context.measurements())
        context.ask_for_samples(context.config.samples + BATCH)
        step(context, "measure")
        if len(context.measurements()) == before:
            context.progress.warning(f"Measuring stops: nothing is left to measure; {mape:.2%}.")
            return


def _search_until_kept(context: RunContext) -> None:
    for rounds in range(1, MOST_ROUNDS + 1):
        search_until_known(context)
        step(context, "export")
        verification = step(context, "verify", rounds=rounds)
        missed = _missed(verification)
        if not missed:
            return
        then = "the search is repeated with these measurements" if rounds < MOST_ROUNDS else "stop"
        context.progress.message(f"round {rounds}: {missed}; {then}")
    text = f"After {MOST_ROUNDS} rounds of search and measuring, {missed}."
    context.progress.warning(text)
    context.note("verify", 0.0, [*context.notes().step_warnings.get("verify", ()), text])


def search_until_known(context: RunContext) -> None:
    """Search, and again with the winners' accuracies known, until they all are.

    The best of a million predictions is one that errs upwards: without this, the fewer subnets
    are evaluated, the more accuracy is promised.
    """
    for _ in range(MOST_SEARCHES):
        step(context, "fit")
        found: SearchResult = step(context, "optimize")
        winners = [candidate.architecture for candidate in found.candidates]
        if context.data_card.synthetic or not step(context, "evaluate", architectures=winners):
            return


def _answers(context: RunContext) -> bool:
    """Whether the run has a winner, of a search under the options of now."""
    if not context.folder.verification.exists():
        return False
    try:
        context.predictors()
    except PredictorError:
        return False  # fitted by an edgenas that made other terms
    config, result, verification = context.config, context.search_result(), context.verified()
    asked = config.limits().get("latency_ms")
    return (
        verification.winner is not None
        and result.limited == config.limited
        and (asked is None or asked.at_most in (None, result.limit_ms))
        and config.asked_for(result)
        and result.warm_start == config.warm_start
        and all(_epochs_alone(one.model) == config.finetune for one in verification.models)
        and {candidate.architecture for candidate in result.candidates}
        <= {verified.model.candidate.architecture for verified in verification.models}
    )


def _epochs_alone(model: ExportedModel) -> int:
    return 0 if model.finetuned is None else model.finetuned.epochs


def probe_target(where: str, access: Access | None = None) -> DeviceProfile | TableCard:
    """Return what a target is: the machine that it reaches, or the measured table."""
    from edgenas.targets.config import resolve

    if table_target.is_table(where):
        return table_run.card(measured_table.read(table_target.read(Path(where))))
    return resolve(where, access).probe()


def run_step(
    name: str,
    path: Path,
    asked: dict[str, Any],
    progress: Progress,
    access: Access | None = None,
) -> dict[str, Any]:
    """Run one step on a run folder and return what it says as JSON.

    The steps that need no earlier one make the folder if it is not there. Under `torchrun` all
    processes evaluate; those that are not the first one write nothing and return {}.
    """
    if name == "evaluate" and helps():
        with beside_run(path, asked, access) as context:
            _of_board(name)(context)
        return {}
    with open_run(
        path, asked, progress, resume=True, create=name in STARTING_STEPS, access=access
    ) as context:
        result = step(context, name)
        if name in ("verify", "report"):
            return table_summary.summary(context) if context.replays else summary(context)
        document: dict[str, Any] = {"run": str(path), "step": name, "result": to_json(result)}
        return document


def explain(
    path: Path,
    progress: Progress,
    access: Access | None = None,
    save_ms: float | None = None,
    png: Path | None = None,
    *,
    layers: bool = False,
) -> dict[str, Any]:
    """Explain a run's predictors and its winner; return what is found as JSON.

    save_ms : predicted milliseconds to save; says which changes to the winner do it.
    png : folder that the plots are written to. layers : what int8 costs each layer is wanted.
    """
    with open_run(path, {}, progress, resume=True, create=False, access=access) as context:
        if layers and context.replays:
            raise InputError("A measured table has no layers.", "Leave --layers out.")
        reports = step(context, "explain")
        best = None if context.replays else context.best()
        saved = []
        if save_ms is not None and context.replays:
            raise InputError("--save is not there for a measured table.", "Leave it out.")
        if save_ms is not None and best is not None:
            saved = to_json(savings(context.predictors(), best, save_ms))
        return {
            "run": str(path),
            "step": "explain",
            "result": to_json(reports),
            "savings": saved,
            "int8": None if context.replays else _int8(context),
            "plots": [] if png is None else _write_plots(reports, png),
        }


def _int8(context: RunContext) -> dict[str, Any] | None:
    from edgenas.reporting.int8_layers import sentences

    found = int8_layers.stored(context)
    if found is None:
        return None
    more = {"noise_shares": found.noise_shares, "says": list(sentences(found))}
    return {**to_json(found), **more}


def _write_plots(reports: list[PredictorReport], folder: Path) -> list[str]:
    from edgenas.reporting import charts

    written = []
    for report in reports:
        for draw in (charts.fit_quality, charts.residuals, charts.coefficients, charts.effects):
            plot = draw(report)
            if plot is not None:
                path = folder / f"{report.response}-{draw.__name__.replace('_', '-')}.png"
                write_bytes(path, plot.png())
                written.append(str(path))
    return written


def step(context: RunContext, name: str, **options: Any) -> Any:
    """Run one step; add its seconds, and the warnings so far, to the run's notes."""
    run = _of_board(name) if not context.replays else table_search.step_of_table(name)
    started, said = time.perf_counter(), len(context.progress.warnings)
    try:
        if name not in UNDIVIDED:
            return run(context, **options)
        with context.progress.task(UNDIVIDED[name], 1) as task:
            result = run(context, **options)
            task.advance()
        return result
    finally:
        seconds = time.perf_counter() - started
        context.note(name, seconds, context.progress.warnings[said:])


def _of_board(name: str) -> Callable[..., Any]:
    run: Callable[..., Any] = importlib.import_module(f"edgenas.steps.{name}").run
    return run


def _missed(verification: Verification) -> str:
    """Return which promises were broken, "" if none: another search, refitted, can mend it."""
    slow = sum(
        verified.outcome.latency is not None
        and verified.outcome.latency.median_ms
        > min(verified.model.candidate.latency_ms.upper, verification.limit_ms)
        for verified in verification.models
        if not verified.from_earlier_round
    )
    return f"{slow} candidates were slower than promised" if slow else ""
