"""A run folder is made, locked, resumed with the same meaning, and never taken from another."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

from edgenas import run_folder
from edgenas.cli.options import given
from edgenas.cli.search import search
from edgenas.config import RunConfig
from edgenas.errors import DataError, InputError, RunFolderError
from edgenas.open_run import newest_run_path, open_run
from edgenas.progress import Silent
from edgenas.records import DeviceProfile, to_json
from edgenas.reproduction import command
from edgenas.run_context import RunContext
from edgenas.run_folder import write_json


def opened(path: Path, resume: bool = False, **asked: object) -> RunContext:
    with open_run(path, asked, Silent(), resume) as context:
        return context


def test_a_new_run_keeps_its_configuration(tmp_path: Path) -> None:
    opened(tmp_path / "run", seed=3, samples=12)
    resumed = opened(tmp_path / "run", resume=True)
    assert (resumed.config.seed, resumed.config.samples) == (3, 12)


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    opened(tmp_path / "run")
    with pytest.raises(RunFolderError, match="--resume"):
        opened(tmp_path / "run")


def test_the_command_that_does_the_same_again_can_be_pasted(tmp_path: Path) -> None:
    asked: dict[str, object] = {
        "data": "imagefolder:my flowers (2)",
        "max_latency_ms": 0.123456789,
        "device_time_s": 90.5,
        "target_mape": 0.03,
        "batch_size": 32,
        "objectives": ("accuracy", "model_bytes"),
        "constraints": ("size<=80kB", "p90<=3ms"),
        "optimizer": "monas",
        "reward": "mixed",
    }
    context = opened(tmp_path / "run", **asked)
    words = shlex.split(command(context))
    assert words[:2] == ["edgenas", "search"]
    with search.make_context("search", words[2:]) as parsed:
        options = {k: v for k, v in parsed.params.items() if k not in ("targets", "engines")}
    assert RunConfig(**given(options)) == context.config


def test_resuming_may_change_the_limit_but_not_the_seed(tmp_path: Path) -> None:
    opened(tmp_path / "run", seed=3)
    assert opened(tmp_path / "run", resume=True, max_latency_ms=2.0).config.max_latency_ms == 2.0
    with pytest.raises(RunFolderError, match="--seed 3, not with --seed 4"):
        opened(tmp_path / "run", resume=True, seed=4)


def test_the_training_may_be_changed_until_there_is_one(tmp_path: Path) -> None:
    opened(tmp_path / "run", epochs=3)
    assert opened(tmp_path / "run", resume=True, batch_size=32).config.batch_size == 32
    (tmp_path / "run" / "checkpoint.safetensors").write_bytes(b"work")
    assert opened(tmp_path / "run", resume=True, batch_size=32).config.epochs == 3
    with pytest.raises(RunFolderError, match="--batch-size 32, not with --batch-size 16"):
        opened(tmp_path / "run", resume=True, batch_size=16)


def test_images_may_move_but_not_change(tmp_path: Path) -> None:
    for folder, classes in (("here", "ab"), ("there", "ab"), ("others", "ac")):
        for name in classes:
            (tmp_path / folder / name).mkdir(parents=True)
            for index in range(4):
                image = Image.new("RGB", (8, 8), (20 * index, 90, 200 if name == "a" else 0))
                image.save(tmp_path / folder / name / f"{index}.png")
    first = opened(tmp_path / "run", data=f"imagefolder:{tmp_path / 'here'}")
    identity = first.dataset.identity
    moved = opened(tmp_path / "run", resume=True, data=f"imagefolder:{tmp_path / 'there'}")
    assert moved.dataset.identity == identity
    assert "there" in opened(tmp_path / "run", resume=True).config.data
    changed = opened(tmp_path / "run", resume=True, data=f"imagefolder:{tmp_path / 'others'}")
    with pytest.raises(DataError, match="changed since"):
        _ = changed.dataset


def test_a_board_that_was_probed_is_not_asked_for_its_scheme(tmp_path: Path) -> None:
    board = tmp_path / "board.toml"
    board.write_text('kind = "ssh"\n[connection]\nhost = "192.0.2.1"')  # nobody's (RFC 5737)
    context = opened(tmp_path / "run", target=str(board))
    profile = DeviceProfile("board", "aarch64", "Linux", "Cortex-A76", 4, "3.11")
    write_json(context.folder.profile, to_json(profile))
    assert opened(tmp_path / "run", resume=True).target.scheme == "s8s8"


def test_a_run_that_refuses_its_input_leaves_no_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="nowhere"),
        open_run(tmp_path / "run", {"target": "nowhere.toml"}, Silent(), False) as context,
    ):
        context.progress.warning("a note is written")
        _ = context.target
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("work", ["store.sqlite", "checkpoint.safetensors"])
def test_a_run_with_work_in_it_stays(tmp_path: Path, work: str) -> None:
    with (
        pytest.raises(InputError),
        open_run(tmp_path / "run", {}, Silent(), False) as context,
    ):
        (context.folder.path / work).write_text("work")
        raise InputError("bad", "hint")
    assert (tmp_path / "run" / work).exists()
    opened(tmp_path / "run", resume=True)


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunFolderError, match="not a run folder"):
        opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_not_a_run_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError):
        opened(tmp_path / "file")


def test_a_newer_run_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "edgenas_run": 99}))
    with pytest.raises(RunFolderError, match="run format 99"):
        opened(tmp_path / "run", resume=True)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"edgenas_run": 1, "config": {"seed": "x"}}'])
def test_a_damaged_run_file_is_refused(tmp_path: Path, content: str) -> None:
    opened(tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text(content)
    with pytest.raises(RunFolderError, match=r"run\.json"):
        opened(tmp_path / "run", resume=True)


def test_two_cannot_work_in_one_folder(tmp_path: Path) -> None:
    with (
        open_run(tmp_path / "run", {}, Silent(), False),
        pytest.raises(RunFolderError, match="Another edgenas"),
        open_run(tmp_path / "run", {}, Silent(), True),
    ):
        pass


def test_an_unwritable_place_is_named() -> None:
    with pytest.raises(RunFolderError, match="/proc/run"):
        opened(Path("/proc/run"))


@pytest.mark.parametrize(
    "asked", [{"samples": 3}, {"confidence": 1.5}, {"max_latency_ms": -1.0}, {"epochs": 0}]
)
def test_values_out_of_range_are_refused(tmp_path: Path, asked: dict[str, object]) -> None:
    with pytest.raises(InputError, match="--"):
        opened(tmp_path / "run", **asked)


def test_more_samples_extend_the_sequence(tmp_path: Path) -> None:
    context = opened(tmp_path / "run")
    few, many = context.sampled(10), context.sampled(20)
    assert many[:10] == few
    assert len(set(many)) == 20
    assert few[:2] == [context.space.smallest(), context.space.largest()]


def test_the_newest_run_is_the_one_started_last(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no run to resume"):
        newest_run_path(tmp_path)
    opened(tmp_path / "b")
    opened(tmp_path / "a")
    assert newest_run_path(tmp_path) == tmp_path / "a"


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    run_folder.write_json(path, {"old": True})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder.os, "fsync", full)
    with pytest.raises(RunFolderError, match="No space left on device"):
        run_folder.write_json(path, {"new": True})
    assert json.loads(path.read_text()) == {"old": True}
    assert [item.name for item in tmp_path.iterdir()] == ["file.json"]
