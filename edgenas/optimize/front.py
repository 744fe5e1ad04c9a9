"""A search with several objectives and limits, laid out as the `Problem` that optimizers take.

An objective is on the predicted mean, a limit on the prediction bound of its side. Both are
columns of the problem; the bounds are not sums over stages, so their sums take the least margin.

Images/s as an objective are no sum, either: the resources of a network are, at each throughput. So
each size stands in the problem once for every throughput, as fast as foldings go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgenas.core.errors import InputError, PredictorError
from edgenas.core.metrics import REGISTRY, Count, ResponseKind
from edgenas.core.records import Architecture
from edgenas.core.records.goals import Limit, Objective
from edgenas.optimize.layout import Grid, OptionRows, Predictors, matrix_of, option_rows, summands
from edgenas.optimize.optimizers.base import Point
from edgenas.optimize.optimizers.problem import Problem, Response, Sums
from edgenas.optimize.speeds import THROUGHPUT, AtSpeeds
from edgenas.optimize.term_rows import like_layers
from edgenas.predictors.base import Additive

Side = Literal["mean", "upper", "lower"]


@dataclass(frozen=True)
class Column:
    """One column of the values: the predicted mean of a response, or a bound that a limit is on."""

    kind: ResponseKind
    side: Side
    response: Response


@dataclass(frozen=True)
class FrontLayout(Grid):
    """A grid and the `Problem` over its points; `columns` are in the order of its responses.

    speeds : how many throughputs each size stands for, the fastest first.
    """

    problem: Problem
    columns: tuple[Column, ...]
    speeds: int = 1

    def architecture(self, point: Point) -> Architecture:
        """Return the architecture of a point, whatever its throughput."""
        return super().architecture((point[0] // self.speeds, *point[1:]))

    def point(self, architecture: Architecture) -> Point:
        """Return the point of an architecture, at the greatest throughput that keeps the limits; at
        the least where none does."""
        size, *options = super().point(architecture)
        if self.speeds == 1:
            return size, *options
        sizes = np.arange(size * self.speeds, (size + 1) * self.speeds)
        points = np.array([(one, *options) for one in sizes.tolist()], np.int64)
        within = self.problem.feasible(self.problem.evaluate(points))
        fastest = int(within.argmax()) if within.any() else self.speeds - 1
        return int(sizes[fastest]), *options

    def all_costs(self, values: np.ndarray) -> np.ndarray:
        """Return the means of all responses, limited ones too, as costs [n, n_responses]."""
        means = [i for i, column in enumerate(self.columns) if column.side == "mean"]
        signs = [-1.0 if self.columns[i].kind.goal == "max" else 1.0 for i in means]
        costs: np.ndarray = values[:, means] * np.array(signs)
        return costs


def lay_out_front(
    predictors: Predictors,
    objectives: Sequence[Objective],
    limits: Mapping[str, Limit],
    grid: Grid | None = None,
    known: Mapping[str, ResponseKind] = REGISTRY,
) -> FrontLayout:
    """Return the search for the best trade-offs between `objectives` within `limits`.

    The mean of each limited response is a column too, without a goal of its own.

    grid : the choices that count, in which an objective may be constant; None for all of the space.
    known : the responses as the run's task calls them.

    Raises
    ------
    PredictorError : a response has no predictor. InputError : an objective is constant.
    """
    columns = _columns(objectives, limits, known)
    for column in columns:
        _check_known(predictors, column.kind)
    whole, grid = grid is None, grid or Grid.of(predictors.space)
    pipeline = predictors.filled
    by_speed = pipeline is not None and THROUGHPUT in {one.response for one in objectives}
    at_speeds = AtSpeeds.of(grid, pipeline) if pipeline is not None and by_speed else None
    values = _Values(predictors, grid, columns, at_speeds)
    speeds = 1 if at_speeds is None else len(at_speeds.cycles)
    sizes = len(grid.space.resolutions) * speeds
    options = (sizes, *(len(choices) for choices in grid.choices))
    sums = values.sums() if values.separable else None
    if sums is not None and whole:
        _check_not_constant(columns, sums)
    problem = Problem(options, tuple(c.response for c in columns), values.evaluate, sums=sums)
    return FrontLayout(grid.space, grid.choices, problem, columns, speeds)


def _columns(
    objectives: Sequence[Objective],
    limits: Mapping[str, Limit],
    known: Mapping[str, ResponseKind],
) -> tuple[Column, ...]:
    goals = {one.response: one.goal for one in objectives}
    columns = [
        Column(known[name], "mean", Response(name, goals.get(name)))
        for name in dict.fromkeys((*goals, *limits))
    ]
    for name, limit in limits.items():
        kind = known[name]
        if limit.at_most is not None:
            response = Response(f"upper bound of {kind.label}", at_most=limit.at_most)
            columns.append(Column(kind, "upper", response))
        if limit.at_least is not None:
            response = Response(f"lower bound of {kind.label}", at_least=limit.at_least)
            columns.append(Column(kind, "lower", response))
    return tuple(columns)


def spread(costs: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of up to `count` rows of costs [n, n_objectives], far from each other.

    The first is the best in the first objective; each next one is the farthest from those before
    (Gonzalez, 1985), every objective scaled to its range.
    """
    span = np.ptp(costs, axis=0)
    scaled = costs / np.where(span > 0, span, 1.0)
    chosen = [int(np.lexsort(costs.T[::-1])[0])]
    distance = np.linalg.norm(scaled - scaled[chosen[0]], axis=1)
    while len(chosen) < min(count, len(costs)) and distance.max() > 0:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[chosen[-1]], axis=1))
    return np.array(chosen, np.int64)


class _Values:
    """The values of points: of each response its mean, and its bounds where they are limited."""

    def __init__(
        self,
        predictors: Predictors,
        grid: Grid,
        columns: tuple[Column, ...],
        at_speeds: AtSpeeds | None,
    ) -> None:
        self._predictors, self._grid, self._columns = predictors, grid, columns
        self._speeds = 1 if at_speeds is None else len(at_speeds.cycles)
        self._options: dict[str, OptionRows] = {
            source: option_rows(predictors.rows(source), grid.choices)
            for source in {column.kind.source for column in columns}
            if source not in ("layers", "hardware")
        }
        exact = {column.kind.name for column in columns} & predictors.counts.keys()
        of_speeds = {} if at_speeds is None else at_speeds.sums()
        self._counts = {
            name: of_speeds[name]
            if name in of_speeds
            else _repeated(_count_sums(grid, predictors.counts[name]), self._speeds)
            for name in exact
        }

    @property
    def separable(self) -> bool:
        """Whether every column is a sum over stages, or has one that bounds it."""
        names = {column.kind.name for column in self._columns} - self._counts.keys()
        return all(isinstance(self._predictors.fitted[name], Additive) for name in names)

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        """Return the values of points, int64 [n, 1 + n_stages], as float64 [n, n_columns]."""
        sized = points.copy()
        sized[:, 0] //= self._speeds
        matrices = {
            source: matrix_of(sized, self._predictors.rows(source), options)
            for source, options in self._options.items()
        }
        values = np.empty((len(points), len(self._columns)))
        means: dict[str, np.ndarray] = {}
        for i, column in enumerate(self._columns):
            name = column.kind.name
            if name in self._counts:
                values[:, i] = self._counts[name].values(points)[:, 0]
                continue
            matrix, predictor = matrices[column.kind.source], self._predictors.fitted[name]
            if name not in means:
                means[name] = predictor.predict(matrix)
            values[:, i] = means[name]
            if column.side != "mean":
                predicted = predictor.get_prediction(matrix, self._predictors.confidence)
                values[:, i] = predicted.upper if column.side == "upper" else predicted.lower
        return values

    def sums(self) -> Sums:
        """Return the columns as sums; of an upper bound, sums that are within the limit if it is;
        of a lower bound, with the least margin that any point has."""
        each = [self._column_sums(column) for column in self._columns]
        names = [column.kind.name for column in self._columns]
        return Sums(
            np.hstack([one.offsets for one in each]),
            tuple(
                np.concatenate(parts, axis=2)
                for parts in zip(*(one.parts for one in each), strict=True)
            ),
            frozenset(i for i, name in enumerate(names) if name in self._counts),
        )

    def _column_sums(self, column: Column) -> Sums:
        name = column.kind.name
        if name in self._counts:
            return self._counts[name]
        predictor = self._predictors.fitted[name]
        assert isinstance(predictor, Additive)  # `separable` says so
        rows, options = self._predictors.rows(column.kind.source), self._options[column.kind.source]
        offsets, added = summands(predictor, rows, options)
        confidence = self._predictors.confidence
        shift = 0.0
        if column.side == "lower":
            shift = -predictor.least_margin(confidence)
        elif column.side == "upper" and (limit := column.response.at_most) is not None:
            shift = limit - predictor.ceiling(limit, confidence)
        stages = range(len(self._grid.choices))
        parts = tuple(np.array([size[stage] for size in added])[:, :, None] for stage in stages)
        return _repeated(Sums(offsets[:, None] + shift, parts), self._speeds)


def _repeated(sums: Sums, speeds: int) -> Sums:
    """Return sums in which each size stands `speeds` times."""
    if speeds == 1:
        return sums
    parts = tuple(part.repeat(speeds, axis=0) for part in sums.parts)
    return Sums(sums.offsets.repeat(speeds, axis=0), parts)


def _count_sums(grid: Grid, count: Count) -> Sums:
    """Return an exact response as sums over stages, with one column."""
    space = grid.space
    offsets = [
        count((*space.stem_layers(resolution), *space.head_layers(resolution)))
        for resolution in space.resolutions
    ]
    parts = tuple(
        np.array(
            [
                [[count(like_layers(space, resolution, stage, one))] for one in choices]
                for resolution in space.resolutions
            ],
            np.float64,
        )
        for stage, choices in enumerate(grid.choices)
    )
    return Sums(np.array(offsets, np.float64)[:, None], parts)


def _check_known(predictors: Predictors, kind: ResponseKind) -> None:
    if kind.name not in predictors.counts and kind.name not in predictors.fitted:
        raise PredictorError(
            f"There is no predictor of {kind.name}: the target gave no measurements of it.",
            "Fit again: edgenas fit RUN; or leave it out of the objectives and constraints.",
        )


def _check_not_constant(columns: Sequence[Column], sums: Sums) -> None:
    least = sums.offsets + sum(part.min(axis=1) for part in sums.parts)
    greatest = sums.offsets + sum(part.max(axis=1) for part in sums.parts)
    for column, low, high in zip(columns, least.min(axis=0), greatest.max(axis=0), strict=True):
        if column.response.goal is not None and high - low <= 1e-9 * max(abs(high), abs(low)):
            raise InputError(
                f"The objective {column.kind.name} is {column.kind.shown(high)} for every network "
                "of the space: there is nothing to optimize.",
                f"Leave out --objective {column.kind.name}.",
            )
