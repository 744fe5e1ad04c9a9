"""evaluate: accuracy of subnets with inherited weights. Appends evaluations to the store."""

from __future__ import annotations

from edgenas.deployable import deployable
from edgenas.records import Architecture, Evaluation
from edgenas.run_context import RunContext


def run(context: RunContext) -> int:
    """Evaluate until `evaluate` architectures are, measured ones first; return how many it took.

    The int8 accuracy is that of the int8 model itself, emitted and run in the host's engine on the
    validation images: what is ranked is what is deployed.
    """
    evaluated = {evaluation.architecture for evaluation in context.evaluations()}
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


def wanted(context: RunContext) -> list[Architecture]:
    """Return the architectures to evaluate: those measured, filled up with the run's sample."""
    measured = [m.architecture for m in context.measurements() if m.weights == "random"]
    sampled = context.sampled(context.config.evaluate)
    return list(dict.fromkeys((*measured, *sampled)))[: context.config.evaluate]
