"""Which networks of a table to look up, and predictors of all others from those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from edgenas.predictors.linear import d_optimal
from edgenas.predictors.tables import main_terms
from edgenas.predictors.tables.encodings import PLAIN
from edgenas.predictors.tables.regression import TableRegression
from edgenas.targets.table.measured_table import MeasuredTable

# The design chooses among the first so many of the run's random sequence.
POOL = 300
# Prior variances of the levels that a table's categories make, as those of numbers.
VARIANCES = {**d_optimal.VARIANCES, "categories": 1.0, "categories, shared by columns": 1.0}
NONE = np.array([], np.int64)
EMPTY: Mapping[str, TableRegression] = MappingProxyType({})


@dataclass(frozen=True)
class Predicted:
    """Of every network: means and interval bounds, float64 [n_networks] each."""

    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def plan(table: MeasuredTable, count: int, seed: int, taken: np.ndarray = NONE) -> np.ndarray:
    """Return networks to look up, so that `count` are known, int64; all of them if there are fewer.

    Chosen by D-optimal design over the main terms of the choices, given those that are `taken`.
    """
    sequence = np.random.default_rng([seed, 1]).permutation(len(table.first))
    pool = np.union1d(sequence[: max(POOL, count)], taken).astype(np.int64)
    missing = min(count, len(pool)) - len(taken)
    if missing <= 0:
        return NONE
    if count >= len(pool):
        return np.setdiff1d(pool, taken)
    columns = {name: values[pool] for name, values in table.choices().items()}
    numeric = tuple(name for name in table.variables if name not in table.categorical)
    texts = {name: columns[name].astype(str) for name in table.categorical}
    found = main_terms.main({**columns, **texts}, numeric, table.categorical)
    rows = d_optimal.prior_rows(found.levels, found.matrix, VARIANCES)
    chosen = d_optimal.choose(rows, missing, taken=np.searchsorted(pool, np.sort(taken)))
    return pool[chosen]


def evaluated(table: MeasuredTable, measured: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return the networks whose accuracy is known: the measured ones first, then random ones."""
    sequence = np.random.default_rng([seed, 2]).permutation(len(table.first))
    more = sequence[~np.isin(sequence, measured)]
    return np.concatenate([measured, more])[:count]


def fit(
    table: MeasuredTable,
    response: str,
    networks: np.ndarray,
    seed: int,
    others: Mapping[str, TableRegression] = EMPTY,
) -> TableRegression:
    """Return a predictor of one response from what is known of some networks.

    others : predictors of other responses. Where one of them found that edges count as no operation
    if nothing uses their result, so they do for what is no cost: such edges change no output, and
    few rows show what becomes of networks without any path.

    Raises
    ------
    PredictorError : too few of them have the response.
    """
    kind = table.target.response(response)
    columns = {name: values[networks] for name, values in table.choices().items()}
    cost = kind.unit in ("ms", "mJ", "bytes")
    cells = [x.fitted.cell for x in others.values() if x.fitted.cell and x.fitted.cell.nothing]
    return TableRegression("auto", seed).fit(
        {**columns, response: table.response(response)[networks]},
        response,
        features=table.variables,
        categorical=table.categorical,
        cost=cost,
        cell=cells[0] if cells and not cost else None,
        encoded=PLAIN,  # the target file says what its choices are
        logarithm=False,  # limits and margins are of the response as it is
    )


def predict(
    table: MeasuredTable, predictor: TableRegression, confidence: float, known: np.ndarray = NONE
) -> Predicted:
    """Return the predictions of every network; of `known` ones what was looked up."""
    found = predictor.get_prediction(table.choices(), confidence)
    mean, lower, upper = found.mean.copy(), found.lower.copy(), found.upper.copy()
    values = table.response(predictor.fitted.response)[known]
    there = ~np.isnan(values)
    for bound in (mean, lower, upper):
        bound[known[there]] = values[there]
    return Predicted(mean, lower, upper)
