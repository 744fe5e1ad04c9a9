"""A dashboard that is served, and what its server answers."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgenas.runs.dashboard.server import ADDRESS, application, listening

TOKEN = "a-token-of-the-test"
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str


@dataclass(frozen=True)
class Dashboard:
    """A dashboard at work."""

    port: int

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.port}/{TOKEN}/"

    def get(self, path: str, *, method: str = "GET", host: str = "", token: str = TOKEN) -> Answer:
        """Ask for a path behind the token, as it stands."""
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=_TIMEOUT_S)
        try:
            headers = {"Host": host} if host else {}
            connection.request(method, f"/{token}/{path}", headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8")
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, text)
        finally:
            connection.close()

    def states(self) -> Iterator[dict[str, Any]]:
        """Yield what the folder is at, each time that it is told."""
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", f"/{TOKEN}/events")
            answer = connection.getresponse()
            assert answer.status == 200
            while line := answer.readline():
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])
        finally:
            connection.close()


@contextmanager
def served(folder: Path) -> Iterator[Dashboard]:
    """Serve the dashboard of a folder while the block runs; skip the test where nothing serves."""
    uvicorn = pytest.importorskip("uvicorn", reason="needs pip install 'edgenas[dashboard]'")
    listener = listening(0)
    config = uvicorn.Config(
        application(folder, TOKEN), log_level="error", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield Dashboard(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(_TIMEOUT_S)
        listener.close()
