"""A measured table as the problem of a search: every answer is looked up, or predicted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgenas.optimize.optimizers.problem import Archive, Problem, Response
from edgenas.targets.table import measured_table, target_file
from edgenas.targets.table.measured_table import MeasuredTable

# Distances from points to rows that are held at once.
MOST_DISTANCES = 4_000_000


class TableProblem:
    """The architectures of a measured table, found by their choices.

    A point is int64 [n_variables], entry i an index into `table.options[i]`.
    """

    def __init__(self, table: MeasuredTable) -> None:
        self.table = table
        self._rows = _Rows(table.points)

    @classmethod
    def read(cls, path: Path) -> TableProblem:
        """Return the table of a target file of kind "table"; `InputError` if it is no such."""
        return cls(measured_table.read(target_file.read(path)))

    @property
    def points(self) -> np.ndarray:
        """One point a network, int64 [n_networks, n_variables], in the table's order."""
        return self.table.points[self.table.first]

    def networks(self, points: np.ndarray) -> np.ndarray:
        """Return the network of each of points [n, n_variables]; -1 where the table has none."""
        rows = self._rows.find(points)
        return np.where(rows >= 0, self.table.network[rows], -1)

    def values(self, responses: Sequence[Response]) -> np.ndarray:
        """Return what the table says of its networks, float64 [n_networks, n_responses]."""
        return np.column_stack([self.table.response(response.name) for response in responses])

    def problem(
        self, responses: Sequence[Response], predicted: np.ndarray | None = None
    ) -> Problem:
        """Return the search over the table's architectures.

        predicted : float64 [n_networks, n_responses], searched instead of what was measured.
        """
        values = self.values(responses) if predicted is None else predicted
        known = np.vstack([values, np.full((1, values.shape[1]), np.nan)])  # -1 is missing
        options = tuple(map(len, self.table.options))
        complete = len(self.table.points) == np.prod(np.array(options, float))
        return Problem(
            options=options,
            responses=tuple(responses),
            evaluate=lambda points: known[self.networks(points)],
            project=None if complete else self._rows.nearest,
        )

    def enumerated(self, responses: Sequence[Response]) -> Archive:
        """Return every network with what was measured of it, in the table's order."""
        points = self.points
        return Archive(points, self.values(responses), True, 0.0, len(points))

    def true_front(self, responses: Sequence[Response]) -> Archive:
        """Return the networks within all limits that no other dominates, as measured."""
        everything = self.enumerated(responses)
        front = everything.front(self.problem(responses))
        return Archive(
            everything.points[front], everything.values[front], True, 0.0, everything.evaluations
        )


class _Rows:
    """Distinct points [n, n_variables], found by a linear hash that is then compared."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        rng = np.random.default_rng(0)
        while True:  # two of n points share one of 2^64 keys with a chance of n² / 2^65
            self._weights = rng.integers(0, 2**64, points.shape[1], np.uint64, endpoint=False)
            keys = self._keys(points)
            self._order = np.argsort(keys)
            self._sorted = keys[self._order]
            if not (self._sorted[1:] == self._sorted[:-1]).any():
                break

    def _keys(self, points: np.ndarray) -> np.ndarray:
        keys: np.ndarray = points.astype(np.uint64) @ self._weights
        return keys

    def find(self, points: np.ndarray) -> np.ndarray:
        """Return the index of each of points [n, n_variables], -1 where there is none."""
        place = np.searchsorted(self._sorted, self._keys(points))
        rows = self._order[np.minimum(place, len(self._order) - 1)]
        return np.where((self.points[rows] == points).all(axis=1), rows, -1)

    def nearest(self, points: np.ndarray) -> np.ndarray:
        """Return the rows that differ from points [n, n_variables] in the fewest variables.

        Of equally near rows each point takes another one, always the same: nothing is preferred.
        """
        found = self.find(points)
        missing = np.flatnonzero(found < 0)
        batch = max(1, MOST_DISTANCES // len(self.points))
        for start in range(0, len(missing), batch):
            some = missing[start : start + batch]
            found[some] = self._nearest(points[some])
        nearest: np.ndarray = self.points[found]
        return nearest

    def _nearest(self, points: np.ndarray) -> np.ndarray:
        n_rows, n_variables = self.points.shape
        distance = np.zeros((len(points), n_rows), np.int64)
        for variable in range(n_variables):
            distance += points[:, variable, None] != self.points[:, variable]
        turn = (self._keys(points) % np.uint64(n_rows)).astype(np.int64)
        rank = (np.arange(n_rows) - turn[:, None]) % n_rows
        return np.argmin(distance * n_rows + rank, axis=1)
