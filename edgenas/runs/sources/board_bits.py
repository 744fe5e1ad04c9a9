"""What a search that chooses bits stage by stage is held against: one number of bits throughout.

The best networks of each number of bits are evaluated with the winners, and of all that were
evaluated the one that is expected to be the most accurate is a candidate: so choosing bits is not
behind one number of bits by more than noise of the validation images.
"""

from __future__ import annotations

from edgenas.core.records import Architecture, Candidate, SearchResult
from edgenas.core.records.goals import SCORE
from edgenas.core.records.weighing import expected_accuracies
from edgenas.optimize.limits import keeps
from edgenas.optimize.most_accurate import most_accurate, of_each_uniform_bits
from edgenas.runs.run import RunContext
from edgenas.spaces.bits import uniform_bits


def hopeful(context: RunContext) -> list[Architecture]:
    """Return the best networks as predicted within the limits of the run's search, of all bits and
    of each number of bits; none where bits are no choice, or other goals are searched for."""
    if not uniform_bits(context.space) or not context.folder.search.exists():
        return []
    predictors, result = context.predictors(), context.search_result()
    if not predictors.additive or not _is_plain(result):
        return []
    # images/s is no limit of its own: each layer is folded so that it keeps up
    limits = {one.response: one for one in result.limits if one.response != "images_per_s"}
    of_all = most_accurate(predictors, limits, count=result.top)
    of_each = of_each_uniform_bits(predictors, limits, result.top).values()
    return list(dict.fromkeys((*of_all, *(one for of in of_each for one in of))))


def best_evaluated(context: RunContext, result: SearchResult) -> Candidate | None:
    """Return the network that is expected to be the most accurate of those that were evaluated and
    keep the limits; None where a search of bits has no need of it as a candidate."""
    if not uniform_bits(context.space) or not _is_plain(result):
        return None
    answers = {one.architecture: one.answers for one in context.evaluations()}
    within = [
        one
        for one in context.predictors().candidates(list(answers))
        if keeps(one.predicted, result.limits)
    ]
    if not within:
        return None
    expected = expected_accuracies(
        [answers[one.architecture] for one in within],
        [one[SCORE] for one in within],
        result.confidence,
    )
    most = max(expected)
    best = within[expected.index(most)]
    first = result.candidates[0]
    is_hopeful = first.architecture not in answers and first[SCORE].mean > most
    chosen = {one.architecture for one in result.candidates}
    return None if best.architecture in chosen or (result.top == 1 and is_hopeful) else best


def _is_plain(result: SearchResult) -> bool:
    """Whether accuracy alone is searched for, within limits."""
    return result.objectives == (SCORE,)
