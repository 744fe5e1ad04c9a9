"""A board by its name: what is asked of it is asked again when the link was lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from edgenas.core.errors import MeasurementError
from edgenas.core.records import from_json
from edgenas.targets.config import BoardSetup
from edgenas.targets.remote.connection import AnswerLimits, Connection
from edgenas.targets.remote.ssh_config import Endpoint
from edgenas.targets.remote.transport import LinkLostError, Login, connect
from edgenas.targets.waiting import Waited

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_CONNECT_S = 10.0  # that one more try may take, besides the silence it bears

Kind = TypeVar("Kind")
Result = TypeVar("Result")


class Board:
    """Connects when it is first asked, and again when the link was lost.

    waiting : is told in words when the link is lost, and an empty text when it is back.
    """

    def __init__(self, name: str, server: Endpoint, login: Login, setup: BoardSetup) -> None:
        self.name = name
        self.silence_s = setup.silence_s
        self.waiting: Callable[[str], None] = lambda text: None
        self._server = server
        self._login = login
        self._setup = setup
        self._connection: Connection | None = None
        self._known = False

    def ask(
        self,
        do: str,
        kind: type[Kind],
        *,
        payload: bytes = b"",
        timeout_s: float | None = None,
        **fields: Any,
    ) -> tuple[Kind, bytes]:
        """Return the agent's answer, checked to be a `kind`, and its payload.

        Raises
        ------
        TargetError : no link, no login, or the board could not do it.
        """
        answer, content = self.retrying(
            lambda connection: connection.ask(do, payload, timeout_s or self.silence_s, fields)
        )
        what = f"The answer of target '{self.name}' to '{do}'"
        return from_json(answer, kind, what, MeasurementError), content

    def retrying(self, action: Callable[[Connection], Result]) -> Result:
        """Return what `action` does with a connection; after a cut it is done again.

        What counts as waiting begins when the link is lost, and is made of tries: a host that was
        itself stopped for long tries again.
        """
        waited, pause, try_s = Waited(), _FIRST_PAUSE_S, 0.0
        while True:
            try:
                with waited.stretch(try_s):
                    result = action(self._connected())
                if pause > _FIRST_PAUSE_S:
                    self.waiting("")
                return result
            except LinkLostError as lost:
                self.close()
                if not self._known:
                    raise
                if waited.seconds + pause > self._setup.reconnect_s:
                    raise LinkLostError(
                        f"Target '{self.name}' has not answered for {waited.seconds:.0f} s. "
                        f"{lost.message}",
                        "What was measured is kept: run the same command again with --resume.",
                    ) from lost
                self.waiting(f"no link to {self.name}; trying again in {pause:g} s")
                waited.sleep(pause)
                try_s = _CONNECT_S + self.silence_s
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connected(self) -> Connection:
        if self._connection is None:
            link = connect(self._server, self._login)
            try:
                setup = self._setup
                limits = AnswerLimits(setup.silence_s, setup.answer_mb, setup.slowest_kb_s)
                self._connection = Connection(
                    self.name, link, setup.python, setup.cache_dir, limits
                )
            except BaseException:
                link.close()
                raise
            self._known = True
        return self._connection
