"""The error tree. Every error that edgenas raises on purpose derives from `EdgeNasError`.

EdgeNasError
├── InputError            what the user asked for is wrong (exit code 2)
│   ├── PluginError       no plug-in of that name
│   ├── DataError         the images cannot be used
│   ├── RunFolderError    the run folder is missing, foreign, newer, locked or damaged
│   └── PredictorError    the rows or the predictor file cannot be used
├── InfeasibleError       no network of the space meets the constraint (exit code 3)
├── TargetError           the board cannot be reached or cannot measure (exit code 4)
│   └── MeasurementError  what the board sent back cannot be used
├── TrainingError         training cannot go on (exit code 5)
├── ExportError           a network cannot be exported (exit code 6)
└── NotVerifiedError      what is there now was not verified (exit code 8)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

ON_WINDOWS = "edgenas runs on Linux and macOS. On Windows, use it in WSL: wsl --install"
MOST_LISTED = 20
_LEAST_LETTERS = 3  # of an abbreviation


class EdgeNasError(Exception):
    """An expected failure: what happened, and the next command to try.

    Parameters
    ----------
    message : what happened, to which target and step.
    hint : the next thing to try, as a sentence or a command; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class InputError(EdgeNasError):
    exit_code = 2


class PluginError(InputError):
    pass


class DataError(InputError):
    pass


class RunFolderError(InputError):
    pass


class PredictorError(InputError):
    pass


class InfeasibleError(EdgeNasError):
    """No network meets the limit.

    least_cost : the least that exists, in the limit's unit; None where it is not known.
    least_point : what has it, as the optimizer's indices; None where it is not known.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        least_cost: float | None = None,
        least_point: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.least_cost = least_cost
        self.least_point = least_point


class TargetError(EdgeNasError):
    exit_code = 4


class MeasurementError(TargetError):
    pass


class TrainingError(EdgeNasError):
    exit_code = 5


class ExportError(EdgeNasError):
    exit_code = 6


class NotVerifiedError(EdgeNasError):
    exit_code = 8


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean 'x'? Known: …" for an unknown `name`; a long list is cut."""
    names = sorted(known)
    close = closest(name, names)
    suggestion = f"Did you mean '{close}'? " if close else ""
    listed = names if len(names) <= MOST_LISTED else [*names[:MOST_LISTED], "…"]
    return f"{suggestion}Known: {', '.join(listed)}."


def closest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that is spelt most like `name`, or else the shortest that abbreviates to it.

    "pi4" has too few letters in common with "raspberrypi4" to be like it, but they are all there,
    in order. None where neither is found.
    """
    by_letters = {_letters(one): one for one in sorted(names, reverse=True)}
    wanted = _letters(name)
    alike = difflib.get_close_matches(wanted, by_letters, n=1, cutoff=0.5)
    if alike:
        return by_letters[alike[0]]
    longer = [letters for letters in by_letters if _abbreviates(wanted, letters)]
    return by_letters[min(longer, key=lambda one: (len(one), one))] if longer else None


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum()) or name


def _abbreviates(short: str, long: str) -> bool:
    rest = iter(long)
    return len(short) >= _LEAST_LETTERS and all(letter in rest for letter in short)
