"""What a board's hardware says of how slow it is, learnt from boards with known predictors.

log(mean response on the rows) is regressed by ridge on logarithms of hardware parameters. Boards
are few, so which parameters and which ridge is chosen by the error on boards left out, and whether
the whole is used at all by that error with the choice repeated for each board that is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from edgenas.core.errors import PredictorError

PARAMETERS = ("cores", "clock_ghz", "memory_gb_s", "int8_dot_product")
NEW = "this"
RIDGES = (0.01, 0.1, 1.0)
LEAST_BOARDS = 4
# One useless parameter takes less than this off the squared error of a few boards, nearly always.
WORTHWHILE = 0.5

Boards = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Expected:
    """slopes : float64 [s], of the new board's response over each prior's; None if not used.

    spread : standard error of the logarithm of the scale, of boards left out.
    sentence : what was found, and why it is not used if it is not.
    """

    slopes: np.ndarray | None
    sentence: str
    spread: float = 0.0


def expect(names: Sequence[str], sources: np.ndarray, boards: Boards) -> Expected:
    """Return what hardware says of the new board's scale.

    names : of the priors, s of them. sources : their predictions of the new rows, float64 [n, s].
    boards : the parameters of each prior's board by its name, and of the new one as "this".

    Raises
    ------
    PredictorError : a board is missing, or a parameter is unknown or no positive number.
    """
    rows = np.array([_row(name, boards) for name in (*names, NEW)])
    means = sources.mean(axis=0)
    told = [i for i in range(len(PARAMETERS)) if np.isfinite(rows[:, i]).all()]
    told = [i for i in told if np.ptp(rows[:-1, i]) > 0]
    refused = "Hardware parameters are not used: "
    if len(names) < LEAST_BOARDS:
        return Expected(None, f"{refused}{len(names)} priors are fewer than {LEAST_BOARDS}.")
    if not told or (means <= 0).any():
        why = "no parameter is given for all and differs" if not told else "a prior is not positive"
        return Expected(None, f"{refused}{why}.")
    known, new, logs = rows[:-1, told], rows[-1, told], np.log(means)
    error = np.mean(np.square(_left_out(known, logs)))
    without = np.mean(np.square(logs - logs.mean())) * (len(logs) / (len(logs) - 1)) ** 2
    errors = f"the scale of boards left out is off by a factor {np.exp(error**0.5):.3g} with them"
    errors += f", {np.exp(without**0.5):.3g} without"
    chosen, ridge = _choose(known, logs)
    if error > WORTHWHILE * without or not chosen:
        return Expected(None, f"{refused}{errors}.")
    expected = _predicted(known[:, chosen], logs, new[list(chosen)], ridge)
    named = ", ".join(PARAMETERS[told[i]] for i in chosen)
    return Expected(
        np.exp(expected) / means, f"Scale expected from {named}: {errors}.", float(error**0.5)
    )


def _row(name: str, boards: Boards) -> list[float]:
    """Return logarithms of a board's parameters; the dot product as 0 or 1; nan if not given."""
    if name not in boards:
        raise PredictorError(
            f"The hardware of '{name}' is not given.",
            f"Give each prior, by the name of its file, and '{NEW}' a table of "
            f"{', '.join(PARAMETERS)}.",
        )
    found = []
    if not isinstance(boards[name], Mapping) or set(boards[name]) - set(PARAMETERS):
        raise PredictorError(f"The hardware of '{name}' may say {', '.join(PARAMETERS)} only.")
    for parameter in PARAMETERS:
        value = boards[name].get(parameter, np.nan)
        if parameter == "int8_dot_product":
            value = float(bool(value)) if isinstance(value, (bool, int)) else value
            found.append(value)
            continue
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
            raise PredictorError(f"'{parameter}' of '{name}' is no positive number: {value!r}.")
        found.append(float(np.log(value)))
    return found


def _choose(known: np.ndarray, logs: np.ndarray) -> tuple[tuple[int, ...], float]:
    """Return the parameters and the ridge with the least error on boards left out."""
    boards, p = known.shape
    best: tuple[float, tuple[int, ...], float] = (float(np.var(logs)) * 2, (), 1.0)
    for size in range(1, min(p, boards - 2) + 1):
        for chosen in combinations(range(p), size):
            for ridge in RIDGES:
                errors = [
                    logs[i]
                    - _predicted(known[keep][:, chosen], logs[keep], known[i, chosen], ridge)
                    for i, keep in enumerate(~np.eye(boards, dtype=bool))
                ]
                best = min(best, (float(np.mean(np.square(errors))), chosen, ridge))
    return best[1], best[2]


def _left_out(known: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Return errors of each board as predicted by all that the others choose, float64 [s]."""
    errors = np.empty(len(logs))
    for i, keep in enumerate(~np.eye(len(logs), dtype=bool)):
        chosen, ridge = _choose(known[keep], logs[keep])
        part = list(chosen)
        errors[i] = logs[i] - _predicted(known[keep][:, part], logs[keep], known[i, part], ridge)
    return errors


def _predicted(known: np.ndarray, logs: np.ndarray, new: np.ndarray, ridge: float) -> float:
    mean, spread = known.mean(axis=0), known.std(axis=0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-12)
    rows = (known - mean) * scale
    slopes = np.linalg.solve(
        rows.T @ rows + ridge * np.eye(rows.shape[1]), rows.T @ (logs - logs.mean())
    )
    return float(logs.mean() + ((new - mean) * scale) @ slopes)
