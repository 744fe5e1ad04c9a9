"""Accuracy of subnets with inherited weights, as int8. Appends evaluations to the store."""

from __future__ import annotations

import time
from collections.abc import Sequence

from edgenas.core.counted import counted
from edgenas.core.errors import DataError
from edgenas.core.records import Architecture
from edgenas.core.records.goals import ROBUST
from edgenas.optimize import plan
from edgenas.runs.run import RunContext
from edgenas.runs.start.time_plan import Clock, enough
from edgenas.supernet.accuracy import Evaluator

SAME_GRID = ("u8s8", "s8s8")  # schemes that round to the same values


def evaluate(context: RunContext, architectures: Sequence[Architecture] | None = None) -> int:
    """Evaluate the `architectures` that are not yet; return how many it took.

    Without them those of the run: `evaluate` of them, measured ones first, or as many as the time
    allows that it goes by.

    The int8 accuracy is that of the int8 model itself, emitted and run in the host's engine on the
    validation images: what is ranked is what is deployed. Under `torchrun` each process evaluates
    its share, and the first one keeps the results.

    Raises
    ------
    DataError : the images are synthetic, and no evaluations come with the supernet.
    TrainingError : another process is gone.
    """
    from edgenas.supernet.parallel import joined

    with joined("cpu") as workers:
        missing = _missing(context, architectures) if workers.first else []
        if not missing and workers.count == 1:
            return 0
        evaluator = _evaluator(context)
        alone = architectures is None and workers.count == 1
        clock, started, done = Clock.of(context) if alone else None, time.monotonic(), 0
        with context.progress.task("Evaluating subnets", len(missing)) as task:
            for evaluation in evaluator.evaluations(missing, workers):
                if workers.first:
                    context.store.add_evaluation(evaluation)
                task.advance()
                done += 1
                if enough(clock, done, time.monotonic() - started):
                    break
        if clock is not None:
            known = context.config.evaluate - len(missing) + done
            context.settle(evaluate=known)
            context.say_plan(clock.sentence(f"Training and evaluating {counted(known, 'subnet')}"))
    return done


def _missing(
    context: RunContext, architectures: Sequence[Architecture] | None
) -> list[Architecture]:
    """Return the subnets that are still to be evaluated."""
    if architectures is None:
        _add_packaged(context)
    card = context.data_card
    robust = ROBUST in context.config.responses
    evaluated = {
        evaluation.architecture
        for evaluation in context.evaluations()
        if evaluation.robust_accuracy is not None or not robust
    }
    if card.synthetic and robust:
        raise DataError(
            f"There are no images here that could be corrupted: {ROBUST} cannot be known.",
            "Name the images that the supernet was trained on: --data imagefolder:DIR",
        )
    if card.synthetic:
        _require_packaged(context, len(evaluated))
        return []
    if card.excerpt_of and len(evaluated) >= context.config.evaluate:
        return []  # on more images than there are here
    asked = to_evaluate(context) if architectures is None else architectures
    missing = [architecture for architecture in asked if architecture not in evaluated]
    if architectures is None and len(missing) < len(asked):
        context.reuse(f"{len(asked) - len(missing)} of {counted(len(asked), 'evaluation')}")
    return missing


def _require_packaged(context: RunContext, known: int) -> None:
    if not known:
        raise DataError(
            f"No evaluations of int8 as '{context.target.engine}' computes it come with the "
            f"supernet '{context.config.supernet}', and without images there can be none.",
            "Name the images that it was trained on: --data imagefolder:DIR",
        )
    if known < context.config.evaluate:
        context.progress.warning(
            f"Accuracy is predicted from {counted(known, 'evaluated subnet')}, not from "
            f"{context.config.evaluate}: without images no more can be evaluated."
        )


def _evaluator(context: RunContext) -> Evaluator:
    sha256, scheme = context.supernet_sha256(), context.target.scheme
    robust = ROBUST in context.config.responses
    return Evaluator(
        context.supernet(), sha256, context.space, context.dataset, context.engine, scheme, robust
    )


def _add_packaged(context: RunContext) -> None:
    """Add the evaluations that come with a pretrained supernet, if they are of these images."""
    table = None if context.pretrained is None else context.pretrained.table()
    if table is None:
        return
    sha256 = context.supernet_sha256()
    rows = [row for row in table.rows if row.supernet_sha256 == sha256]
    card = context.data_card
    same_images = table.data_identity == (card.excerpt_of or card.identity)
    if not rows or not same_images or context.target.scheme not in SAME_GRID:
        return
    found = context.store.evaluations(sha256)
    for row in rows:
        if row.architecture not in found:
            context.store.add_evaluation(row)
    context.reuse(
        f"{counted(len(rows), 'evaluation')} of the supernet '{context.config.supernet}', "
        f"each on {rows[0].n_images:,} validation images, as int8 in {table.host_engine}"
    )


def to_evaluate(context: RunContext) -> list[Architecture]:
    """Return the architectures to evaluate: those measured, filled up with the run's sample."""
    measured = [m.architecture for m in context.measurements() if m.weights == "random"]
    count = context.config.evaluate
    return plan.to_evaluate(context.space, measured, context.sampled(count), count)
