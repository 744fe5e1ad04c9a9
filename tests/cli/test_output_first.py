"""An output that cannot be written is found before the inputs are read, by every command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from edgenas import __version__
from edgenas.cli.main import edgenas
from edgenas.core.errors import InputError
from edgenas.core.files.run_folder import RunFolder
from edgenas.runs.config import begun, write_config
from helpers import cli

MINE = "my notes\n"
# What is read is nothing that any command could use, so that reading it would be another error.
# OUT stands for the output.
COMMANDS = {
    "bench --png": "bench model.onnx --png OUT.png",
    "compare -o": "compare run other -o OUT.html",
    "deploy --to": "deploy run --to OUT",
    "deploy --to, of a file": "deploy model.onnx --to OUT",
    "explain --png": "explain run --png OUT",
    "explain --png, of a table": "explain ms.json --png OUT",
    "fit -o": "fit table.csv --response ms -o OUT.json",
    "grow --out": "grow model.onnx --data imagefolder:none --max-latency 1ms --out OUT",
    "package": "package OUT.safetensors --data imagefolder:none",
    "predict -o": "predict ms.json table.csv -o OUT.csv",
    "quantize -o": "quantize model.onnx --inputs none.npz -o OUT.onnx",
    "report --animate": "report run --animate OUT.svg",
    "roofline --png": "roofline model.onnx --png OUT.png",
    "roofline --png, of a run": "roofline run --png OUT.png",
    "search --out": "search --data imagefolder:none --out OUT",
    "shrink --out": "shrink model.onnx --data imagefolder:none --out OUT",
    "train -o": "train --data imagefolder:none -o OUT.safetensors",
}
SYSTEM = Path("/proc")  # in which not even root makes files


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have inputs in the working folder, and see afterwards that nothing else came to be there."""
    monkeypatch.chdir(tmp_path)
    for name in ("model.onnx", "ms.json", "table.csv", "notes"):
        (tmp_path / name).write_text(MINE)
    for name in ("run", "other"):
        (tmp_path / name).mkdir()
        write_config(RunFolder(tmp_path / name), begun({}), __version__)
    yield tmp_path
    ours = ("run.json", ".mine.safetensors.lock")
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name not in ours]
    assert {path.read_text() for path in files} == {MINE}


def refusal(command: str, out: str) -> str:
    """Return what the command says of its output: one line, and what to do."""
    done = cli.edgenas(*COMMANDS[command].replace("OUT", out).split())
    assert done.returncode == InputError.exit_code, done.stderr
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("edgenas: "))
    return said.removeprefix("edgenas: ")


def test_every_command_with_an_output_is_here() -> None:
    context = click.Context(edgenas)
    having = set()
    for name in edgenas.list_commands(context):
        command = edgenas.get_command(context, name)
        assert command is not None
        options = {option for one in command.params for option in one.opts}
        if options & {"--overwrite", "--out", "--output", "--to"}:
            having.add(name)
    assert having == {command.split()[0] for command in COMMANDS.values()}


@pytest.mark.skipif(not SYSTEM.is_dir(), reason="there is no folder that nobody may write")
@pytest.mark.parametrize("command", COMMANDS)
def test_folder_that_cannot_be_written(command: str) -> None:
    out = str(SYSTEM / "edgenas" / "out")
    said = refusal(command, out)
    assert said.startswith("Cannot write") and out in said


@pytest.mark.parametrize("command", COMMANDS)
def test_file_where_a_folder_has_to_be(command: str) -> None:
    said = refusal(command, "notes/out")
    assert said.startswith("Cannot write") and "notes/out" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_file_of_the_users(command: str, folder: Path) -> None:
    name = next(word for word in COMMANDS[command].split() if word.startswith("OUT"))
    mine = folder / name.replace("OUT", "mine")
    if command == "package":
        mine.write_text(MINE)
        mine = folder / "mine.evaluations.json"
    mine.write_text(MINE)
    assert mine.name in refusal(command, "mine")


def test_plots_of_a_run_that_are_the_users(folder: Path) -> None:
    (folder / "run" / "predictors").mkdir()
    (folder / "run" / "predictors" / "latency_ms.json").write_text(MINE)
    (folder / "plots").mkdir()
    (folder / "plots" / "latency_ms-effects.png").write_text(MINE)
    assert "latency_ms-effects.png" in refusal("explain --png", "plots")


def test_plots_of_a_table_that_are_the_users(folder: Path) -> None:
    (folder / "plots").mkdir()
    (folder / "plots" / "shares.png").write_text(MINE)
    assert "shares.png" in refusal("explain --png, of a table", "plots")
