"""What a run on a measured table knows of it: its files, read and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edgenas.core.errors import InputError
from edgenas.core.files.run_folder import RunFolder, read_json
from edgenas.core.records import Candidate, Interval, TableRow
from edgenas.core.records.tables import (
    LookedUp,
    LookedUpRows,
    TableCard,
    TableResponse,
)
from edgenas.optimize import table_predictors
from edgenas.optimize.table import TableProblem
from edgenas.optimize.table_predictors import Predicted
from edgenas.predictors.tables import regression as table_regression
from edgenas.predictors.tables.regression import TableRegression
from edgenas.runs import artifacts
from edgenas.runs.config import RunConfig
from edgenas.targets.table import measured_table, target_file
from edgenas.targets.table.measured_table import MeasuredTable


def card(table: MeasuredTable) -> TableCard:
    """Return what a table is."""
    target = table.target
    sizes = np.array([len(values) for values in table.options], float)
    return TableCard(
        target=target.name,
        provider=table.provider,
        board=target.board,
        engine=target.engine,
        files=table.sha256,
        rows=table.rows,
        architectures=len(table.points),
        networks=len(table.first),
        combinations=float(np.prod(sizes)),
        variables={
            name: tuple(map(str, values.tolist()))
            for name, values in zip(table.variables, table.options, strict=True)
        },
        responses=tuple(_response(table, name) for name in table.responses),
    )


def _response(table: MeasuredTable, name: str) -> TableResponse:
    kind, values = table.target.response(name), table.responses[name]
    return TableResponse(
        name=name,
        label=kind.label,
        unit=kind.unit,
        goal=kind.goal or "min",
        column=table.target.responses[name].column,
        n=int(np.isfinite(values).sum()),
        least=float(np.nanmin(values)),
        greatest=float(np.nanmax(values)),
    )


@dataclass
class TableRun:
    """The table of a run, and what the run knows of it. Values not looked up are not known."""

    folder: RunFolder
    config: RunConfig

    @cached_property
    def table(self) -> MeasuredTable:
        """The table; refused if its files are not those that the run began with."""
        table = measured_table.read(target_file.read(Path(self.config.target)))
        if not self.folder.table.exists():
            artifacts.write(self.folder, card(table))
        elif self.stored_card().files != table.sha256:
            raise InputError(
                f"The table of {self.config.target} changed since {self.folder.path} was started.",
                "Start a new run with another --out.",
            )
        return table

    @cached_property
    def problem(self) -> TableProblem:
        """The networks of the table, found by their choices."""
        return TableProblem(self.table)

    def stored_card(self) -> TableCard:
        """Return what the run says of its table, without reading it again."""
        return artifacts.read(self.folder, TableCard)

    def network(self, index: int) -> TableRow:
        """Return one network of the table."""
        return TableRow(int(index), int(self.table.row[index]), self.table.shown(index))

    def look_up(self, index: int, responses: tuple[str, ...]) -> LookedUp:
        """Return what the table says of one network."""
        found = {name: float(self.table.response(name)[index]) for name in responses}
        missing = [name for name, value in found.items() if np.isnan(value)]
        return LookedUp(
            network=self.network(index),
            asked=responses,
            status="failed" if missing else "ok",
            reason=f"{self.table.target.path} has no {', '.join(missing)} of it."
            if missing
            else "",
            values={name: value for name, value in found.items() if name not in missing},
        )

    def rows(self) -> tuple[LookedUp, ...]:
        """Return what was looked up so far."""
        looked_up = artifacts.find(self.folder, LookedUpRows)
        return () if looked_up is None else looked_up.rows

    def add_rows(self, rows: list[LookedUp]) -> None:
        """Keep what was looked up, beside what was known of the same networks."""
        known = {row.network.index: row for row in self.rows()}
        for row in rows:
            before = known.get(row.network.index)
            asked = tuple(dict.fromkeys((*(before.asked if before else ()), *row.asked)))
            known[row.network.index] = self.look_up(row.network.index, asked)
        artifacts.write(self.folder, LookedUpRows(self.table.provider, tuple(known.values())))

    def asked(self, response: str) -> np.ndarray:
        """Return the networks of which a response was looked up, found or not, int64."""
        return np.array([r.network.index for r in self.rows() if response in r.asked], np.int64)

    def known(self, response: str) -> np.ndarray:
        """Return the networks of which a response was looked up and found, int64."""
        return np.array([r.network.index for r in self.rows() if response in r.values], np.int64)

    def predictor(self, response: str) -> TableRegression:
        """Return a fitted predictor; `RunFolderError` if it is not fitted yet."""
        path = self.folder.require(self.folder.predictor(response), "fit")
        return table_regression.load(read_json(path))

    def predicted(self, response: str) -> Predicted:
        """Return a response of every network: looked up, or else predicted."""
        known = self.known(response)
        return table_predictors.predict(
            self.table, self.predictor(response), self.config.confidence, known
        )


def candidate(run: TableRun, index: int, predicted: Mapping[str, Predicted]) -> Candidate[TableRow]:
    """Return a network with its predictions."""
    bounds = {
        name: Interval(float(p.mean[index]), float(p.lower[index]), float(p.upper[index]))
        for name, p in predicted.items()
    }
    return Candidate.of(run.network(index), bounds)
