"""Defaults of options from edgenas.toml: which count, and what a foreign folder cannot do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgenas.cli.defaults import apply
from edgenas.cli.search import search
from edgenas.cli.train import train
from edgenas.core.errors import InputError


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file; the working folder is another one."""
    here, own = tmp_path / "here", tmp_path / "config" / "edgenas" / "edgenas.toml"
    here.mkdir()
    own.parent.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return own


def of_search(*arguments: str) -> dict[str, Any]:
    values = search.make_context("search", list(arguments)).params
    apply("search", search.params, values)
    return values


def test_the_command_line_counts_before_the_folder_and_that_before_the_user(own: Path) -> None:
    own.write_text('seed = 3\nsamples = 30\ntop = 5\ntarget = "pi@board"\n', "utf-8")
    Path("edgenas.toml").write_text("samples = 50\nseed = 4\n", "utf-8")
    values = of_search("--seed", "9")
    assert (values["seed"], values["samples"], values["top"]) == (9, 50, 5)
    assert values["targets"] == ("pi@board",)


def test_values_are_read_as_on_the_command_line_and_said(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = 'max-latency = "5ms"\nobjective = ["accuracy", "latency_ms"]\nstrict = true\n'
    Path("edgenas.toml").write_text(text, "utf-8")
    values = of_search()
    assert values["max_latency_ms"] == 5.0
    assert values["objectives"] == ("accuracy", "latency_ms")
    assert values["strict"] is True
    said = capsys.readouterr().err
    assert "defaults of edgenas.toml: max-latency 5ms, objective accuracy and latency_ms" in said


def test_a_run_that_is_there_keeps_its_own_options(own: Path) -> None:
    Path("edgenas.toml").write_text("samples = 50\n", "utf-8")
    Path("run").mkdir()
    Path("run/run.json").write_text("{}", "utf-8")
    assert of_search("--out", "run", "--resume")["samples"] is None
    assert of_search("--out", "new")["samples"] == 50


def test_a_training_outside_a_run_takes_only_what_it_goes_by(own: Path) -> None:
    Path("edgenas.toml").write_text("samples = 50\nepochs = 7\n", "utf-8")
    values = train.make_context("train", ["-o", "file"]).params
    apply("train", train.params, values)
    assert (values["epochs"], values["samples"]) == (7, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sampels = 50\n", "Did you mean 'samples'"),
        ('samples = "many"\n', "edgenas.toml: samples: 'many' is not a valid integer"),
        ("samples = [20, 30]\n", "it has one value"),
        ("strict = 1\n", "it is true or false"),
        ("samples = true\n", "it is no true or false"),
        ("samples = \n", "not TOML"),
        ('optimizer = "exat"\n', "Did you mean 'exact'"),
        # nothing that would write, trust or loosen anything
        ("overwrite = true\n", "unknown key 'overwrite'"),
        ("accept-new-host-key = true\n", "unknown key 'accept-new-host-key'"),
        ('out = "/"\n', "unknown key 'out'"),
        ('sandbox = "off"\n', "unknown key 'sandbox'"),
        # nothing that is run, connected to or downloaded
        ('space = "evil.py"\n', "code is run only where you name it"),
        ('target = "root@evil.example"\n', "a board is reached only where you name it"),
        ('target = "evil.toml"\n', "a board is reached only where you name it"),
        ('target = ["local", "ssh://evil"]\n', "a board is reached only where you name it"),
        ('data = "hf:evil/data"\n', "data is downloaded only where you name it"),
    ],
)
def test_what_the_working_folder_cannot_say(own: Path, text: str, said: str) -> None:
    Path("edgenas.toml").write_text(text, "utf-8")
    with pytest.raises(InputError) as refused:
        of_search()
    assert said in str(refused.value)


def test_the_user_may_say_in_the_own_file_what_is_run(own: Path) -> None:
    own.write_text('space = "mine.py"\ndata = "hf:me/flowers"\n', "utf-8")
    values = of_search()
    assert (values["space"], values["data"]) == ("mine.py", "hf:me/flowers")
