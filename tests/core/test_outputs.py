"""What the user names as an output: it never costs them an input, a device or a file of theirs."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgenas.cli.main import edgenas as edgenas_group
from edgenas.core.errors import InputError
from edgenas.core.files.lock import locked_file
from edgenas.core.files.outputs import claim
from edgenas.core.records import Interval
from edgenas.reporting.plots.kinds import Row, interval_rows
from edgenas.reporting.plots.plot import is_own_png

TABLE = "a,b,ms\n" + "".join(f"{i % 5},{i % 3},{1 + i % 5 + 2 * (i % 3)}\n" for i in range(30))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text(TABLE)
    assert fit("ms.json").exit_code == 0
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(edgenas_group, arguments)


def fit(output: str, *more: str) -> Result:
    """Fit terms that are named, for choosing them takes most of a fit."""
    return run("fit", "table.csv", "--response", "ms", "--terms", "a + b", "-o", output, *more)


def predict(output: str, *more: str) -> Result:
    return run("predict", "ms.json", "table.csv", "-o", output, *more)


def refused(result: Result, words: str) -> None:
    assert isinstance(result.exception, InputError), result.output
    assert words in result.exception.message


@pytest.mark.parametrize("command", [fit, predict])
def test_an_input_is_never_replaced(folder: Path, command: Callable[..., Result]) -> None:
    (folder / "link.csv").symlink_to("table.csv")
    os.link(folder / "table.csv", folder / "same.csv")
    for output in ("table.csv", "./table.csv", "link.csv", "same.csv"):
        for more in ((), ("--overwrite",)):
            refused(command(output, *more), "is an input")
    assert (folder / "table.csv").read_text() == TABLE


def test_predictors_that_are_read_are_inputs(folder: Path) -> None:
    before = (folder / "ms.json").read_text()
    refused(predict("ms.json", "--overwrite"), "is an input")
    refused(fit("ms.json", "--prior", "ms.json", "--overwrite"), "is an input")
    assert (folder / "ms.json").read_text() == before


@pytest.mark.parametrize("command", [fit, predict])
@pytest.mark.parametrize("kind", ["device", "pipe", "link to a device"])
def test_what_is_no_regular_file_is_never_replaced(
    folder: Path, command: Callable[..., Result], kind: str
) -> None:
    path = folder / "out"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        if os.geteuid() != 0:
            pytest.skip("making a device needs root")
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    else:
        path.symlink_to("/dev/null")
    for more in ((), ("--overwrite",)):
        refused(command("out", *more), "which no output replaces")
    assert not path.is_file() and stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("command", [fit, predict])
@pytest.mark.parametrize("content", ["my notes\n", "{}", '{"kind": "table"}', "a,b,mean\n1,2,3\n"])
def test_file_of_the_users_needs_overwrite(
    folder: Path, command: Callable[..., Result], content: str
) -> None:
    (folder / "mine").write_text(content)
    refused(command("mine"), "edgenas did not write it")
    assert (folder / "mine").read_text() == content
    assert command("mine", "--overwrite").exit_code == 0
    assert (folder / "mine").read_text() != content


@pytest.mark.parametrize("command", [fit, predict])
def test_its_own_earlier_output_is_replaced_as_before(
    folder: Path, command: Callable[..., Result]
) -> None:
    (folder / "empty").touch()  # as mktemp makes it
    for output in ("new", "new", "empty", "new"):
        assert command(output).exit_code == 0
        assert (folder / output).stat().st_size > 0


def test_predictor_that_was_edited_is_the_users(folder: Path) -> None:
    document = json.loads((folder / "ms.json").read_text())
    (folder / "ms.json").write_text(json.dumps({**document, "note": "by hand"}))
    refused(fit("ms.json"), "not as it is now")


def test_a_link_is_followed_and_stays(folder: Path) -> None:
    (folder / "latest.json").symlink_to("version-1.json")
    for _ in range(2):
        assert fit("latest.json").exit_code == 0
    assert (folder / "latest.json").is_symlink() and (folder / "version-1.json").is_file()


def test_claim_in_a_circle_of_links_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InputError, match="Cannot write"):
        claim(tmp_path / "a", "-o", lambda path: True)


def test_train_refuses_a_device_before_it_trains(folder: Path) -> None:
    refused(run("train", "-o", "/dev/null", "--epochs", "1"), "which no output replaces")
    refused(run("train", "-o", "table.csv", "--epochs", "1"), "exists already")
    assert (folder / "table.csv").read_text() == TABLE


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_lock_of_a_received_folder_cuts_no_file(tmp_path: Path, kind: str) -> None:
    """A run folder that came from elsewhere may hold anything under the name of its lock."""
    (tmp_path / "thesis").write_text("precious")
    lock = tmp_path / ".lock"
    lock.symlink_to("thesis") if kind == "link" else os.mkfifo(lock)
    held = locked_file(lock, tmp_path, "--out")
    with pytest.raises(InputError, match=r"Cannot (write|read)"), held:
        pass
    assert (tmp_path / "thesis").read_text() == "precious"


def test_plots_replace_plots_only(tmp_path: Path) -> None:
    path = tmp_path / "latency_ms-effects.png"
    plot = interval_rows("effects", [Row("a", Interval(1.0, 0.5, 1.5))], "ms")
    path.write_bytes(plot.png())
    assert claim(path, "--png", is_own_png) == path
    path.write_bytes(plot.png().replace(b"Software\0edgenas", b"Software\0another"))
    with pytest.raises(InputError, match="edgenas did not write it"):
        claim(path, "--png", is_own_png)
