"""The steps in order: one search, resumable at any point, and each step alone on a run folder."""

from __future__ import annotations

import contextlib
import importlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.core.errors import EdgeNasError, InfeasibleError, InputError, nearest
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.progress import Progress
from edgenas.core.records import DeviceProfile, VerifiedModel, to_json
from edgenas.core.records.tables import TableCard
from edgenas.explain.savings import savings
from edgenas.predictors.linear.d_optimal import Stop, stop
from edgenas.runs.document import search_document, summary
from edgenas.runs.models import int8_layers, roofline_file
from edgenas.runs.open import beside_run, helps, open_run
from edgenas.runs.run import RunContext
from edgenas.runs.sources.table_run import card
from edgenas.runs.start import checks as start_checks
from edgenas.targets.table import measured_table, target_file

if TYPE_CHECKING:
    from edgenas.reporting.document import PredictorReport
    from edgenas.reporting.plots.plot import Plot
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
CONFUSION = "confusion"  # of the winner: the name of its plot


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
    with open_run(path, asked, progress, resume, whole=True, access=access) as context:
        _check_start(context)
        probe(context)
        context.source.prepare()
        if "train" in context.source.steps:
            step(context, "train")
        added = sum(step(context, name) for name in ("measure", "evaluate"))
        return conclude(context, added)


def _check_start(context: RunContext) -> None:
    """Refuse what cannot be met; what is said of the images then is a note of the run."""
    said = len(context.progress.warnings)
    start_checks.check_start(context)
    if warnings := context.progress.warnings[said:]:
        context.note("data", 0.0, warnings)


def probe(context: RunContext) -> None:
    """Look at the target; `TargetError` if the run's engine is not to be had there."""
    context.source.require_engine(step(context, "probe"))


def conclude(context: RunContext, added: int) -> dict[str, Any]:
    """Search and verify from the rows in the store, `added` of them new; return the document."""
    answered = not added and _answers(context)
    config = context.config
    wanted = config.target_mape is not None or config.target_gain is not None
    if wanted and not (answered and _stop(context).reached):
        _measure_until_precise(context)
        answered = not added and _answers(context)
    if answered:
        context.source.check_unchanged()
        context.reuse("the search and its verification")
    else:
        _search_until_kept(context)
    for name in ("explain", "report"):
        step(context, name)
    return summary(context)


def _stop(context: RunContext) -> Stop:
    """Return whether latency is known as well as was asked for, or time is up."""
    held_out, config = context.predictors().latency.heldout, context.config
    mape = held_out.mape if held_out is not None else math.inf
    certain = None
    if config.target_gain is not None:
        with contextlib.suppress(InfeasibleError):  # nothing is known to keep the limit yet
            certain = context.source.certainty(context.source.search())
    return stop(
        mape,
        config.target_mape,
        context.device_seconds(),
        config.device_time_s,
        gain=None if certain is None else certain.gains["latency_ms"],
        target_gain=config.target_gain,
    )


def _measure_until_precise(context: RunContext) -> None:
    """Measure a batch more, and again, until the held-out error or the device time is reached."""
    while True:
        step(context, "fit")
        verdict = _stop(context)
        if verdict.reached:
            context.progress.message(f"measuring stops: {verdict.reason}")
            return
        before = len(context.measurements())
        context.settle(samples=context.config.samples + BATCH)
        step(context, "measure")
        if len(context.measurements()) == before:
            context.progress.warning(
                f"Measuring stops: nothing is left to measure; {verdict.reason}."
            )
            return


def _search_until_kept(context: RunContext) -> None:
    for rounds in range(1, MOST_ROUNDS + 1):
        search_until_known(context)
        missed, alone = _checked(context, rounds, alone=False)
        if alone and not missed:
            missed, _ = _checked(context, rounds, alone=True)
        if not missed:
            return
        then = "the search is repeated knowing them" if rounds < MOST_ROUNDS else "stop"
        context.progress.message(f"round {rounds}: {missed}; {then}")
    text = f"After {MOST_ROUNDS} rounds of search and measuring, {missed}."
    context.progress.warning(text)
    context.note("verify", 0.0, [*context.notes().step_warnings.get("verify", ()), text])


def _checked(context: RunContext, rounds: int, *, alone: bool) -> tuple[str, bool]:
    """Export and verify the candidates; return which promises are broken.

    And whether candidates are to be trained alone, which is settled before they are verified: a
    pass is one under the options of then. alone : they are trained so now. That takes longest, so
    that it is for those only whose latency is known to hold.
    """
    if "export" in context.source.steps:
        step(context, "export", alone=alone)
    wanted = context.source.trains_alone()
    step(context, "verify", rounds=rounds)
    return context.source.missed(), wanted


def search_until_known(context: RunContext) -> None:
    """Search, and again with the winners' accuracies known, until they all are.

    The best of a million predictions is one that errs upwards: without this, the fewer subnets
    are evaluated, the more accuracy is promised.
    """
    for _ in range(MOST_SEARCHES):
        step(context, "fit")
        step(context, "optimize")
        winners = context.source.unevaluated()
        if not winners or not step(context, "evaluate", networks=winners):
            return


def _answers(context: RunContext) -> bool:
    """Whether the run has a winner, of a search under the options of now."""
    if not context.verdict().passed:
        return False
    config, result = context.config, context.search_result()
    limits = {limit.response: (limit.at_most, limit.at_least) for limit in result.limits}
    asked = {limit.response: (limit.at_most, limit.at_least) for limit in config.limits().values()}
    return limits.items() >= asked.items() and config.asked_for(result) and context.source.answers()


def probe_target(where: str, access: Access | None = None) -> DeviceProfile | TableCard:
    """Return what a target is: the machine that it reaches, or the measured table."""
    from edgenas.targets.config import resolve

    if target_file.is_table(where):
        return card(measured_table.read(target_file.read(Path(where))))
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
            step_of(context, name)(context)
        return {}
    with open_run(
        path, asked, progress, resume=True, create=name in STARTING_STEPS, access=access
    ) as context:
        if name in ("train", "measure"):
            _check_start(context)
        result = step(context, name)
        if name == "verify" or (name != "report" and _status(context) == "not verified"):
            _write_page_again(context)
        if name in ("verify", "report"):
            return summary(context)
        document = {"run": str(path), "step": name}
        if name != "optimize":
            return {**document, "result": to_json(result)}
        return {**document, "score": context.config.score, "result": search_document(result)}


def _status(context: RunContext) -> str:
    """Return the verdict in a word; "" where a file is damaged, which is a step's to mend."""
    try:
        return context.verdict().status
    except EdgeNasError:
        return ""


def _write_page_again(context: RunContext) -> None:
    """Write the page of a finished run again: it says what is no longer so."""
    if not context.folder.report.exists():
        return
    try:
        step(context, "report")
    except EdgeNasError as problem:
        context.progress.warning(f"{context.folder.report} is of before: {problem}")


def explain(
    path: Path,
    progress: Progress,
    access: Access | None = None,
    save_ms: float | None = None,
    png: Path | None = None,
    *,
    layers: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Explain a run's predictors and its winner; return what is found as JSON.

    save_ms : predicted milliseconds to save; says which changes to the winner do it.
    png : folder that the plots are written to; overwrite : also over files of their names that
    edgenas did not write. layers : what int8 costs each layer is wanted.
    """
    if png is not None:
        from edgenas.reporting.plots.plot import claim_plots

        claim_plots(_plot_names(RunFolder(path)), png, overwrite=overwrite)
    with open_run(path, {}, progress, resume=True, create=False, access=access) as context:
        is_table = "export" not in context.source.steps
        if layers and is_table:
            raise InputError("A measured table has no layers.", "Leave --layers out.")
        if save_ms is not None and is_table:
            raise InputError("--save is not there for a measured table.", "Leave it out.")
        reports = step(context, "explain")
        verdict = context.verdict()
        best = None if is_table else context.best()
        saved, drawn = [], []
        if save_ms is not None and best is not None:
            saved = to_json(savings(context.predictors(), best, save_ms))
        if png is not None:
            from edgenas.reporting.plots.plot import write_plots

            drawn = write_plots(
                {**_plots(reports), **_confusion(context)}, png, overwrite=overwrite
            )
        return {
            "run": str(path),
            "step": "explain",
            "status": verdict.status,
            "not_verified": list(verdict.outdated),
            "next_command": verdict.next_command,
            "result": to_json(reports),
            "savings": saved,
            "int8": None if is_table else _int8(context),
            "plots": drawn,
            **({} if is_table else {"roofline": _roofline(context)}),
        }


def _int8(context: RunContext) -> dict[str, Any] | None:
    from edgenas.reporting.words.int8_layers import sentences

    found = int8_layers.stored(context)
    if found is None:
        return None
    more = {"noise_shares": found.noise_shares, "says": list(sentences(found))}
    return {**to_json(found), **more}


def _roofline(context: RunContext) -> dict[str, Any] | None:
    from edgenas.reporting.words.roofline import document

    found = roofline_file.stored(context)
    return None if found is None else document(found)


def _confusion(context: RunContext) -> dict[str, Plot]:
    """Return the winner's confusion matrix, by its name; {} where there is none."""
    from edgenas.reporting.plots import of_classes

    winner = context.winner()
    if not isinstance(winner, VerifiedModel) or winner.confusion is None:
        return {}
    return {CONFUSION: of_classes.confusion(winner.confusion, winner.model.class_names)}


def _plots(reports: list[PredictorReport]) -> dict[str, Plot]:
    """Return the plots of predictors, by their names."""
    from edgenas.reporting.plots import of_report

    plots = {}
    for report in reports:
        for kind, draw in of_report.OF_PREDICTOR.items():
            plot = draw(report)
            if plot is not None:
                plots[f"{report.response}-{kind}"] = plot
    return plots


def _plot_names(folder: RunFolder) -> list[str]:
    """Return the names of all plots that there may be of a run."""
    from edgenas.reporting.plots.of_report import OF_PREDICTOR

    fitted = [path.stem for path in folder.predictors.glob("*.json")]
    return [CONFUSION, *(f"{response}-{kind}" for response in fitted for kind in OF_PREDICTOR)]


def step(context: RunContext, name: str, **options: Any) -> Any:
    """Run one step; add its seconds, and the warnings so far, to the run's notes."""
    run = step_of(context, name)
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


def step_of(context: RunContext, name: str) -> Callable[..., Any]:
    """Return a step's function; `InputError` for one that the run's source does not have."""
    known = context.source.steps
    if name not in known:
        raise InputError(f"There is nothing to {name} on a measured table.", nearest(name, known))
    run: Callable[..., Any] = importlib.import_module(f"edgenas.runs.steps.{name}").run
    return run
