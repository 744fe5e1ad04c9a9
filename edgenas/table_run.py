"""The run folder of a search on a measured table: its files, read and written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edgenas import measured_table, table_predictors, table_target
from edgenas.config import RunConfig
from edgenas.errors import InputError, RunFolderError
from edgenas.measured_table import MeasuredTable
from edgenas.predictors import table as table_regression
from edgenas.predictors.table import TableRegression
from edgenas.records import Interval, from_json, to_json
from edgenas.records.tables import (
    LookedUp,
    LookedUpRows,
    TableCandidate,
    TableCard,
    TableNetwork,
    TableResponse,
    TableSearch,
    TableVerdict,
)
from edgenas.run_folder import RunFolder, read_json, write_json
from edgenas.table_predictors import Predicted
from edgenas.table_problem import TableProblem

# Options of a search that a table cannot follow: it has neither images nor a clock.
WITHOUT_MEANING = (
    "engine",
    "data",
    "space",
    "epochs",
    "batch_size",
    "supernet",
    "finetune",
    "device_time_s",
    "target_mape",
    "warm_start",
)


def replays(folder: RunFolder, config: RunConfig) -> bool:
    """Return whether a run's target is a measured table."""
    return table_target.is_table(config.target) or folder.table.exists()


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
        table = measured_table.read(table_target.read(Path(self.config.target)))
        if not self.folder.table.exists():
            write_json(self.folder.table, to_json(card(table)))
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
        path = self.folder.require(self.folder.table, "probe")
        return from_json(read_json(path), TableCard, str(path), RunFolderError)

    def network(self, index: int) -> TableNetwork:
        """Return one network of the table."""
        return TableNetwork(int(index), int(self.table.row[index]), self.table.shown(index))

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
        if not self.folder.looked_up.exists():
            return ()
        document = read_json(self.folder.looked_up)
        return from_json(document, LookedUpRows, str(self.folder.looked_up), RunFolderError).rows

    def add_rows(self, rows: list[LookedUp]) -> None:
        """Keep what was looked up, beside what was known of the same networks."""
        known = {row.network.index: row for row in self.rows()}
        for row in rows:
            before = known.get(row.network.index)
            asked = tuple(dict.fromkeys((*(before.asked if before else ()), *row.asked)))
            known[row.network.index] = self.look_up(row.network.index, asked)
        document = LookedUpRows(self.table.provider, tuple(known.values()))
        write_json(self.folder.looked_up, to_json(document))

    def asked(self, response: str) -> np.ndarray:
        """Return the networks of which a response was looked up, found or not, int64."""
        return np.array([r.network.index for r in self.rows() if response in r.asked], np.int64)

    def known(self, response: str) -> np.ndarray:
        """Return the networks of which a response was looked up and found, int64."""
        return np.array([r.network.index for r in self.rows() if response in r.values], np.int64)

    def predictor(self, response: str) -> TableRegression:
        """Return a fitted predictor; `RunFolderError` if it is not fitted yet."""
        path = self.folder.require(self.folder.predictors / f"{response}.json", "fit")
        return table_regression.load(read_json(path))

    def predicted(self, response: str) -> Predicted:
        """Return a response of every network: looked up, or else predicted."""
        known = self.known(response)
        return table_predictors.predict(
            self.table, self.predictor(response), self.config.confidence, known
        )

    def search_result(self) -> TableSearch:
        """Return what optimize found; `RunFolderError` if it has not run yet."""
        path = self.folder.require(self.folder.search, "optimize")
        return from_json(read_json(path), TableSearch, str(path), RunFolderError)

    def verdict(self) -> TableVerdict:
        """Return the candidates looked up; `RunFolderError` if they are not yet."""
        path = self.folder.require(self.folder.verification, "verify")
        return from_json(read_json(path), TableVerdict, str(path), RunFolderError)


def candidate(run: TableRun, index: int, predicted: dict[str, Predicted]) -> TableCandidate:
    """Return a network with its predictions."""
    return TableCandidate(
        run.network(index),
        {
            name: Interval(float(p.mean[index]), float(p.lower[index]), float(p.upper[index]))
            for name, p in predicted.items()
        },
    )
