"""A run folder is made, locked, resumed with the same meaning, and never taken from another."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from edgenas.cli.options import given
from edgenas.cli.search import search
from edgenas.core.errors import DataError, InputError, RunFolderError
from edgenas.core.files import run_folder
from edgenas.core.files.run_folder import write_json
from edgenas.core.progress import Silent
from edgenas.core.records import DeviceProfile, to_json
from edgenas.runs.boards.file import stated
from edgenas.runs.command_line import command
from edgenas.runs.config import RunConfig
from edgenas.runs.frontier.stored import read_front
from edgenas.runs.open import newest_run_path, open_run
from edgenas.runs.run import RunContext


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


@pytest.mark.parametrize(
    "name", ["models", "jobs", "predictors/kept", "store.sqlite", "report.html"]
)
@pytest.mark.parametrize("there", [True, False])
def test_a_run_with_a_link_that_leads_out_of_it_is_not_opened(
    tmp_path: Path, name: str, there: bool
) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    opened(run)
    if there:
        outside.mkdir()
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).symlink_to(outside)
    before = (run / "run.json").read_bytes()
    for opens in (
        lambda: opened(run, resume=True, top=7),
        lambda: read_front(run),
        lambda: opened(tmp_path / "new", warm_start=str(run)),
    ):
        with pytest.raises(RunFolderError, match=f"a link that leads out of it: {name}") as refusal:
            opens()
        assert "remove the link" in refusal.value.hint
    assert (run / "run.json").read_bytes() == before
    assert not there or not any(outside.iterdir())
    (run / name).unlink()
    (run / name).symlink_to(run / "run.json")  # inside: of no danger
    assert opened(run, resume=True).config == opened(run, resume=True).config


def test_a_board_whose_folder_is_a_link_that_leads_out_of_the_run_is_not_opened(
    tmp_path: Path,
) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    (run / "boards").mkdir(parents=True)
    outside.mkdir()
    (run / "boards" / "local").symlink_to(outside)
    (run / "boards.json").write_text(
        json.dumps(
            {"edgenas_boards": 1, "version": "0", "targets": ["local"], "asked": {}, "engines": []}
        )
    )
    with pytest.raises(RunFolderError, match="a link that leads out of it: boards/local"):
        stated(run, (), (), {}, resume=True)


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
    with pytest.raises(DataError, match="changed since"):
        opened(tmp_path / "run", resume=True, data=f"imagefolder:{tmp_path / 'others'}")
    assert "there" in opened(tmp_path / "run", resume=True).config.data


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


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(errno.ENOSPC, "Free some space"), (errno.EROFS, "Choose another"), (errno.EACCES, "owner")],
)
def test_a_disk_that_takes_nothing_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, remedy: str
) -> None:
    path = tmp_path / "file.json"
    run_folder.write_json(path, {"old": True})

    def refused(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(run_folder.os, "fsync", refused)
    with pytest.raises(RunFolderError, match=os.strerror(code)) as refusal:
        run_folder.write_json(path, {"new": True})
    assert remedy in refusal.value.hint
    assert json.loads(path.read_text()) == {"old": True}
    assert [item.name for item in tmp_path.iterdir()] == ["file.json"]


def test_a_folder_in_which_the_first_write_failed_is_taken_again(tmp_path: Path) -> None:
    """Of a disk that was full the lock is left, and of a killed writer a part."""
    run = tmp_path / "run"
    script = (
        "import os, resource, signal, sys\n"
        "from pathlib import Path\n"
        "from edgenas.runs.open import open_run\nfrom edgenas.core.progress import Silent\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"  # a disk without room
        "with open_run(Path(sys.argv[1]), {}, Silent(), False): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", script, run], capture_output=True, check=False)
    assert b"Cannot write" in done.stderr and b"run.json: File too large" in done.stderr
    run.mkdir(exist_ok=True)
    (run / ".lock").touch()
    (run / ".run.json.abcdefgh.edgenas-part").touch()
    assert opened(run).config == RunConfig()


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom edgenas.core.files import run_folder\n"
        "os.fsync = lambda number: os.kill(os.getpid(), 9)\n"
        "run_folder.write_bytes(Path(sys.argv[1]), b'half')\n"
    )
    subprocess.run([sys.executable, "-c", script, path], check=False)
    (left,) = tmp_path.iterdir()
    held = tmp_path / ".file.json.abcdefgh.edgenas-part"  # its writer is at work
    foreign = [
        tmp_path / name
        for name in (
            ".other.json.abcdefgh.edgenas-part",
            ".file.json.abcdefgh",
            ".file.json.backup.edgenas-part",
            "file.json.abcdefgh.edgenas-part",
        )
    ]
    link = tmp_path / ".file.json.a2345678.edgenas-part"
    link.symlink_to(foreign[0])
    for part in (held, *foreign):
        part.write_text("kept")
    for part in (left, held, *foreign):
        os.utime(part, (1, 1))
    with held.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        run_folder.write_json(path, {"new": True})
    assert json.loads(path.read_text()) == {"new": True}
    assert {*tmp_path.iterdir()} == {path, held, link, *foreign}


def test_a_file_system_without_locks_is_not_called_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without)  # as some network file systems do
    with pytest.raises(RunFolderError, match="cannot be locked: No locks available") as refused:
        opened(tmp_path / "run")
    assert "Another" not in str(refused.value)
