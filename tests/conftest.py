"""Settings of the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.boards import loopback
from helpers.boards.loopback import LoopbackBoard

# Two OpenMP threads that contend with other workers make small networks several times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")


# Fixtures that start an SSH server: a test that has one of them is marked `ssh`.
SERVERS = {"board", "password_server", "serve"}


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("ssh")
    # A worker that begins a file of whole searches last would go on alone.
    items.sort(key=lambda item: "runs" not in item.path.parts)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackBoard]:
    """A board on loopback whose key is known to this user, who has a home of their own."""
    if loopback.MISSING:
        pytest.skip(loopback.MISSING)
    made = LoopbackBoard().start()
    home = tmp_path / "host home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "known_hosts").write_text(made.known_hosts_line())
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CACHE_HOME", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.close()
