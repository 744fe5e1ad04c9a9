"""What is asked of a run is stored only once it is accepted, and holds from any folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgenas.core.errors import EdgeNasError, InfeasibleError, InputError, PredictorError
from edgenas.core.files.run_folder import RunFolder, write_json
from edgenas.core.progress import Silent
from edgenas.core.records import Latency, Measurement, Outcome, to_json
from edgenas.core.run_options import OPTIONS, option_of
from edgenas.runs import search
from edgenas.runs.boards import search as boards
from edgenas.runs.command_line import command
from edgenas.runs.config import RunConfig, read_config, write_config
from edgenas.runs.frontier.stored import read_front
from edgenas.runs.open import open_run
from edgenas.runs.run import RunContext
from edgenas.runs.store import Store
from helpers.reporting_sample import sample

TABLE = """
kind = "table"
path = "board.csv"
architecture = ["op"]

[responses]
score = { column = "score", goal = "max" }
latency_ms = "ms"
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """An unfinished run: digits were loaded and one network was measured."""
    folder = RunFolder(tmp_path / "run")
    with open_run(folder.path, {"samples": 12}, Silent(), resume=False) as context:
        _ = context.dataset
    timed = Latency(1.0, 1.1, (0.9, 1.1), ((1_000_000,),), (1.0,), converged=True)
    outcome = Outcome("ok", "", "onnxruntime", "1", "CPUExecutionProvider", {}, timed)
    architecture = sample().candidates[0].predicted.architecture
    one = Measurement(architecture, "local", "a" * 64, 9, "random", outcome)
    Store(folder.store).add_measurement(one)
    return folder


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a measured table, which is the working directory."""
    folder = tmp_path / "project"
    folder.mkdir()
    lines = [f"{chr(97 + n)},{n / 20},{1 + n}" for n in range(20)]
    (folder / "board.csv").write_text("\n".join(("op,score,ms", *lines)) + "\n")
    (folder / "board.toml").write_text(TABLE)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "asked",
    [
        {"seed": 4},
        {"space": "mbv3-cpu"},
        {"engine": "litert"},
        {"target": "nowhere.toml"},
        {"supernet": "cifar10"},
        {"reward": "mixed"},
        {"optimizer": "monas", "reward": "none such"},
        {"warm_start": "nowhere"},
        {"warm_start": "RUN"},
        {"objectives": ("enrgy_mj",)},
        {"objectives": ("energy_mj",)},
        {"constraints": ("energy_mj<=3",)},
        {"data": "imagefolder:nowhere"},
        {"data": "OTHER"},
        {"max_latency_ms": -1.0},
    ],
)
@pytest.mark.parametrize("step", ["search", "report"])
def test_what_is_refused_is_not_stored(
    run: RunFolder, tmp_path: Path, asked: dict[str, Any], step: str
) -> None:
    if asked.get("warm_start") == "RUN":
        asked = {"warm_start": str(run.path)}
    if asked.get("data") == "OTHER":  # the same digits, said to be others than the run's
        card = json.loads(run.data.read_text())
        write_json(run.data, {**card, "identity": "b" * 64})
        write_config(run, replace(read_config(run), data="hf:mine"), "0")
        asked = {"data": "digits"}
    before = run.config.read_bytes()
    with pytest.raises(EdgeNasError) as refused:
        if step == "search":
            search.search(run.path, asked, Silent(), resume=True)
        else:
            search.run_step("report", run.path, asked, Silent())
    assert refused.value.exit_code == 2
    assert run.config.read_bytes() == before
    with open_run(run.path, {}, Silent(), resume=True) as context:
        assert context.config.samples == 12


@pytest.mark.parametrize("refusal", [InfeasibleError("none"), PredictorError("too few")])
def test_what_a_step_refuses_is_not_kept(run: RunFolder, refusal: EdgeNasError) -> None:
    before = read_config(run)
    with (
        pytest.raises(type(refusal)),
        open_run(run.path, {"max_latency_ms": 0.001}, Silent(), resume=True) as context,
    ):
        assert read_config(run).max_latency_ms == 0.001  # a killed search goes on with it
        assert context.config.max_latency_ms == 0.001
        raise refusal
    assert read_config(run) == before


def test_the_supernet_named_again_keeps_the_images(tmp_path: Path) -> None:
    run = tmp_path / "run"
    begun = {"supernet": "cifar10", "data": "imagefolder:flowers"}
    with open_run(run, begun, Silent(), resume=False) as context:
        data = context.config.data
    with open_run(run, {"supernet": "cifar10"}, Silent(), resume=True) as context:
        assert context.config.data == data


def test_a_table_refuses_the_options_of_boards_in_every_step(table: Path) -> None:
    search.run_step("probe", table / "run", {"target": "board.toml"}, Silent())
    before = (table / "run" / "run.json").read_bytes()
    with pytest.raises(InputError, match="means nothing"):
        search.run_step("measure", table / "run", {"data": "digits"}, Silent())
    assert (table / "run" / "run.json").read_bytes() == before


def test_several_boards_store_nothing_that_one_refuses(tmp_path: Path) -> None:
    targets = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.toml"
        path.write_text(f'name = "{name}"\nkind = "local"\n')
        targets.append(str(path))
    runs = [tmp_path / "runs" / "boards" / name for name in ("a", "b")]
    stated = {"edgenas_boards": 1, "version": "0", "targets": targets, "asked": {}}
    write_json(tmp_path / "runs" / "boards.json", stated)
    for path, target, space in zip(runs, targets, ("mbv3-tiny", "mbv3-cpu"), strict=True):
        write_config(RunFolder(path), RunConfig(target=target, space=space), "0")
    files = [tmp_path / "runs" / "boards.json", *(path / "run.json" for path in runs)]
    before = [path.read_bytes() for path in files]
    with pytest.raises(InputError, match="mbv3-cpu"):
        boards.search_several(
            tmp_path / "runs", (), {"space": "mbv3-tiny", "top": 1}, Silent(), resume=True
        )
    assert [path.read_bytes() for path in files] == before


def test_an_objective_of_a_tables_own_is_known_from_any_folder(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"target": "board.toml", "objectives": ("score",), "samples": 12, "evaluate": 12}
    for name in ("probe", "measure", "evaluate", "fit", "optimize", "verify"):
        search.run_step(name, table / "run", asked if name == "probe" else {}, Silent())
    monkeypatch.chdir(tmp_path)
    assert read_front(table / "run").objective.name == "score"
    assert search.run_step("verify", table / "run", {}, Silent())["status"] == "looked up"
    (table / "board.toml").unlink()
    with pytest.raises(InputError, match=r"no target file .*board\.toml"):
        read_config(RunFolder(table / "run"))


def test_paths_are_stored_absolutely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(RunFolder(tmp_path / "old"), RunConfig(), "0")
    (tmp_path / "board.toml").write_text('kind = "local"\n')
    monkeypatch.chdir(tmp_path)
    asked = {"target": "board.toml", "data": "imagefolder:./flowers", "warm_start": "old"}
    with open_run(Path("run"), asked, Silent(), resume=False):
        pass
    monkeypatch.chdir("/")
    config = read_config(RunFolder(tmp_path / "run"))
    assert config.target == str(tmp_path / "board.toml")
    assert config.data == f"imagefolder:{tmp_path / 'flowers'}"
    assert config.warm_start == str(tmp_path / "old")


def test_an_earlier_runs_relative_paths_are_found_beside_it(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(table / "runs" / "a")
    options = {**to_json(RunConfig()), "target": "board.toml", "objectives": ["score"]}
    write_json(run.config, {"edgenas_run": 1, "version": "0", "config": options})
    monkeypatch.chdir(tmp_path)
    assert read_config(run).target == str(table / "board.toml")
    with open_run(run.path, {"target": "project/board.toml"}, Silent(), resume=True) as context:
        assert context.config.target == str(table / "board.toml")


def test_changed_images_do_not_pass_for_those_verified(run: RunFolder) -> None:
    card = json.loads(run.data.read_text())
    write_json(run.data, {**card, "identity": "b" * 64})
    with (
        pytest.raises(InputError, match="changed since"),
        open_run(run.path, {}, Silent(), resume=True) as context,
    ):
        _ = context.dataset


def test_the_command_of_a_run_names_options_that_there_are(tmp_path: Path) -> None:
    config = RunConfig(space="own.toml", space_sha256="ab", max_latency_ms=2.0, time_s=90.0)
    words = command(RunContext(RunFolder(tmp_path), config, Silent())).split()
    named = [word for word in words if word.startswith("--")]
    assert set(named) <= {option_of(name) for name in OPTIONS}
    assert words[words.index("--max-latency") + 1] == "2ms"
