"""Four boards with addresses of their own, measured at once, each with its own broken cable."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgenas.targets.remote.transport import LinkLostError
from helpers.boards import network
from helpers.boards.at_work import AtWork, passes, wait_until
from helpers.boards.network import NetworkBoard

pytestmark = pytest.mark.ssh


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[NetworkBoard]]:
    if network.missing():
        pytest.skip(network.missing())
    made = [NetworkBoard(number) for number in range(4)]
    try:
        for board in made:
            board.start()
        home = tmp_path / "home"
        (home / ".ssh").mkdir(parents=True)
        known = "".join(board.known_hosts_line() for board in made)
        (home / ".ssh" / "known_hosts").write_text(known)
        monkeypatch.setenv("HOME", str(home))
        for name in ("XDG_CACHE_HOME", "SSH_AUTH_SOCK"):
            monkeypatch.delenv(name, raising=False)
        yield made
    finally:
        for board in made:
            board.close()


def at_work(board: NetworkBoard, folder: Path, **setup: object) -> AtWork:
    folder.mkdir(exist_ok=True)
    work = AtWork(board, folder, seconds=0.04)
    work.target = work.new_target(**setup)
    return work


def test_four_boards_at_once_each_with_its_own_fault(
    boards: list[NetworkBoard], tmp_path: Path
) -> None:
    boards[2].slow_down("256kbit")
    soon = {"silence_s": 2}
    patience = (soon, soon, {}, soon)
    works = [
        at_work(board, tmp_path / f"host {number}", **setup).start()
        for number, (board, setup) in enumerate(zip(boards, patience, strict=True))
    ]
    cut, silent, slow, away = works
    faults = {0: boards[0].cut, 1: boards[1].swallow, 3: boards[3].cut}
    kept: dict[int, list[list[int]]] = {}
    while len(kept) < len(faults):  # whichever has a pass first
        for number in faults.keys() - kept.keys():
            works[number].wait_for_passes(0)
            kept[number] = passes(works[number].journal())
            if kept[number]:
                faults[number]()
            else:
                del kept[number]
        time.sleep(0.02)
    away.give_up_after(2)
    wait_until(lambda: cut.noticed() and silent.noticed())
    assert boards[0].runtimes() and boards[1].runtimes()  # which measure on meanwhile
    boards[0].plug_in()
    boards[1].let_through()
    for work in (cut, silent, slow):
        work.assert_whole()
        assert work.starts() == 1
    assert not slow.noticed()
    with pytest.raises(LinkLostError, match=r"'board 3' has not answered for \d+ s") as given_up:
        away.join()
    assert "--resume" in given_up.value.hint
    boards[3].plug_in()
    resumed = at_work(boards[3], away.folder).start()
    resumed.assert_whole()
    for number, work in {0: cut, 1: silent, 3: resumed}.items():
        assert passes(work.journal())[: len(kept[number])] == kept[number]
