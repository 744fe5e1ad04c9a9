"""`exact`: the whole front, with its proof.

Where the responses are sums, by dynamic programming; otherwise by evaluating every point, if the
budget allows. `best_under` proves one optimum under a limit that need not be separable.
"""

from __future__ import annotations

import numpy as np

from edgenas.core.errors import InputError
from edgenas.optimize.optimizers.evaluations import Evaluations, optimizer
from edgenas.optimize.optimizers.exact_stages import best_under
from edgenas.optimize.optimizers.problem import Archive, NoneFeasibleError, Sums
from edgenas.optimize.optimizers.sums_front import least, sums_front

__all__ = ["BUDGET", "best_under", "optimize"]

BUDGET = 20_000_000
_SAME = 1e-9  # a response is the sum it is said to be if they differ by less than this share


@optimizer
def optimize(evaluations: Evaluations, rng: np.random.Generator) -> bool:
    """Return the whole front, proved where `optimal`; see the family's contract in `base`.

    Not `optimal` when the budget did not allow to evaluate the front, when it had more partial
    points than memory is given (`sums_front.MOST_PARTIAL`), or when the sums of a limited response
    are bounds and a point of the front breaks the true limit.

    seed : not used; nothing is random.

    Raises
    ------
    InputError : the responses are no sums, and there are more points than the budget allows.
    NoneFeasibleError : proved: nothing meets the limits; says which binds.
    """
    if evaluations.problem.sums is None:
        return _every_point(evaluations)
    return _front(evaluations)


def _every_point(evaluations: Evaluations) -> bool:
    problem = evaluations.problem
    affordable = evaluations.left + evaluations.known
    if problem.combinations > affordable:
        raise InputError(
            f"An exact search has to evaluate all {problem.combinations:,} points, because the "
            f"responses are not sums over the choices; the budget is {affordable:,}.",
            "Use another optimizer, such as --optimizer surrogate, or a greater budget.",
        )
    for option in range(problem.options[0]):
        rest = np.indices(problem.options[1:]).reshape(len(problem.options) - 1, -1).T
        evaluations(np.insert(rest, 0, option, axis=1))
    return True


def _front(evaluations: Evaluations) -> bool:
    """Evaluate the front of the sums; return whether it is proved to be the true front."""
    problem, sums = evaluations.problem, evaluations.problem.sums
    assert sums is not None
    found = sums_front(problem)
    if not len(found.points):
        raise _infeasible(evaluations, sums, found.complete)
    order = Archive(found.points, sums.values(found.points)).front(problem)
    front = found.points[order[_spread(len(order))]]
    values = evaluations(front)
    goals = problem.objectives
    same = np.isclose(values[:, goals], sums.values(front)[:, goals], _SAME, 0.0).all()
    if same and problem.feasible(values).all():
        return found.complete
    evaluations(np.delete(found.points, order, axis=0))
    return False


def _spread(n: int) -> np.ndarray:
    """Return an order of n places of which each beginning is spread over all of them."""
    bits = max(1, (n - 1).bit_length())
    order = [int(f"{i:0{bits}b}"[::-1], 2) for i in range(1 << bits)]
    return np.array([place for place in order if place < n])


def _infeasible(evaluations: Evaluations, sums: Sums, proved: bool) -> NoneFeasibleError:
    """Return which limit cannot be met, by itself or together with the others."""
    problem = evaluations.problem
    for i, sign, bound in problem.limits():
        best = least(sums, i, sign)
        if best > bound:
            response, extreme = problem.responses[i].name, "least" if sign > 0 else "greatest"
            message = (
                f"Nothing has {response} {'<=' if sign > 0 else '>='} {sign * bound:g}: the "
                f"{extreme} that exists is {sign * best:.6g}, {best - bound:.4g} beyond."
            )
            return NoneFeasibleError(message, "Loosen that limit.", evaluations.seen())
    nearest = sums_front(problem, within_limits=False).points
    nearest = nearest[[int(np.argmin(problem.violation(sums.values(nearest))))]]
    broken = problem.broken(sums.values(nearest)[0])
    shown = "it is proved that nothing meets" if proved else "nothing was found that meets"
    message = f"Each limit can be met, but {shown} all together: the nearest breaks {broken}."
    return NoneFeasibleError(message, "Loosen one of the limits.", evaluations.seen())
