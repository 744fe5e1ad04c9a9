"""evaluate: accuracy of subnets with inherited weights. Appends evaluations to the store."""

from __future__ import annotations

from edgenas.deployable import deployable
from edgenas.records import Architecture, Evaluation
from edgenas.run_context import RunContext

SAME_GRID = ("u8s8", "s8s8")  # schemes that round to the same values


def run(context: RunContext) -> int:
    """Evaluate until `evaluate` architectures are, measured ones first; return how many it took.

    The int8 accuracy is that of the int8 model itself, emitted and run in the host's engine on the
    validation images: what is ranked is what is deployed.
    """
    _add_packaged(context)
    evaluated = {evaluation.architecture for evaluation in context.evaluations()}
    if context.data_card.excerpt_of and len(evaluated) >= context.config.evaluate:
        return 0  # on more images than there are here
    all_wanted = wanted(context)
    missing = [architecture for architecture in all_wanted if architecture not in evaluated]
    if len(missing) < len(all_wanted):
        context.reuse(f"{len(all_wanted) - len(missing)} of {len(all_wanted)} evaluations")
    if not missing:
        return 0
    supernet, sha256 = context.supernet(), context.supernet_sha256()
    dataset = context.dataset
    with context.progress.task("Evaluating subnets", len(missing)) as task:
        for architecture in missing:
            layers = context.space.layers(architecture)
            network = deployable(supernet, architecture, layers, dataset, context.engine)
            fp32, int8 = network.accuracies(context.target.scheme, dataset, dataset.val)
            context.store.add_evaluation(
                Evaluation(architecture, sha256, fp32, int8, len(dataset.val))
            )
            task.advance()
    return len(missing)


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
        f"{len(rows)} evaluations of the supernet '{context.config.supernet}', "
        f"each on {rows[0].n_images:,} validation images, as int8 in {table.host_engine}"
    )


def wanted(context: RunContext) -> list[Architecture]:
    """Return the architectures to evaluate: those measured, filled up with the run's sample."""
    measured = [m.architecture for m in context.measurements() if m.weights == "random"]
    sampled = context.sampled(context.config.evaluate)
    return list(dict.fromkeys((*measured, *sampled)))[: context.config.evaluate]
