"""A regression on any table: `TableRegression().fit(columns, "latency_ms").predict(more)`.

In the style of scikit-learn (`fit` returns self, `predict` takes what `fit` took) and statsmodels
(`get_prediction` gives intervals, `regression` has `params`, `coefficients`, `contrast`).
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.core.counted import counted, were
from edgenas.core.errors import PredictorError, nearest
from edgenas.core.files.run_folder import read_json, write_json
from edgenas.core.notebook import html_table
from edgenas.core.records.fitted import HeldOut
from edgenas.core.tables.columns import as_column, as_columns
from edgenas.core.tables.file import Table
from edgenas.predictors import regression
from edgenas.predictors.base import Prediction, TrainingData
from edgenas.predictors.linear import bootstrap as selection
from edgenas.predictors.linear import sealed
from edgenas.predictors.linear.one_thread import one_thread
from edgenas.predictors.tables import (
    build,
    code_columns,
    derived_columns,
    encodings,
    fast_means,
    formulas,
    left_out,
    log_response,
    many_rows,
    profile,
)
from edgenas.predictors.tables import report as table_report
from edgenas.predictors.tables import terms as atoms
from edgenas.predictors.tables.cells import Cell
from edgenas.predictors.tables.encodings import PLAIN, Encoded
from edgenas.predictors.tables.report import Adapted, Fitted
from edgenas.predictors.tables.rows import (
    ANOTHER_TEXT,
    Rows,
    categories,
    choose_rows,
    encode,
    not_finite,
)
from edgenas.predictors.tables.slots import Gates
from edgenas.predictors.transfer import adapt, hardware


class TableRegression:
    """Regression on the columns of a table.

    Parameters
    ----------
    terms : "auto" (levels, curvature and interactions where they help on rows left out), "main"
        (levels only), "annealed" (levels, curvature and the products that annealing picks); plain
        least squares: "foxnas" (the published formula) or a patsy formula: "a + log(b) + a:b".
    seed : draws the folds of the cross-validation.
    priors : predictors of the same response on other boards, by name, to adapt to the rows
        (`transfer.adapt`); they are dropped, with a warning in `report`, where they hurt.
    boards : hardware parameters of each prior's board by its name, and of the new one as "this"
        (`hardware.expect`).

    Attributes
    ----------
    regression : the fitted `Regression`. fitted : what `to_json` writes.
    """

    fitted: Fitted
    regression: regression.Regression

    def __init__(
        self,
        terms: str = "auto",
        seed: int = 0,
        priors: Mapping[str, TableRegression] | None = None,
        boards: hardware.Boards | None = None,
    ) -> None:
        self.terms = terms
        self.seed = seed
        self.priors = dict(priors or {})
        self.boards = boards
        self._folded: tuple[regression.Regression, fast_means.Lookup] | None = None

    @property
    def heldout(self) -> HeldOut | None:
        """The errors on rows left out of the fit."""
        return self.regression.heldout

    @one_thread()
    def fit(
        self,
        table: Any,
        response: str,
        *,
        features: Sequence[str] = (),
        categorical: Sequence[str] = (),
        exclude: Sequence[str] = (),
        keep: Sequence[str] = (),
        cost: bool | None = None,
        cell: Cell | None = None,
        bootstrap: int = 0,
        logarithm: bool | None = None,
        encoded: Encoded | None = None,
        derived: Sequence[str] = (),
    ) -> TableRegression:
        """Fit `response`, a column of `table` (a mapping of columns or a DataFrame).

        cell : of terms "auto", what is known of which edges count; None lets the rows tell.
        bootstrap : so many times the fit is repeated, selection of terms included, for standard
            errors that admit it (`selection.bootstrap`); 0 keeps those of the one fit.
        logarithm : of terms "auto", whether the terms add up to the response's logarithm
            (`magnitude.choose`); None lets the rows tell, if there are no priors.
        encoded : how columns are to be read; None finds out (`encodings.find`, `codes.read`), if
            terms are no formula.
        derived : columns that others decide, each "COLUMN = FORMULA" (`derived_columns.given`):
            where effects are said, they follow. Others are found.

        The other arguments are those of `choose_rows`. Raises `PredictorError` on what cannot be
        fitted.
        """
        started = time.perf_counter()
        if self.priors and (bootstrap or derived or self.terms not in ("auto", "main")):
            raise PredictorError(
                "A prior is adapted with terms auto or main, without a bootstrap or --derived.",
                "Leave out --terms, --bootstrap and --derived, or --prior.",
            )
        columns, read = as_columns(table), encoded or PLAIN
        # what priors read, or what is said to be derived, is a feature here too
        of_priors = (x for prior in self.priors.values() for x in prior.columns if x in columns)
        keep = (*keep, *of_priors, *(column for column, _ in derived_columns.sides(derived)))
        if self.priors:
            read = encodings.merged([prior.fitted.encoded for prior in self.priors.values()])
        elif encoded is None and self.terms in build.VOCABULARIES:
            taken = (*categorical, *exclude, *keep)
            read = encodings.of_features(columns, response, features, taken)
        rows = choose_rows(
            read.read(columns),
            response,
            features=read.named(features),
            categorical=categorical,
            exclude=exclude,
            keep=read.named(keep),
            cost=cost,
        )
        if (runs := len(rows.response)) < regression.LEAST_ROWS:
            raise PredictorError(
                f"{response}: {counted(runs, 'row is', 'rows are')} too few to fit "
                f"({rows.skipped} {were(rows.skipped)} skipped), at least "
                f"{regression.LEAST_ROWS} are needed.",
                " ".join([*rows.warnings, "Measure more."]),
            )
        if not self.priors and self.terms in build.VOCABULARIES:
            rows = rows.averaged()
        numbers = rows.numeric
        if self.priors:
            logarithm = False
        elif encoded is None and self.terms in build.VOCABULARIES:
            rows = code_columns.read(rows)
        if derived and self.terms not in build.VOCABULARIES:
            raise PredictorError("A formula says what columns do: no column follows others in it.")
        derived_columns.given(rows.columns, rows.numeric, derived)  # refused before the fit
        many = not (self.priors or bootstrap) and many_rows.needed(self.terms, rows)
        some = many_rows.sample(rows) if many else rows
        made = build.make(self.terms, some, self.seed, cell, logarithm)
        data = made.data
        adapted = self._adapt(rows, data) if self.priors else None
        means = np.zeros(0)
        if adapted is None or adapted.used == "scratch":
            self.priors = {}
            if many:
                self.regression, means = many_rows.fit(made, rows, self.seed)
            else:
                self.regression = left_out.fit(
                    self.terms, rows, made, self.seed, known=cell is not None
                )
                means = data.matrix.mean(axis=0)
        self.fitted = Fitted(
            response=response,
            terms=self.terms,
            formula=made.formula,
            atoms=made.atoms,
            cell=made.cell,
            categorical={
                name: tuple(map(str, np.unique(rows.columns[name]))) for name in rows.categorical
            },
            skipped=rows.skipped,
            labels=tuple(x for x, why in rows.left_out.items() if why == ANOTHER_TEXT),
            left_out=rows.left_out,
            warnings=(*rows.warnings, *encodings.of_odd_rows(columns, tuple(rows.left_out))),
            read_as=table.notes if isinstance(table, Table) else (),
            duplicates=runs - many_rows.distinct(rows, None if many else data.matrix),
            runs=0 if rows.runs is None else runs,
            inference=self._bootstrap(rows, data, bootstrap, cell) if bootstrap else None,
            constant=rows.constant,
            seconds=time.perf_counter() - started,
            regression=self.regression.to_json(),
            priors={name: prior.to_json() for name, prior in self.priors.items()},
            transfer=adapted,
            logarithm=data.logarithm,
            encoded=replace(read, gates=made.gates),
            codes=tuple(name for name in numbers if name not in rows.numeric),
            profile=None
            if made.formula or self.priors
            else profile.of(
                made.atoms, rows, (some, data.matrix), means, self.regression, derived=derived
            ),
        )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that predictions are made from, as `fit` was given them."""
        fitted = self.fitted
        named = [name for atom in fitted.atoms for name in atom.columns]
        sources: dict[str, tuple[str, ...]] = {x: (x,) for x in (*named, *fitted.categorical)}
        sources |= fitted.encoded.marks
        sources |= {name: (text,) for name, (text, _) in fitted.encoded.parts.items()}
        gates = fitted.encoded.gates.least if fitted.encoded.gates else {}
        sources |= {gate: (gate,) for name, (gate, _) in gates.items() if name in named}
        return tuple(dict.fromkeys(x for group in sources.values() for x in group))

    def predict(self, table: Any) -> np.ndarray:
        """Return the predicted means of the rows of `table`, float64 [n]."""
        table = self.fitted.encoded.read(table)
        if self.fitted.formula or self.priors:
            return self._measured(self.regression.predict(self.matrix(table)))
        if any(atom.kind == "powers" for atom in self.fitted.atoms):  # nothing to look up
            means = [self.regression.predict(self.matrix(part)) for part in self._parts(table)]
            return self._measured(np.concatenate(means))
        fitted = self.fitted
        known = fast_means.categories(fitted.atoms, fitted.categorical, fitted.cell)
        if self._folded is None or self._folded[0] is not self.regression:
            made = fast_means.fold(fitted.atoms, self.regression.params, known, fitted.cell)
            self._folded = self.regression, made
        folded = self._folded[1]
        code_columns = {name: encode(self._column(table, name), known[name]) for name in known}
        numbers = {name: as_column(self._column(table, name)) for name in folded.numbers.columns}
        text = [name for name, values in numbers.items() if values.dtype.kind != "f"]
        mean = np.array([np.nan])
        if not text:
            rows = len(next(iter({**numbers, **code_columns}.values())))
            with one_thread() if rows > many_rows.CHUNK else contextlib.nullcontext():
                mean = folded.predict(numbers, code_columns)
        if not np.isfinite(mean).all():
            self.matrix(table)  # says which column it is
        return self._measured(mean)

    def _measured(self, values: np.ndarray) -> np.ndarray:
        """Return what the regression says in the response's unit."""
        return log_response.measured(values) if self.fitted.logarithm else values

    def _column(self, table: Any, name: str) -> Any:
        if name not in table:
            raise PredictorError(f"The table has no column '{name}'.", nearest(name, table))
        return table[name]

    def get_prediction(self, table: Any, confidence: float = 0.9) -> Prediction:
        """Return means with two-sided prediction intervals of nominal `confidence`."""
        parts = [
            self.regression.get_prediction(self.matrix(part), confidence)
            for part in self._parts(table)
        ]
        bounds = zip(*((x.mean, x.lower, x.upper) for x in parts), strict=True)
        return Prediction(*(self._measured(np.concatenate(values)) for values in bounds))

    def _parts(self, table: Any) -> Iterator[Any]:
        """Yield the rows of `table`, so many at a time that their terms fit the memory."""
        names = list(table)
        rows = len(table[names[0]]) if names else 0
        if rows <= many_rows.CHUNK:
            yield table
            return
        if not self.complete(table).all():
            self.matrix(table)  # says which row of all it is
        columns = {name: np.asarray(table[name]) for name in names}
        for start in range(0, rows, many_rows.CHUNK):
            part = slice(start, start + many_rows.CHUNK)
            yield {name: values[part] for name, values in columns.items()}

    def complete(self, table: Any) -> np.ndarray:
        """Return whether each row of `table` has a finite number in every column that takes one,
        bool [n]; the others cannot be predicted. Columns of text are for `predict` to refuse."""
        numeric = {name for atom in self.fitted.atoms for name in atom.columns}
        numeric |= {x for prior in self.priors.values() for x in prior.columns}
        numeric |= {gate for gate, _ in (self.fitted.encoded.gates or Gates({})).least.values()}
        read = [np.ones(len(table[next(iter(table))]), bool)]
        for name in sorted(numeric - self.fitted.categorical.keys()):
            values = as_column(table[name]) if name in table else np.zeros(0)
            if values.dtype.kind == "f" and values.size:
                read.append(np.isfinite(values))
        return np.asarray(np.logical_and.reduce(read))

    def outside(self, table: Any) -> np.ndarray:
        """Return whether rows of `table` lie outside what was measured, bool [n].

        They do where a category is new, where a column differs that never varied, or where
        `Regression.outside` is over 1.
        """
        return np.concatenate([self._outside(part) for part in self._parts(table)])

    def _outside(self, table: Any) -> np.ndarray:
        table = self.fitted.encoded.read(table)
        by_name = {atom.name: atom for atom in self.fitted.atoms}
        products = [
            name in by_name and by_name[name].kind == "product" for name in self.regression.terms
        ]
        found = self.regression.outside(self.matrix(table), ~np.array(products)) > 1
        for name, known in self.fitted.categorical.items():
            of_priors = (prior.fitted.categorical.get(name, ()) for prior in self.priors.values())
            anywhere = tuple(dict.fromkeys((*known, *itertools.chain(*of_priors))))
            found |= encode(self._column(table, name), anywhere) == len(anywhere)
        for name, value in self.fitted.constant.items():
            if name in table:
                found |= as_column(table[name]) != value
        return found

    def matrix(self, table: Any, cut: bool = True) -> np.ndarray:
        """Return the terms of the rows of `table`, float64 [n, p].

        cut : where the fit cut off edges that nothing uses, whether to do so here.

        Raises
        ------
        PredictorError : a column is missing, or has missing numbers or text instead of them.
        """
        table = self.fitted.encoded.read(table)
        needed = {name for atom in self.fitted.atoms for name in atom.columns}
        for name in sorted(needed):
            self._column(table, name)
        read = needed | self.fitted.categorical.keys()
        columns = as_columns({name: table[name] for name in table if name in read})
        for name in needed & columns.keys() - self.fitted.categorical.keys():
            if columns[name].dtype.kind != "f" or not np.isfinite(columns[name]).all():
                raise PredictorError(
                    f"The column '{name}' has cells that are not finite numbers"
                    f"{not_finite(columns[name])}.",
                    "Fill the cell, or remove the row.",
                )
        for name in self.fitted.categorical:
            if name in columns:
                columns[name] = categories(columns[name])
        if self.fitted.cell is not None and cut:
            columns = self.fitted.cell.cut(columns)
        if not self.fitted.formula:
            own = atoms.evaluate(self.fitted.atoms, columns)
            return np.hstack([own, self._sources(table)]) if self.priors else own
        names, matrix = formulas.design(self.fitted.formula, columns)
        if names != self.regression.terms:
            raise PredictorError("The table's categories are not those of the fit.")
        return matrix

    def report(self) -> dict[str, Any]:
        """Return what `edgenas fit --json` prints."""
        from edgenas.predictors.tables import effects

        found = table_report.report(self.fitted, self.regression)
        if self.fitted.profile is not None:
            told = effects.explanation(self, table_report.CONFIDENCE)
            found |= {name: told[name] for name in table_report.EXPLAINED}
        return found

    def write(self, path: Path) -> None:
        """Write the predictor, as `edgenas fit -o` does; what is there is replaced."""
        write_json(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> TableRegression:
        """Return the predictor in a file of `write`, or of `edgenas fit TABLE.csv -o`.

        Raises
        ------
        PredictorError : it is none. RunFolderError : it cannot be read.
        """
        return load(read_json(path, "A predictor is what edgenas fit TABLE.csv writes with -o."))

    def _repr_html_(self) -> str:
        errors, what = self.heldout, f"{self.fitted.response}: {self.regression.n} rows"
        names = ("rmse", "mape", "kendall_tau", "coverage")
        cells = [] if errors is None else [f"{getattr(errors, name):.4g}" for name in names]
        return html_table(f"{what}; errors on rows left out", names, [cells] if cells else [])

    def to_json(self) -> dict[str, Any]:
        """Return all that `load` needs; sealed with its SHA-256."""
        return sealed.sealed("table", self.fitted)

    def _sources(self, table: Any) -> np.ndarray:
        """Return what the priors predict of the rows of `table`, float64 [n, s]."""
        return np.column_stack([prior.predict(table) for prior in self.priors.values()])

    def _adapt(self, rows: Rows, data: TrainingData) -> Adapted:
        """Adapt the priors to the rows; the regression is theirs unless they were refused."""
        names, sources = tuple(self.priors), self._sources(rows.columns)
        expected = hardware.expect(names, sources, self.boards) if self.boards else None
        few = len(rows.response) <= adapt.FEW
        scratch = left_out.error(self.terms, rows, self.seed) if few else None
        found = adapt.adapt(data, sources, names, self.seed, expected, scratch=scratch)
        if found.used == "transfer":
            self.regression = found.predictor
        told = "" if expected is None else expected.sentence
        if expected is not None and expected.slopes is not None and not found.hardware:
            told += " The rows do without it: it is not used."
        return Adapted(found.used, found.errors, found.gain, found.warning, told, found.likeness)

    def _bootstrap(
        self, rows: Rows, fitted: TrainingData, replicates: int, cell: Cell | None
    ) -> selection.Inference:
        def model(response: np.ndarray) -> selection.Model:
            measured = log_response.measured(response) if fitted.logarithm else response
            drawn = replace(rows, response=measured)
            data = build.make(self.terms, drawn, self.seed, cell, fitted.logarithm).data
            return selection.Model(data.terms, data.matrix, regression.estimate(data))

        return selection.bootstrap(
            model(fitted.response), fitted.response, model, replicates, self.seed
        )


def load(saved: Mapping[str, Any]) -> TableRegression:
    """Return the predictor that `to_json` wrote; `PredictorError` if it was edited or is newer."""
    fitted = sealed.opened("table", saved, Fitted)
    found = TableRegression(
        fitted.terms, priors={name: load(prior) for name, prior in fitted.priors.items()}
    )
    found.fitted = fitted
    found.regression = regression.load(fitted.regression)
    terms = (*(atom.name for atom in fitted.atoms), *(f"source {name}" for name in fitted.priors))
    if not fitted.formula and terms != found.regression.terms:
        raise PredictorError("The predictor's terms are not those of its regression.")
    for name, known in fitted.categorical.items():
        if not known:
            raise PredictorError(f"The predictor's column '{name}' has no categories.")
    if fitted.profile is not None:
        numbers = {atom.name for atom in fitted.atoms if atom.kind == "column"}
        if lacking := sorted(numbers - fitted.profile.deciles.keys()):
            raise PredictorError(f"The predictor's column '{lacking[0]}' has no deciles.")
        if fitted.profile.means.shape != (len(fitted.atoms),):
            raise PredictorError("The predictor's means are not those of its terms.")
    return found
