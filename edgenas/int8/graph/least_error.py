"""The step of least squared error: below 8 bits extremes are better cut off than kept."""

from __future__ import annotations

import numpy as np

# Of the whole range that the stored integers then span; at 2 bits the best is about a half.
_SHARES = np.linspace(0.2, 1.0, 33)


def best_shares(rows: np.ndarray, scale: np.ndarray, limit: int) -> np.ndarray:
    """Return, for each row, the share of its scale that rounds it with the least squared error.

    rows : float [n, k]. scale : float64 [n], with which the integers -limit to limit hold all of a
    row.
    """
    whole = np.where(scale > 0, scale, 1.0)[:, None]
    errors = []
    for share in _SHARES:
        step = whole * share
        rounded = np.rint(rows / step).clip(-limit, limit) * step
        errors.append(((rounded - rows) ** 2).sum(1))
    best: np.ndarray = _SHARES[np.argmin(errors, axis=0)]
    return best


def best_greatest(values: np.ndarray, greatest: float, levels: int) -> float:
    """Return where to cut values of [0, greatest] off, so that `levels` steps err least."""
    if greatest <= 0:
        return greatest
    errors = []
    for share in _SHARES:
        step = greatest * share / levels
        errors.append(((np.rint(values / step).clip(0, levels) * step - values) ** 2).sum())
    return float(greatest * _SHARES[int(np.argmin(errors))])
