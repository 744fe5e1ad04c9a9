"""Several boards at once: the boards work side by side, the host works for one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from edgenas.targets.base import Target

Asked = ParamSpec("Asked")
Result = TypeVar("Result")


class InTurn:
    """A target that passes the turn on while it works, so that other boards are worked for.

    The steps are not made for several threads (plots, warnings and random numbers have state that
    is shared): only one holds the turn at a time.
    """

    def __init__(self, target: Target, turn: threading.Lock) -> None:
        self.name = target.name
        self.engine = target.engine
        self.probe = _passing_on(turn, target.probe)
        self.clean = _passing_on(turn, target.clean)
        self.measure = _passing_on(turn, target.measure)
        self.infer = _passing_on(turn, target.infer)
        self._target = target

    @property
    def scheme(self) -> str:
        return self._target.scheme


def _passing_on(turn: threading.Lock, ask: Callable[Asked, Result]) -> Callable[Asked, Result]:
    @wraps(ask)
    def asked(*args: Asked.args, **kwargs: Asked.kwargs) -> Result:
        turn.release()
        try:
            return ask(*args, **kwargs)
        finally:
            turn.acquire()

    return asked
