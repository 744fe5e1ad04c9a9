"""`foxnas-192px`: the published FOX-NAS predictors of the space `foxnas-cpu` at 192 px.

Latency in ms on a Raspberry Pi 4 and ImageNet top-1 in percent (Chu et al. 2021, arXiv 2108.08189;
the source of the numbers is named in foxnas_192px.json). Both are sums over stages of products
of five features: `tot` depth, `avg_e` and `avg_k` mean expand ratio and kernel size of the inner
blocks, `first_e` and `first_k` of the first block. A term's suffix is the width of its stage.

They are already fitted, so there is no `fit` here; and as neither covariance nor residual variance
was published, they have no intervals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.core.errors import PredictorError, nearest
from edgenas.core.records import StageChoice

SPACE = "foxnas-cpu"
RESOLUTION = 192
WIDTHS = (24, 40, 80, 112, 160)
RESPONSES = ("latency_ms", "top1_percent")

_FEATURES: dict[str, Callable[[StageChoice], float]] = {
    "tot": lambda choice: choice.depth,
    "avg_e": lambda choice: sum(choice.expand_ratios[1:]) / (choice.depth - 1),
    "avg_k": lambda choice: sum(choice.kernel_sizes[1:]) / (choice.depth - 1),
    "first_e": lambda choice: choice.expand_ratios[0],
    "first_k": lambda choice: choice.kernel_sizes[0],
}
_FACTOR = re.compile(r"\(?(tot|avg_e|avg_k|first_e|first_k)_(\d+)(-1\))?")


@dataclass(frozen=True)
class PublishedPredictors:
    """The two published regressions.

    coefficients : response -> term -> coefficient, in ms or percent; "intercept" among the terms.
    source : where the numbers were published.
    """

    coefficients: dict[str, dict[str, float]]
    source: str

    def intercept(self, response: str) -> float:
        """Return the part of `response` that no choice changes: ms or percent."""
        return self._terms(response)["intercept"]

    def stage_values(self, response: str, stage: int, choices: Sequence[StageChoice]) -> np.ndarray:
        """Return what each choice for `stage` adds to `response`, float64 [n_choices].

        Raises
        ------
        PredictorError : no such response or stage, or a choice of fewer than two blocks.
        """
        terms = self._terms(response)
        if not 0 <= stage < len(WIDTHS):
            raise PredictorError(
                f"The published predictors have {len(WIDTHS)} stages, not {stage}."
            )
        if any(choice.depth < 2 for choice in choices):
            raise PredictorError(
                "The published predictors need two blocks or more in every stage.",
                f"Use them with --space {SPACE}.",
            )
        features = {
            name: np.array([of(choice) for choice in choices], dtype=np.float64)
            for name, of in _FEATURES.items()
        }
        total = np.zeros(len(choices))
        for term, coefficient in terms.items():
            if term.endswith(f"_{WIDTHS[stage]}"):
                total += coefficient * _product(term, features)
        return total

    def _terms(self, response: str) -> dict[str, float]:
        if response not in self.coefficients:
            raise PredictorError(
                f"The published predictors do not predict '{response}'.",
                nearest(response, self.coefficients),
            )
        return self.coefficients[response]


def published() -> PublishedPredictors:
    """Return the published predictors, read from foxnas_192px.json."""
    document = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
    return PublishedPredictors({name: document[name] for name in RESPONSES}, document["source"])


def _product(term: str, features: dict[str, np.ndarray]) -> np.ndarray:
    """Return a term such as "(tot_24-1)*avg_e_24" from its features, float64 [n_choices]."""
    product = np.ones(len(features["tot"]))
    for factor in term.split("*"):
        match = _FACTOR.fullmatch(factor)
        if match is None:
            raise PredictorError(f"'{factor}' in the term '{term}' is not a known feature.")
        product *= features[match[1]] - (1 if match[3] else 0)
    return product
