"""What is measured is chosen: some always, nothing twice, and more telling than luck."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.records import Architecture
from edgenas.optimize.plan import plan, to_evaluate
from edgenas.optimize.term_rows import TermRows
from edgenas.spaces.base import MobileSpace
from edgenas.spaces.bits import elastic_bits, of_uniform_bits


@pytest.fixture(scope="module")
def space() -> MobileSpace:
    created: MobileSpace = plugins.load("spaces", "mbv3-tiny").create(10, 1, 16)
    return created


@pytest.fixture(scope="module")
def pool(space: MobileSpace) -> list[Architecture]:
    rng = np.random.default_rng(0)
    drawn = [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(150))]
    return list(dict.fromkeys(drawn))


def test_the_first_ones_are_always_measured(space: MobileSpace, pool: list[Architecture]) -> None:
    chosen = plan(space, pool, 3, set(), 20)
    assert chosen[:3] == pool[:3]
    assert len(set(chosen)) == 20


def test_what_is_measured_is_not_measured_again(
    space: MobileSpace, pool: list[Architecture]
) -> None:
    measured = set(plan(space, pool, 3, set(), 12))
    more = plan(space, pool, 3, measured, 20)
    assert len(more) == 8
    assert not measured.intersection(more)
    assert plan(space, pool, 3, {*measured, *more}, 20) == []


def test_the_design_says_more_than_random_ones(
    space: MobileSpace, pool: list[Architecture]
) -> None:
    matrix = TermRows(space, "physical").matrix(pool)
    varying = matrix[:, np.ptp(matrix, axis=0) > 0]
    standard = (varying - varying.mean(axis=0)) / varying.std(axis=0)

    def information(indices: list[int]) -> float:
        """Log determinant of the ridged information matrix of the rows."""
        rows = standard[indices]
        return float(np.linalg.slogdet(np.eye(rows.shape[1]) + rows.T @ rows)[1])

    designed = [pool.index(architecture) for architecture in plan(space, pool, 3, set(), 24)]
    rng = np.random.default_rng(1)
    random = [information(list(rng.choice(len(pool), 24, replace=False))) for _ in range(30)]
    assert information(designed) > max(random)


def test_what_is_evaluated_is_measured_first_and_then_sampled(
    space: MobileSpace, pool: list[Architecture]
) -> None:
    assert to_evaluate(space, pool[5:8], pool[:20], 10) == [*pool[5:8], *pool[:5], *pool[8:10]]


def test_half_of_what_is_evaluated_has_one_number_of_bits_where_these_are_chosen(
    space: MobileSpace,
) -> None:
    chooses = elastic_bits(space, (2, 4, 8), (2, 8))
    rng = np.random.default_rng(1)
    sampled = [chooses.smallest(), chooses.largest(), *(chooses.sample(rng) for _ in range(30))]
    planned = to_evaluate(chooses, sampled[10:], sampled, 20)
    assert len(set(planned)) == len(planned) == 20
    for one in sampled[:5]:  # each with every number of bits: what differs is bits alone
        assert {of_uniform_bits(one, 8), of_uniform_bits(one, 2)} <= set(planned)
    assert planned[10:] == sampled[10:20]
