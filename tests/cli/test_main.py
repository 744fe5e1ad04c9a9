"""The command line: help, JSON, and one clear line for everything that is asked wrongly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import edgenas as package
from edgenas.cli.main import COMMANDS, SUMMARIES, run
from edgenas.cli.main import edgenas as edgenas_group
from edgenas.core.errors import InputError
from edgenas.runs.results import Run
from helpers.cli import edgenas

ROOT = Path(__file__).parents[2]
PUBLISHED = ["--predictors", "foxnas-192px", "--space", "foxnas-cpu", "--max-latency", "55ms"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = edgenas(command, "--help")
    assert done.returncode == 0
    assert f"edgenas {command}" in done.stdout.split("Example", 1)[1]
    without = command == "completion" or "Commands:" in done.stdout  # a script, or a group
    assert without or "--json" in done.stdout


def test_the_root_help_says_what_each_command_does_in_one_line() -> None:
    shown = edgenas("--help").stdout
    assert set(SUMMARIES) == set(COMMANDS)
    for name, summary in SUMMARIES.items():
        assert f"  {name:<12}{summary}\n" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_quiet_and_verbose_are_taken_anywhere(tmp_path: Path) -> None:
    for arguments in (["--quiet", "plugins"], ["plugins", "--verbose"]):
        assert edgenas(*arguments).returncode == 0


def test_windows_is_told_to_use_wsl(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(ImportError, match="WSL"):
        package.__getattr__("search")


def test_a_step_shows_what_it_works_by_and_takes_what_a_new_run_needs(tmp_path: Path) -> None:
    assert "--epochs" not in edgenas("measure", "--help").stdout
    refused = edgenas("measure", str(tmp_path / "run"), "--epochs", "0")
    assert (refused.returncode, "epochs" in refused.stderr) == (2, True), refused.stderr
    assert "No such option" not in refused.stderr


def test_the_heavy_libraries_are_not_loaded_for_help() -> None:
    code = (
        "import sys; from edgenas.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'statsmodels', 'onnx', 'altair', 'vl_convert', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["serach"], "Did you mean 'search'"),
        (["search", "--sampels", "3"], "--samples"),
        (["search", "--space", "mbv3-tny"], "Did you mean 'mbv3-tiny'"),
        (["search", "--optimizer", "exat"], "Did you mean 'exact'"),
        (["search", "--target", "locl"], "Did you mean 'local'"),
        (["search", "--data", "digit"], "Did you mean 'digits'"),
        (["search", "--data", "imagefolder:/no/such/folder"], "/no/such/folder"),
        (["search", "--max-latency", "fast"], "2ms"),
        (["search", "--samples", "2"], "--samples must be 8 or more"),
        (["search", "--out", "/proc/nothing"], "/proc/nothing"),
        (["search", "--resume"], "no run to resume"),
        (["fit", "nothing-here"], "not a run folder"),
        (["optimize"], "run folder"),
        (["optimize", "--predictors", "foxnas-192"], "Did you mean 'foxnas-192px'"),
        (["optimize", "--predictors", "foxnas-192px"], "limit"),
        (["optimize", "--predictors", "foxnas-192px", "--max-latency", "9ms"], "foxnas-cpu"),
    ],
)
def test_bad_input_is_one_clear_line(arguments: list[str], expected: str, tmp_path: Path) -> None:
    done = edgenas(*arguments, cwd=tmp_path)
    assert done.returncode not in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert expected in done.stderr, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("train", "run", "--learning-rate", "9"), "--learning-rate is of train -o"),
        (("train", "run", "--augment", "strong"), "--augment is of train -o"),
        (("train", "-o", "f.safetensors", "--constraint", "size<=1kB"), "--constraint is of a run"),
        (("fit", "run", "--response", "latency"), "--response is of a table"),
        (("fit", "table.csv", "--response", "ms", "--device-time", "9s"), "--device-time is of a"),
        (("verify", "--replay", "b.zip", "--max-latency", "3ms"), "--max-latency is of a run"),
        (("optimize", "run", *PUBLISHED), "one of the two"),
        (("optimize", *PUBLISHED, "--top", "2"), "--top is of a run"),
    ],
)
def test_an_option_without_meaning_there_is_refused_not_passed_over(
    arguments: tuple[str, ...], expected: str
) -> None:
    done = CliRunner().invoke(edgenas_group, list(arguments))
    assert isinstance(done.exception, InputError)
    assert expected in done.exception.message


@pytest.mark.parametrize("method", ["exact", "anneal"])
def test_published_predictors_give_the_published_optimum(method: str) -> None:
    done = edgenas(
        *("optimize", "--space", "foxnas-cpu", "--predictors", "foxnas-192px"),
        *("--max-latency", "55ms", "--method", method, "--seed", "1", "--json"),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    # known answer: the data's README, by dynamic programming outside this project
    assert document["objective"] == pytest.approx(73.678681, abs=1e-6)
    assert document["latency_ms"] == pytest.approx(54.71517, abs=1e-5)
    assert document["optimal"] is True
    assert set(document) >= {"architecture", "method", "gap", "evaluations", "seconds"}


@pytest.mark.parametrize("method", ["exact", "anneal"])
def test_an_infeasible_limit_says_the_least_that_exists(method: str) -> None:
    done = edgenas(
        *("optimize", "--space", "foxnas-cpu", "--predictors", "foxnas-192px"),
        *("--max-latency", "20ms", "--method", method, "--json"),
    )
    assert done.returncode == 3
    assert "27.98" in done.stderr
    assert "192px" in done.stderr  # which network has it
    assert json.loads(done.stdout)["status"] == "error"


@pytest.mark.parametrize(("status", "code"), [("pass", 0), ("fail", 1)])
def test_the_exit_code_of_a_search_is_its_verdict(
    status: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {"status": status}
    finished = Run(Path("run"), document=document)
    monkeypatch.setattr("edgenas.search", lambda **options: finished)
    monkeypatch.setattr(sys, "argv", ["edgenas", "search", "--json"])
    monkeypatch.setattr(signal, "signal", lambda *arguments: None)
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == code
    assert json.loads(capsys.readouterr().out) == document
