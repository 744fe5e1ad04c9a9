"""Which subnets to measure: optimal experimental design over the term matrix.

D-optimal: the least volume of the coefficients' confidence region, max log det(X'X + P).
I-optimal: the least mean variance of the predictions over the pool, min tr(W (X'X + P)^-1).
Both by Fedorov's exchange algorithm (1972), started greedily. P is the prior of the levels
(`prior_rows`), so that a design may be smaller than the number of terms. Later rows go where the
prediction interval is widest, or where they can change which architecture is best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgenas.core.errors import PredictorError
from edgenas.predictors import definite
from edgenas.predictors.linear.shrinkage import Level

Criterion = Literal["D", "I"]
# Variances of the levels before anything is measured, relative to the residual variance.
VARIANCES = {"own": 1.0, "shared": 1.0, "smooth": 5.0, "blocks alike": 0.03, "blocks": 0.03}
MOST_EXCHANGES = 400


@dataclass(frozen=True)
class Stop:
    """Whether to stop measuring, and the sentence that says which limit was reached."""

    reached: bool
    reason: str


def choose(
    pool: np.ndarray, count: int, *, criterion: Criterion = "D", taken: np.ndarray | None = None
) -> np.ndarray:
    """Return the indices of `count` rows of `pool` [n, p] to measure, int64, rising.

    pool : terms of the architectures that can be measured, as `prior_rows` gives them.
    taken : indices that are measured already: kept in the design, not in the answer.

    Raises
    ------
    PredictorError : the pool has fewer than `count` rows left.
    """
    fixed = np.array([], int) if taken is None else np.asarray(taken, int)
    free = np.setdiff1d(np.arange(pool.shape[0]), fixed)
    if count > free.size:
        raise PredictorError(f"{free.size} subnets are left to choose {count} from.")
    rows = np.column_stack([np.ones(len(pool)), pool - pool.mean(axis=0)])
    prior = np.diag([1e-6, *np.ones(pool.shape[1])])
    moments = rows.T @ rows / len(rows)
    inverse, _ = definite.inverse(prior + rows[fixed].T @ rows[fixed], "information of the design")
    inside = np.zeros(len(rows), bool)
    for _ in range(count):
        gain = np.where(inside, -np.inf, _gain(rows, inverse, moments, criterion))
        gain[fixed] = -np.inf
        best = int(np.argmax(gain))
        inverse = _moved(inverse, rows[best], +1)
        inside[best] = True
    for _ in range(MOST_EXCHANGES):
        swap = _best_swap(
            rows, inside, fixed, inverse=inverse, moments=moments, criterion=criterion
        )
        if swap is None:
            break
        out, best = swap
        inverse = _moved(_moved(inverse, rows[out], -1), rows[best], +1)
        inside[[out, best]] = False, True
    return np.flatnonzero(inside)


def prior_rows(
    levels: Sequence[Level], pool: np.ndarray, variances: Mapping[str, float] = VARIANCES
) -> np.ndarray:
    """Return rows [n, q] of `pool` [n, p] in which every coefficient has the prior N(0, 1).

    levels : of the terms (`vocabulary.levels`). variances : by level; those of a fitted regression
        once there is one.
    """
    known = [(level.root, variances.get(level.name, 0.0)) for level in levels]
    return np.hstack([pool @ root * np.sqrt(v) for root, v in known if v > 0])


def widest(margin: np.ndarray, count: int, taken: np.ndarray) -> np.ndarray:
    """Return the `count` rows of the pool with the widest prediction interval, int64.

    margin : float64 [n], half-widths. taken : indices not to choose.
    """
    order = np.argsort(-margin, kind="stable")
    return order[~np.isin(order, taken)][:count]


def stop(
    mape: float,
    target_mape: float | None,
    used_s: float,
    budget_s: float,
    *,
    gain: float | None = None,
    target_gain: float | None = None,
) -> Stop:
    """Say whether all that is wanted, or the device-time budget, is reached.

    mape, target_mape : held-out error, and the wanted one. gain, target_gain : accuracy that
        knowing all latencies would gain, None where that is not known, and what of it may be left.
    """
    reached = []
    if target_mape is not None and mape <= target_mape:
        reached.append(f"held-out error {mape:.2%} reached the wanted {target_mape:.2%}")
    if gain is not None and target_gain is not None and gain <= target_gain:
        reached.append(f"all latencies would gain {gain:.2%} of accuracy, wanted {target_gain:.2%}")
    if reached and len(reached) == (target_mape is not None) + (target_gain is not None):
        return Stop(True, "; ".join(reached))
    if used_s >= budget_s:
        return Stop(
            True,
            f"the device-time budget of {budget_s:.0f} s is spent; held-out error {mape:.2%}",
        )
    return Stop(False, f"held-out error {mape:.2%} after {used_s:.0f} s of device time")


def _gain(
    rows: np.ndarray, inverse: np.ndarray, moments: np.ndarray, criterion: Criterion
) -> np.ndarray:
    """Return how much better the design gets by each row, float64 [n]."""
    pushed = rows @ inverse
    variance = np.einsum("ij,ij->i", pushed, rows)
    if criterion == "D":
        return np.asarray(np.log1p(variance))
    return np.asarray(np.einsum("ij,ij->i", pushed @ moments, pushed) / (1 + variance))


def _best_swap(
    rows: np.ndarray,
    inside: np.ndarray,
    fixed: np.ndarray,
    *,
    inverse: np.ndarray,
    moments: np.ndarray,
    criterion: Criterion,
) -> tuple[int, int] | None:
    """Return (row out, row in) that helps: the first that does, cheapest rows out first."""
    members = np.flatnonzero(inside)
    losses = -_gain(rows[members], inverse, moments, criterion)
    for out in members[np.argsort(-losses, kind="stable")]:
        without = _moved(inverse, rows[out], -1)
        gain = _gain(rows, without, moments, criterion)
        back = gain[out]
        gain[inside] = -np.inf
        gain[fixed] = -np.inf
        best = int(np.argmax(gain))
        if gain[best] > back + 1e-9 * max(abs(back), 1.0):
            return int(out), best
    return None


def _moved(inverse: np.ndarray, row: np.ndarray, sign: int) -> np.ndarray:
    """Return the inverse after adding (+1) or removing (-1) a row (Sherman & Morrison 1950)."""
    pushed = inverse @ row
    return inverse - np.outer(pushed, pushed) * (sign / (1 + sign * float(row @ pushed)))
