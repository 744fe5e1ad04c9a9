"""Factors of covariances, each with its status looked at: LAPACK returns numbers either way."""

from __future__ import annotations

import numpy as np

from edgenas.core.errors import PredictorError

# Added to each diagonal element, as a share of it, where rounding alone leaves a matrix indefinite.
JITTERS = (0.0, 1e-13, 1e-11, 1e-9)
HINT = (
    "Leave out rows or columns that differ from the others by many orders of magnitude, or give "
    "them in another unit."
)


def factor(matrix: np.ndarray, what: str) -> np.ndarray:
    """Return the lower Cholesky factor, float64 [n, n], of a symmetric `matrix`.

    A matrix that is definite but for rounding gets the least of `JITTERS` that mends it.
    what : the matrix in an error message.

    Raises
    ------
    PredictorError : it is not positive definite, or holds what is no finite number.
    """
    from scipy.linalg import lapack

    info = 0
    for jitter in JITTERS:
        raised = matrix
        if jitter:
            raised = matrix.copy()
            raised.flat[:: len(matrix) + 1] *= 1 + jitter
        found, info = lapack.dpotrf(raised, lower=1)
        if info == 0 and np.isfinite(found).all():
            return np.asarray(found)
    raise PredictorError(
        f"The {what} cannot be factored: it is not positive definite"
        f"{f' (row {info} of {len(matrix)})' if info > 0 else ''}, or has infinite numbers.",
        HINT,
    )


def inverse(matrix: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverse of a symmetric `matrix` [n, n], and its factor; raises as `factor`."""
    from scipy.linalg import lapack

    lower = factor(matrix, what)
    found, info = lapack.dpotri(lower, lower=1)
    if info != 0 or not np.isfinite(found).all():
        raise PredictorError(f"The {what} cannot be inverted.", HINT)
    found = found + found.T
    found.flat[:: len(found) + 1] /= 2
    return np.asarray(found), lower
