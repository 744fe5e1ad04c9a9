"""Warm start: what an earlier run learnt, on this board or another, seeds this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgenas.core.counted import are, counted
from edgenas.core.errors import EdgeNasError, InputError
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.metrics import ResponseKind
from edgenas.core.records import Architecture
from edgenas.core.records.goals import ROBUST, SCORE
from edgenas.core.records.warm_starts import PriorGain, WarmStart
from edgenas.core.run_options import option_of
from edgenas.predictors.base import Additive, FittedPredictor, TrainingData
from edgenas.predictors.linear import names
from edgenas.predictors.regression import Regression
from edgenas.predictors.transfer.adapt import LEAST_ROWS, adapt
from edgenas.runs.config import earlier_run, read_config
from edgenas.runs.named_paths import anchored
from edgenas.runs.run import RunContext

# A prior stays if it takes this share off the error: on few rows, less is chance.
WORTHWHILE = 0.05
# Networks that a search starts from, at most, and the share of its budget that they may take.
MOST_STARTS, START_SHARE = 50, 0.2
LEARNS = "regression"  # the predictor that an earlier one can be a prior of
EXHAUSTIVE = "exact"


def earlier(context: RunContext) -> RunContext | None:
    """Return the run that this one starts from; None if it starts from nothing.

    Raises
    ------
    RunFolderError : it is no run folder. InputError : it is this run.
    """
    folder = earlier_run(context.config, context.folder)
    if folder is None:
        return None
    return RunContext(folder, read_config(folder), context.progress, context.access)


def stored(context: RunContext) -> WarmStart | None:
    """Return what was taken over so far; None if the run starts from nothing."""
    if context.config.warm_start is None:
        return None
    record = context.find(WarmStart)
    if record is not None:
        now = {"warm_start": context.config.warm_start}
        if anchored({"warm_start": record.run}, context.folder.path) == now:
            return record
    return WarmStart(context.config.warm_start)


def add(context: RunContext, **changes: Any) -> None:
    """Add to the record of what was taken over."""
    record = stored(context)
    if record is not None:
        context.write(replace(record, **changes))


def add_gain(context: RunContext, metric: str, gain: PriorGain) -> None:
    """Add what the earlier run's predictor of one metric gained."""
    record = stored(context)
    if record is not None:
        add(context, priors={**record.priors, metric: gain})


def adopt(context: RunContext) -> None:
    """Take over the earlier run's supernet, if it is of the same images and training, and the
    accuracies that were evaluated with it; say what could not be."""
    other = earlier(context)
    if other is None:
        return
    mine, theirs = context.folder.supernet, other.folder.supernet
    why_not = _other_supernet(context, other)
    if not why_not and not mine.exists():
        write_bytes(mine, theirs.read_bytes())
    same = not why_not and context.supernet_sha256() == other.supernet_sha256()
    taken = 0
    if same and other.target.scheme == context.target.scheme:
        known = {evaluation.architecture for evaluation in context.evaluations()}
        for evaluation in other.evaluations():
            if evaluation.architecture not in known:
                context.store.add_evaluation(evaluation)
                taken += 1
    before = stored(context)
    refused = (why_not,) if why_not else ()
    add(context, supernet=same, evaluations=max(taken, before.evaluations if before else 0),
        refused=refused)  # fmt: skip
    if same:
        context.reuse(
            f"the supernet and {counted(taken, 'accuracy', 'accuracies')} of {other.folder.path}"
        )
    else:
        reason = why_not or "the supernets differ"
        context.progress.message(f"no accuracies are taken from {other.folder.path}: {reason}")


def _other_supernet(context: RunContext, other: RunContext) -> str:
    """Return why the other run's supernet is not this run's, "" if it can be."""
    if not other.folder.supernet.exists():
        return "it has no trained supernet"
    if other.data_card.identity != context.data_card.identity:
        return "it is of other images"
    if _space(other) != _space(context):
        return f"its {option_of('space')} is another"
    for name in ("epochs", "batch_size", "seed"):
        if getattr(other.config, name) != getattr(context.config, name):
            return f"its {option_of(name)} is another"
    return ""


def _space(context: RunContext) -> str:
    """Return what runs of one space share: the hash of the file that defines it, or its name."""
    return context.config.space_sha256 or context.config.space


def priors(context: RunContext) -> Mapping[str, FittedPredictor]:
    """Return the earlier run's predictors, by response; none where they cannot be used."""
    other = earlier(context)
    if other is None:
        return {}
    try:
        if _space(other) != _space(context):
            raise InputError(f"it searched the space '{other.config.space}'")
        found = dict(other.predictors().fitted)
    except EdgeNasError as problem:
        context.progress.warning(
            f"Nothing is learnt from the predictors of {other.folder.path}: {problem.message}"
        )
        return {}
    record = stored(context)
    if record is not None and record.supernet:
        # they were fitted to accuracies that are among this run's own rows
        found = {name: one for name, one in found.items() if name not in (SCORE, ROBUST)}
    return found


def fit_with(
    prior: Additive, data: TrainingData, source: str, seed: int
) -> tuple[Regression | None, PriorGain] | None:
    """Return a predictor with the earlier run's as its prior, None in its place if it did not
    help, and what it gained; None for rows that are too few to tell."""
    if len(data.response) < LEAST_ROWS or prior.terms != data.terms:
        return None
    own = replace(data, levels=names.levels(data.terms, data.matrix))
    column = prior.predict(data.matrix)[:, None]
    if np.ptp(column) == 0:
        return None
    found = adapt(own, column, [source], seed)
    used = found.used == "transfer" and found.gain > WORTHWHILE
    errors = found.errors
    gain = PriorGain(data.unit, len(data.response), errors["transfer"], errors["scratch"], used)
    return (collapsed(found.predictor, prior, data) if used else None), gain


def collapsed(fitted: Regression, prior: Additive, data: TrainingData) -> Regression:
    """Return a regression on the terms alone that predicts as `fitted` does.

    fitted : on the terms and, behind them, the prior's prediction, which is linear in the terms:
    (1, x, prior(x)) = A (1, x), so that params become A' params, and covariance A' covariance A.
    """
    p = len(data.terms)
    onto = np.vstack([np.eye(p + 1), prior.params])
    return replace(
        fitted,
        terms=data.terms,
        params=onto.T @ fitted.params,
        covariance=onto.T @ fitted.covariance @ onto,
        vif=fitted.vif[:p],
        low=fitted.low[:p],
        high=fitted.high[:p],
    )


def start_architectures(context: RunContext, budget: int) -> list[Architecture]:
    """Return networks that the earlier run's search found, its candidates first, then evenly along
    its frontier; none for a search that needs no start, because it is exhaustive."""
    other = earlier(context)
    if other is None or not other.folder.search.exists() or context.config.optimizer == EXHAUSTIVE:
        return []
    result = other.search_result()
    most = max(1, min(MOST_STARTS, int(START_SHARE * budget)))
    step = max(1, -(-len(result.frontier) // most))
    every = [one.architecture for one in (*result.candidates, *result.frontier[::step])]
    return [one for one in dict.fromkeys(every) if context.space.contains(one)][:most]


def sentences(record: WarmStart, known: Mapping[str, ResponseKind]) -> tuple[str, ...]:
    """Return what the warm start gave, in words. known : the responses of the run."""
    said = []
    if record.supernet:
        said.append(
            f"The supernet is that of {record.run}; "
            f"{counted(record.evaluations, 'network was', 'networks were')} not evaluated again."
        )
    for name, gain in record.priors.items():
        kind = known[name]
        errors = (
            f"{kind.shown(gain.with_prior)} instead of {kind.shown(gain.without)} on rows left "
            f"out, from {gain.n}"
        )
        change = 1 - gain.with_prior / gain.without if gain.without else 0.0
        if gain.used:
            said.append(f"Its predictor of {kind.label} took {change:.0%} off the error: {errors}.")
        else:
            said.append(f"Its predictor of {kind.label} did not help and is not used: {errors}.")
    if record.starts is not None and record.kept is not None:
        said.append(
            f"The search began from {counted(record.starts, 'network')} of its frontier; "
            f"{record.kept} of them {are(record.kept)} on the frontier found here."
        )
    said += [f"No evaluations were taken from {record.run}: {why}." for why in record.refused]
    return tuple(said)
