"""Bars: several at once in one display, each left behind when it is done."""

from __future__ import annotations

import io
import re
import threading

import pytest

from edgenas.cli.console import Terminal
from edgenas.cli.progress_bars import Bars
from edgenas.core.progress import Labelled


@pytest.fixture
def bars() -> Bars:
    made = Bars()
    made.console = Terminal(file=io.StringIO(), force_terminal=True, width=100)
    return made


def drawn(bars: Bars) -> str:
    """What was written, without the codes that move the cursor and colour."""
    assert isinstance(bars.console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", bars.console.file.getvalue())


def test_tasks_of_two_threads_share_one_display(bars: Bars) -> None:
    both = threading.Barrier(2, timeout=20)
    displays = []

    def work(label: str) -> None:
        with Labelled(bars, label).task("Measuring", 2) as task:
            both.wait()
            displays.append(bars._live)
            task.advance(2)
            task.note("done [here]")
            both.wait()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("pi", "[nano]")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert displays[0] is displays[1] is not None
    assert bars._live is None
    last = drawn(bars)[-800:]
    for name in ("pi", "[nano]"):  # a name in brackets is text, not markup
        assert re.search(rf"Measuring for {re.escape(name)} .*100 %.*done \[here\]", last)


def test_one_display_ends_before_the_next_begins(bars: Bars) -> None:
    for title in ("Training", "Evaluating"):
        with bars.task(title, 1) as task:
            task.advance()
        assert bars._live is None
    assert drawn(bars).index("Training") < drawn(bars).index("Evaluating")


def test_a_failing_task_ends_its_bar(bars: Bars) -> None:
    with pytest.raises(ZeroDivisionError), bars.task("Measuring", 1):
        raise ZeroDivisionError
    assert bars._live is None


def test_a_label_keeps_its_own_warnings(bars: Bars) -> None:
    one, other = Labelled(bars, "pi"), Labelled(bars, "nano")
    one.warning("It is hot.")
    assert (one.warnings, other.warnings) == (["It is hot."], [])
    assert bars.warnings == ["pi: It is hot."]
    assert "warning: pi: It is hot." in drawn(bars)
