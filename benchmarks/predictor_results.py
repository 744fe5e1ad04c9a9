"""Results of a comparison, kept as they come: one JSON line for a method on one split."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Result:
    """Held-out errors of `method` fitted on `n` rows of a split of a task.

    rmse : in the response's unit. seconds : of CPU, for the fit. coverage : share of unseen rows
    inside the 90 % intervals, None where there are none; thirds, predicted_thirds : of those of the
    lowest, middle and highest responses, or predictions. width : mean of the intervals' widths.
    promised : the RMSE on rows left out that the fit itself says, over the one on the unseen rows.
    """

    task: str
    n: int
    split: int
    method: str
    rmse: float
    mape: float
    kendall_tau: float
    seconds: float
    coverage: float | None = None
    thirds: tuple[float, ...] = ()
    predicted_thirds: tuple[float, ...] = ()
    width: float | None = None
    promised: float | None = None

    @property
    def key(self) -> tuple[str, int, int, str]:
        return self.task, self.n, self.split, self.method


class Results:
    """The results in a file, which is added to; without a file they are only kept in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.known: dict[tuple[str, int, int, str], Result] = {}
        if path is not None and path.exists():
            for line in path.read_text("utf-8").splitlines():
                if line.endswith("}"):  # a line that was cut off is done again
                    found = Result(**json.loads(line))
                    self.known[found.key] = found

    def add(self, result: Result) -> None:
        self.known[result.key] = result
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(result)) + "\n")

    def forget(self, methods: Collection[str]) -> None:
        """Leave out all that these methods did, to do it again."""
        self.known = {k: v for k, v in self.known.items() if v.method not in methods}
        if self._path is not None:
            lines = [json.dumps(asdict(result)) + "\n" for result in self.known.values()]
            self._path.write_text("".join(lines), "utf-8")

    def tasks(self) -> list[str]:
        return list(dict.fromkeys(result.task for result in self.known.values()))

    def sizes(self, task: str) -> list[int]:
        return sorted({result.n for result in self.known.values() if result.task == task})

    def of(self, task: str, n: int) -> dict[str, dict[int, Result]]:
        """Return the results by method and split."""
        here: dict[str, dict[int, Result]] = {}
        for result in self.known.values():
            if (result.task, result.n) == (task, n):
                here.setdefault(result.method, {})[result.split] = result
        return here


def median(results: Iterable[Result], field: str) -> float:
    return float(np.median([getattr(result, field) for result in results]))


def by_method(results: Results, methods: Sequence[str]) -> str:
    """Return Markdown, a line for each task and number of rows: the median RMSE of each method, the
    least in bold."""
    lines = [f"| table, n | {' | '.join(methods)} |", "|---" * (1 + len(methods)) + "|"]
    least = dict.fromkeys(methods, 0)
    for task in results.tasks():
        for n in results.sizes(task):
            known = results.of(task, n)
            errors = {x: median(known[x].values(), "rmse") for x in methods if x in known}
            best = min(errors, key=errors.__getitem__)
            least[best] += 1
            cells = [f"{errors[x]:.3g}" if x in errors else "-" for x in methods]
            cells = [
                f"**{cell}**" if x == best else cell for x, cell in zip(methods, cells, strict=True)
            ]
            lines.append(f"| {task}, {n} | {' | '.join(cells)} |")
    counts = ", ".join(f"{method} {count}" for method, count in least.items() if count)
    return "\n".join([*lines, "", f"Least error of {sum(least.values())} cells: {counts}."])
