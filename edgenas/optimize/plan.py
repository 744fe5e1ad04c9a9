"""Which architectures to measure, and to evaluate: those that tell the predictors most."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from msgspec import structs

from edgenas.core.records import Architecture
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.linear import d_optimal, names
from edgenas.predictors.networks.terms import LARGEST_USUAL_KERNEL
from edgenas.spaces.base import MobileSpace
from edgenas.spaces.bits import of_uniform_bits, uniform_bits

# Of the subnets that are evaluated, the share that has one number of bits throughout.
UNIFORM = 0.5
# Of the networks that are measured, the share that has usual kernels only.
USUAL = 0.5


def with_usual_kernels(space: MobileSpace, architecture: Architecture) -> Architecture:
    """Return the architecture with the largest usual kernel in place of each unusual one."""
    largest = [
        max((k for k in stage.kernel_sizes if k <= LARGEST_USUAL_KERNEL), default=0)
        for stage in space.stages
    ]
    kernels = tuple(
        tuple(k if k <= LARGEST_USUAL_KERNEL or not usual else usual for k in sizes)
        for sizes, usual in zip(architecture.kernel_sizes, largest, strict=True)
    )
    return structs.replace(architecture, kernel_sizes=kernels)


def plan(
    space: MobileSpace,
    pool: Sequence[Architecture],
    always: int,
    measured: Collection[Architecture],
    count: int,
) -> list[Architecture]:
    """Return architectures of `pool` to measure, so that `count` are measured in all.

    The first `always` of the pool are among them; the others are chosen by D-optimal design over
    the physical terms, given those that are measured already (docs/decisions has the gain).
    Half of the networks have usual kernel sizes only, if the pool has them: where an engine is slow
    at the others, random networks say next to nothing of its fast ones.
    """
    taken = [index for index, architecture in enumerate(pool) if architecture in measured]
    first = [index for index in range(min(always, count)) if index not in taken]
    missing = min(count, len(pool)) - len(taken) - len(first)
    if missing <= 0:
        return [pool[index] for index in first]
    rows = TermRows(space, "physical")
    matrix = rows.matrix(pool)
    prior = d_optimal.prior_rows(names.levels(rows.terms.names, matrix), matrix)
    usual = [
        i
        for i, one in enumerate(pool)
        if max(sum(one.kernel_sizes, ()), default=0) <= LARGEST_USUAL_KERNEL
    ]
    taken += first
    wanted = min(int(USUAL * count), len(usual)) - len(set(usual).intersection(taken))
    chosen: list[int] = []
    if len(usual) < len(pool) and wanted > 0:
        part = np.union1d(usual, taken).astype(np.int64)
        among = d_optimal.choose(
            prior[part], min(wanted, missing), taken=np.searchsorted(part, np.sort(taken))
        )
        chosen = part[among].tolist()
    rest = d_optimal.choose(prior, missing - len(chosen), taken=np.array([*taken, *chosen], int))
    return [pool[index] for index in (*first, *chosen, *rest.tolist())]


def to_evaluate(
    space: MobileSpace,
    measured: Sequence[Architecture],
    sampled: Sequence[Architecture],
    count: int,
) -> list[Architecture]:
    """Return `count` architectures to evaluate: the measured ones first, then those `sampled`.

    Where bits are a choice, half are sampled ones with one number of bits throughout, each with
    every number: so what bits do is told from what the rest of the architecture does.
    """
    uniform = [of_uniform_bits(one, bits) for one in sampled for bits in uniform_bits(space)]
    first = dict.fromkeys(uniform[: int(UNIFORM * count)])
    return list(dict.fromkeys((*first, *measured, *sampled)))[:count]
