"""What a fitted predictor says of itself: its coefficients, and its errors on rows left out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Coefficient:
    """One line of a coefficient table, by the statsmodels names.

    vif : variance inflation factor; None where it is not defined (collinear terms).
    term_sd : standard deviation of the term over the fitted rows; coef * term_sd is what a typical
        difference in the term changes. None keeps the term out of plots (the intercept).
    group : terms of one group stand together in plots ("stage 1").
    """

    name: str
    coef: float
    bse: float
    tvalue: float
    pvalue: float
    conf_int: tuple[float, float]
    vif: float | None = None
    term_sd: float | None = None
    group: str = ""


@dataclass(frozen=True)
class HeldOut:
    """Errors on rows that were left out of the fit (cross-validation).

    rmse : in the response's unit; mape : fraction; coverage : share of held-out rows inside their
    prediction interval of nominal `confidence`. r2 : None in explanations of before it was kept.
    """

    n: int
    folds: int
    rmse: float
    mape: float
    kendall_tau: float
    coverage: float
    confidence: float
    r2: float | None = None
