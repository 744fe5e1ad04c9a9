"""The terminal: nothing that is printed acts on it; output that is lost ends in no traceback."""

from __future__ import annotations

import ast
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.table import Table

from edgenas.cli import card
from edgenas.cli.console import Terminal
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import search_result
from edgenas.cli.terminal import emit_json
from edgenas.core.printable import printable

ROOT = Path(__file__).parents[2]
CLI = ROOT / "edgenas" / "cli"
EDGENAS = [sys.executable, "-m", "edgenas"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
# what would set the title, write the clipboard, colour, forge a line, and turn the direction
EVIL = "pi\x1b]0;x\x07\x1b]52;c;eA==\x07\x1b[31m\nPASS: 1 ms\r\x9b31m\u202e[/red] @[::1] :smile:"
SHOWN = r"pi\x1b]0;x\x07\x1b]52;c;eA==\x07\x1b[31m\nPASS: 1 ms\r\x9b31m\u202e[/red] @[::1] :smile:"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pi@[fe80::1]", "pi@[fe80::1]"),
        ("latency [ms]", "latency [ms]"),
        ("naïve 樹莓派 5\u00a0ms … ≤", "naïve 樹莓派 5\u00a0ms … ≤"),
        (EVIL, SHOWN),
        (
            "\x00\x7f\x85\u2028\u2029\u2066\u200e\ufeff",
            r"\x00\x7f\x85\u2028\u2029\u2066\u200e\ufeff",
        ),
        (os.fsdecode(b"run-\xff"), r"run-\udcff"),
        ("\U000e0041", r"\U000e0041"),  # an invisible letter
    ],
)
def test_what_a_terminal_acts_on_is_shown_by_its_number(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_texts_in_tables_titles_and_rules_are_shown_as_they_are() -> None:
    out = io.StringIO()
    console = Terminal(file=out, width=400)
    table = Table(title=EVIL)
    table.add_column(EVIL)
    table.add_row(EVIL)
    console.print(table)
    console.print(EVIL, style="red")
    console.rule(EVIL)
    assert out.getvalue().count(SHOWN) == 5
    assert not {"\x1b", "\x07", "\r", "\x9b", "\u202e"} & set(out.getvalue())


def test_words_of_a_board_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    card.card({"target": EVIL, "sensors": [EVIL], "problems": [EVIL], "offers": {}})
    out = capsys.readouterr().out
    assert out.count(r"pi\x1b]0;x\x07\x1b]52;c;eA==\x07\x1b[31m\nPASS:") == 3  # cells are wrapped
    assert not {"\x1b", "\x07", "\r", "\x9b", "\u202e"} & set(out)


def test_progress_of_a_board_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    with bars.task(EVIL, 1):
        bars.message(EVIL)
        bars.warning(EVIL)
    assert capsys.readouterr().err.splitlines() == [SHOWN, SHOWN, f"warning: {SHOWN}"]
    bars.console = Terminal(file=io.StringIO(), force_terminal=True, width=400)
    with bars.task(EVIL, 1) as task:
        task.note(EVIL)
    assert isinstance(bars.console.file, io.StringIO)
    drawn = bars.console.file.getvalue()
    assert drawn.count(SHOWN) >= 2
    assert not {"\x07", "\x9b", "\u202e"} & set(drawn) and "\x1b]" not in drawn


def test_json_holds_texts_whole(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"name": EVIL + "\x7f"})
    written = capsys.readouterr().out
    assert json.loads(written) == {"name": EVIL + "\x7f"}
    assert written.isascii() and all(c == "\n" or c.isprintable() for c in written)


def test_only_one_module_writes_to_the_terminal() -> None:
    """Everything else goes through `say`, `emit_json` or `Terminal`, which escape."""
    others = [path for path in CLI.glob("*.py") if path.name not in ("terminal.py", "console.py")]
    assert len(others) > 15
    for path in others:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Name):
                assert node.id not in ("print", "Console"), where
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("echo", "secho", "print_exc", "from_markup"), where
                assert ast.unparse(node) not in ("sys.stdout", "sys.stderr"), where


# ---------------------------------------------------------------- what cannot be written


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(
        [*EDGENAS, *arguments], env=ENVIRONMENT, check=False, timeout=120, **streams
    )  # type: ignore[call-overload]


@pytest.mark.parametrize("arguments", [["target", "list"], ["space", "mbv3-tiny"], ["--help"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_device_as_stdout_is_one_line(
    arguments: list[str], unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENVIRONMENT, "PYTHONUNBUFFERED", unbuffered)
    with Path("/dev/full").open("wb") as full:
        done = run(*arguments, stdout=full)
    assert done.returncode == 2
    assert done.stderr.startswith(
        b"edgenas: Cannot write the output: No space left on device.\n"
    ), done.stderr
    assert done.stderr.count(b"\n") == 2


@pytest.mark.parametrize("arguments", [["target", "list", "--json"], ["space", "mbv3-tiny"]])
def test_closed_pipe_ends_quietly(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = run(*arguments, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_error_into_a_closed_pipe_keeps_its_code(json_option: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = run("probe", "no-such-target", *json_option, stdout=write)
    os.close(write)
    assert done.returncode == 2
    assert done.stderr.startswith(b"edgenas: There is no target 'no-such-target'.\n")
    assert b"Traceback" not in done.stderr


def test_stderr_that_is_full_costs_nothing_but_its_words() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run("probe", "no-such-target", "--json", stderr=full)
    assert done.returncode == 2
    assert json.loads(done.stdout)["status"] == "error"


@pytest.mark.slow  # by default: the next two, without a search
def test_interrupt_with_json_into_a_closed_pipe_keeps_its_code(tmp_path: Path) -> None:
    read, write = os.pipe()
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored behind a shell's back
    process = subprocess.Popen(
        [*EDGENAS, "search", "--json", "--out", str(tmp_path / "run"), "--epochs", "500"],
        stdout=write,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    signal.signal(signal.SIGINT, before)
    os.close(write)
    os.close(read)
    assert process.stderr is not None
    for line in process.stderr:
        if b"Training the supernet" in line:
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 130
    assert b"edgenas: Interrupted.\n" in rest
    assert b"Traceback" not in rest and b"BrokenPipe" not in rest


DROPPED = {
    "by Python": """
class Finalised:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def work(*_, **__):
    Finalised()
    time.sleep(100)
""",
    "by a library": """
def work(*_, **__):
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with TotalProgress().task("Training the supernet", 100) as task:
        for _ in range(100):
            time.sleep(1)
            task.advance()
""",
}


@pytest.mark.parametrize("work", DROPPED.values(), ids=DROPPED)
def test_an_interrupt_that_was_dropped_ends_a_command_nevertheless(work: str) -> None:
    """With --json into a closed pipe, too."""
    head = (
        "import contextlib, signal, time\n"
        "from edgenas.cli import main\n"
        "from edgenas.cli.total_progress import TotalProgress\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    )
    script = f"{head}{work}\nmain.edgenas.main = work\nmain.run()\n"
    command = [sys.executable, "-c", script, "search", "--json"]
    read, write = os.pipe()
    os.close(read)
    streams = {"stdout": write, "stderr": subprocess.PIPE}
    done = subprocess.run(command, env=ENVIRONMENT, check=False, timeout=60, **streams)  # type: ignore[call-overload]
    os.close(write)
    assert done.returncode == 130, done.stderr
    assert b"edgenas: Interrupted.\n" in done.stderr
    assert b"Traceback" not in done.stderr and b"BrokenPipe" not in done.stderr


def test_what_the_encoding_lacks_is_shown_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "PYTHONIOENCODING", "latin-1")
    done = run("probe", "naïve-樹")
    assert done.returncode == 2
    assert "edgenas: There is no target 'naïve-\\u6a39'.\n".encode("latin-1") in done.stderr
    assert run("space", "mbv3-tiny").returncode == 0


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_stream_that_is_closed_is_no_error(stream: str) -> None:
    number = {"stdout": 1, "stderr": 2}[stream]
    done = run("space", "mbv3-tiny", preexec_fn=lambda: os.close(number))
    assert done.returncode == 0
    assert done.stdout or stream == "stdout"


@pytest.mark.parametrize(
    ("fit", "said"),
    [("pad", "images: the upright image, centred between black bars (--fit pad)"), ("crop", None)],
)
def test_a_search_ends_with_how_images_are_fitted_unless_it_is_the_default(
    fit: str, said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    winner = {
        "measured_latency_ms": {"median": 1.0},
        "synthetic_images": False,
        "device_accuracy": 0.9,
        "n_images": 40,
        "model": "m.onnx",
        "parity": None,
        "input": {"fit": fit},
    }
    absent = dict.fromkeys(("choice", "engine_decision", "warm_start", "report"))
    empty: dict[str, list[str]] = {"reservations": [], "candidates": [], "pathologies": []}
    search_result(
        {
            **absent,
            **empty,
            "status": "pass",
            "target": "local",
            "constraint": {"latency_ms": 2.0},
            "winner": winner,
        }
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("images:")] == ([said] if said else [])
