"""`nsga2`: the genetic algorithm of Deb et al. (2002), as pymoo has it.

Uniform crossover and changes of single choices, because options have no order to rely on; limits
by constrained domination. Needs the optional package pymoo.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgenas.core.errors import InputError
from edgenas.optimize.optimizers.evaluations import (
    Evaluations,
    SpentError,
    optimizer,
    random_points,
)
from edgenas.optimize.optimizers.moves import mutated, unseen_mutant

BUDGET = 1_000
_POPULATION = 40
_MISSING = 1e30  # the cost and the violation of a point that lacks a response


def require_packages() -> None:
    """Raise `InputError` if pymoo is not installed."""
    try:
        import pymoo  # noqa: F401
    except ImportError as error:
        raise InputError(
            "The optimizer 'nsga2' needs the package pymoo, which is not installed.",
            'Install it with: pip install "edgenas[pareto]"',
        ) from error


@optimizer
def optimize(evaluations: Evaluations, rng: np.random.Generator) -> None:
    """Let pymoo propose generations."""
    require_packages()
    problem = evaluations.problem
    first = np.concatenate((evaluations.points, random_points(problem, _POPULATION, rng)))
    algorithm = _algorithm(evaluations, first[:_POPULATION], rng)
    while algorithm.has_next():
        offspring = algorithm.ask()
        if offspring is None or not len(offspring):  # all children were in the population
            raise SpentError
        values = evaluations(np.asarray(offspring.get("X"), dtype=np.int64))
        missing = ~np.isfinite(problem.violation(values))
        costs, violation = problem.costs(values), problem.violation(values)[:, None]
        costs[missing], violation[missing] = _MISSING, _MISSING
        offspring.set("F", costs, "G", violation, "H", np.empty((len(values), 0)))
        algorithm.tell(infills=offspring)


def _algorithm(evaluations: Evaluations, first: np.ndarray, rng: np.random.Generator) -> Any:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.core.termination import NoTermination
    from pymoo.operators.crossover.ux import UniformCrossover

    problem = evaluations.problem
    options = np.array(problem.options)

    class OneChoice(Mutation):
        def _do(self, _: Any, points: np.ndarray, **__: Any) -> np.ndarray:
            children = [evaluations.existing(mutated(point, options, rng))[0] for point in points]
            return np.array(
                [
                    child
                    if evaluations.unseen(child[None])[0]
                    else unseen_mutant(child, evaluations, rng)[0]
                    for child in children
                ]
            )

    algorithm = NSGA2(
        pop_size=_POPULATION,
        sampling=evaluations.existing(first),
        crossover=UniformCrossover(),
        mutation=OneChoice(),
    )
    algorithm.setup(
        PymooProblem(
            n_var=len(options), n_obj=len(problem.objectives), n_ieq_constr=1, xl=0, xu=options - 1
        ),
        termination=NoTermination(),
        seed=int(rng.integers(1 << 31)),
    )
    return algorithm
