"""A regression on any table: `TableRegression().fit(columns, "latency_ms").predict(more)`.

In the style of scikit-learn (`fit` returns self, `predict` takes what `fit` took) and statsmodels
(`get_prediction` gives intervals, `regression` has `params`, `coefficients`, `contrast`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edgenas.errors import PredictorError, nearest
from edgenas.predictors import (
    atoms,
    auto,
    document,
    formulas,
    lookup,
    regression,
    rising,
    selection,
)
from edgenas.predictors.atoms import Atom
from edgenas.predictors.base import Coefficient, Prediction, TrainingData
from edgenas.predictors.table_columns import (
    Rows,
    as_column,
    as_columns,
    categories,
    choose_rows,
    encode,
)


@dataclass(frozen=True)
class Fitted:
    """What a predictor file holds: how to make terms from columns, and the regression on them."""

    response: str
    terms: str
    formula: str
    atoms: tuple[Atom, ...]
    categorical: dict[str, tuple[str, ...]]  # column -> its categories
    skipped: int
    duplicates: int
    seconds: float
    regression: dict[str, Any]
    inference: selection.Inference | None = None
    constant: dict[str, float] = field(default_factory=dict)  # numeric columns that never varied


# What the standard errors of each kind of terms rest on.
POSTERIOR = "of the posterior, under the variances and levels that the rows chose"
RESTS_ON = {
    "auto": POSTERIOR,
    "main": POSTERIOR,
    "annealed": "after selection: the products were picked by their effect on these same rows, so "
    "their errors are too small and their p-values too low; --bootstrap 200 admits the picking",
}


class TableRegression:
    """Regression on the columns of a table.

    Parameters
    ----------
    terms : "auto" (levels, curvature and interactions where they help on rows left out), "main"
        (levels only), "annealed" (levels, curvature and the products that annealing picks); plain
        least squares: "foxnas" (the published formula) or a patsy formula: "a + log(b) + a:b".
    seed : draws the folds of the cross-validation.

    Attributes
    ----------
    regression : the fitted `Regression`. fitted : what `to_json` writes.
    """

    def __init__(self, terms: str = "auto", seed: int = 0) -> None:
        self.terms = terms
        self.seed = seed

    def fit(
        self,
        table: Any,
        response: str,
        *,
        features: Sequence[str] = (),
        categorical: Sequence[str] = (),
        exclude: Sequence[str] = (),
        cost: bool | None = None,
        bootstrap: int = 0,
    ) -> TableRegression:
        """Fit `response`, a column of `table` (a mapping of columns or a DataFrame).

        bootstrap : so many times the fit is repeated, selection of terms included, for standard
            errors that admit it (`selection.bootstrap`); 0 keeps those of the one fit. The other
            arguments are those of `choose_rows`. Raises `PredictorError` on what cannot be fitted.
        """
        started = time.perf_counter()
        rows = choose_rows(
            as_columns(table),
            response,
            features=features,
            categorical=categorical,
            exclude=exclude,
            cost=cost,
        )
        if len(rows.response) < regression.LEAST_ROWS:
            raise PredictorError(
                f"{response}: {len(rows.response)} rows are too few to fit ({rows.skipped} were "
                f"skipped), at least {regression.LEAST_ROWS} are needed.",
                "Measure more.",
            )
        formula, made, data = self._training_data(rows)
        self.regression = regression.fit(data, self.seed)
        distinct = np.unique(data.matrix, axis=0).shape[0]
        self.fitted = Fitted(
            response=response,
            terms=self.terms,
            formula=formula,
            atoms=made,
            categorical={
                name: tuple(map(str, np.unique(rows.columns[name]))) for name in rows.categorical
            },
            skipped=rows.skipped,
            duplicates=len(rows.response) - distinct,
            inference=self._bootstrap(rows, bootstrap) if bootstrap else None,
            constant={
                name: float(rows.columns[name][0])
                for name in rows.numeric
                if np.ptp(rows.columns[name]) == 0
            },
            seconds=time.perf_counter() - started,
            regression=self.regression.to_json(),
        )
        return self

    def predict(self, table: Any) -> np.ndarray:
        """Return the predicted means of the rows of `table`, float64 [n]."""
        if self.fitted.formula:
            return self.regression.predict(self.matrix(table))
        fitted = self.fitted
        folded = lookup.fold(fitted.atoms, self.regression.params, fitted.categorical)
        codes = {
            name: encode(self._column(table, name), fitted.categorical[name])
            for name in fitted.categorical
        }
        numbers = {name: as_column(self._column(table, name)) for name in folded.columns}
        text = [name for name, values in numbers.items() if values.dtype.kind != "f"]
        mean = folded.predict(numbers, codes) if not text else np.array([np.nan])
        if not np.isfinite(mean).all():
            self.matrix(table)  # says which column it is
        return mean

    def _column(self, table: Any, name: str) -> Any:
        if name not in table:
            raise PredictorError(f"The table has no column '{name}'.", nearest(name, table))
        return table[name]

    def get_prediction(self, table: Any, confidence: float = 0.9) -> Prediction:
        """Return means with two-sided prediction intervals of nominal `confidence`."""
        return self.regression.get_prediction(self.matrix(table), confidence)

    def outside(self, table: Any) -> np.ndarray:
        """Return whether rows of `table` lie outside what was measured, bool [n].

        They do where a category is new, where a column differs that never varied, or where
        `Regression.outside` is over 1.
        """
        by_name = {atom.name: atom for atom in self.fitted.atoms}
        products = [
            name in by_name and by_name[name].kind == "product" for name in self.regression.terms
        ]
        found = self.regression.outside(self.matrix(table), ~np.array(products)) > 1
        for name, known in self.fitted.categorical.items():
            found |= encode(self._column(table, name), known) == len(known)
        for name, value in self.fitted.constant.items():
            if name in table:
                found |= as_column(table[name]) != value
        return found

    def matrix(self, table: Any) -> np.ndarray:
        """Return the terms of the rows of `table`, float64 [n, p].

        Raises
        ------
        PredictorError : a column is missing, or has missing numbers or text instead of them.
        """
        needed = {name for atom in self.fitted.atoms for name in atom.columns}
        read = needed | self.fitted.categorical.keys()
        columns = as_columns({name: table[name] for name in table if name in read})
        for name in needed & columns.keys() - self.fitted.categorical.keys():
            if columns[name].dtype.kind != "f" or not np.isfinite(columns[name]).all():
                raise PredictorError(f"The column '{name}' has cells that are not finite numbers.")
        for name in self.fitted.categorical:
            if name in columns:
                columns[name] = categories(columns[name])
        if not self.fitted.formula:
            return atoms.evaluate(self.fitted.atoms, columns)
        names, matrix = formulas.design(self.fitted.formula, columns)
        if names != self.regression.terms:
            raise PredictorError("The table's categories are not those of the fit.")
        return matrix

    def report(self) -> dict[str, Any]:
        """Return what `edgenas fit --json` prints."""
        fitted, heldout = self.regression, self.regression.heldout
        inference = self.fitted.inference
        return {
            "n": fitted.n,
            "skipped": self.fitted.skipped,
            "duplicates": self.fitted.duplicates,
            "terms": [self._line(*pair) for pair in enumerate(fitted.coefficients(0.95))],
            "standard_errors": self.standard_errors(),
            "bootstrap": 0 if inference is None else inference.replicates,
            "levels": fitted.levels,
            "heldout": None
            if heldout is None
            else {
                "rmse": heldout.rmse,
                "mape": heldout.mape,
                "kendall_tau": heldout.kendall_tau,
                "r2": heldout.r2,
                "coverage90": heldout.coverage,
            },
            "seconds": self.fitted.seconds,
        }

    def standard_errors(self) -> str:
        """Return what standard errors, p-values and intervals of coefficients rest on, in words."""
        if self.fitted.inference is not None:
            return f"of {self.fitted.inference.replicates} repeated fits, selection included"
        return RESTS_ON.get(self.terms, "of least squares; the terms were given, none was selected")

    def _line(self, at: int, line: Coefficient) -> dict[str, Any]:
        """Return line `at` of the coefficient table as JSON; 0 is the intercept."""
        inference = self.fitted.inference
        if inference is not None:
            bse = float(inference.bse[at])
            line = replace(
                line,
                bse=bse,
                tvalue=line.coef / bse if bse > 0 else 0.0,
                pvalue=float(inference.pvalues[at]),
                conf_int=(float(inference.lower[at]), float(inference.upper[at])),
            )
        document = {
            "name": line.name,
            "coef": line.coef,
            "se": line.bse,
            "t": line.tvalue,
            "p": line.pvalue,
            "ci95": list(line.conf_int),
            "vif": line.vif if np.isfinite(line.vif) else None,
        }
        return (
            document
            if inference is None
            else {**document, "selected": float(inference.selected[at])}
        )

    def to_json(self) -> dict[str, Any]:
        """Return all that `load` needs; sealed with its SHA-256."""
        return document.sealed("table", self.fitted)

    def _bootstrap(self, rows: Rows, replicates: int) -> selection.Inference:
        def model(response: np.ndarray) -> selection.Model:
            _, _, data = self._training_data(replace(rows, response=response))
            return selection.Model(data.terms, data.matrix, regression.estimate(data))

        return selection.bootstrap(
            model(rows.response), rows.response, model, replicates, self.seed
        )

    def _training_data(self, rows: Rows) -> tuple[str, tuple[Atom, ...], TrainingData]:
        if self.terms in ("auto", "annealed", "main"):
            given = (rows.columns, rows.numeric, rows.categorical)
            if self.terms == "auto":
                found = auto.build(*given, rows.response)
            elif self.terms == "annealed":
                found = auto.annealed(*given, rows.response, self.seed)
            else:
                found = auto.main(*given)
            names = tuple(atom.name for atom in found.atoms)
            limits = rising.of_blocks(names, found.matrix) if rows.cost else None
            data = TrainingData(
                rows.name, "", names, found.matrix, rows.response, found.levels, rising=limits
            )
            return "", found.atoms, data
        formula = formulas.foxnas(rows.numeric, rows.cost) if self.terms == "foxnas" else self.terms
        names, matrix = formulas.design(formula, rows.columns)
        data = TrainingData(rows.name, "", names, matrix, rows.response, plain=True)
        used = tuple(atoms.column(name) for name in rows.numeric if name in formula)
        return formula, used, data


def load(saved: Mapping[str, Any]) -> TableRegression:
    """Return the predictor that `to_json` wrote; `PredictorError` if it was edited or is newer."""
    fitted = document.opened("table", saved, Fitted)
    found = TableRegression(fitted.terms)
    found.fitted = fitted
    found.regression = regression.load(fitted.regression)
    if not fitted.formula and tuple(a.name for a in fitted.atoms) != found.regression.terms:
        raise PredictorError("The predictor's terms are not those of its regression.")
    return found
