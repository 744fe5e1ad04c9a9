"""`edgenas target` and `edgenas probe`: the shipped files and what their comments tell to type."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgenas.cli.main import COMMANDS, edgenas
from edgenas.targets import config

SHIPPED = config.shipped_files()


def test_list_has_every_shipped_file_with_what_it_is() -> None:
    done = CliRunner().invoke(edgenas, ["target", "list", "--json"])
    listed = json.loads(done.stdout)["targets"]
    assert set(listed) == set(SHIPPED) and "Raspberry Pi 5" in listed["raspberrypi5"]
    text = CliRunner().invoke(edgenas, ["target", "list"]).stdout
    assert all(f"{name} " in text for name in SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_shown_file_is_the_shipped_one(name: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(edgenas, ["target", "show", name])
    assert done.stdout == SHIPPED[name].read_text("utf-8")


def test_file_that_is_not_shipped_is_named() -> None:
    done = CliRunner().invoke(edgenas, ["target", "show", "raspberypi5"])
    assert done.exit_code and "Did you mean 'raspberrypi5'" in getattr(done.exception, "hint", "")


@pytest.mark.parametrize("name", SHIPPED)
def test_comments_of_a_target_file_can_be_followed(name: str) -> None:
    text = SHIPPED[name].read_text("utf-8")
    commands = re.findall(r"edgenas ([a-z]+)([^\n]*)", text.partition("\nkind")[0])
    typed = [(command, rest) for command, rest in commands if command in COMMANDS]
    assert "search" in dict(typed)
    for command, rest in typed:
        if command == "target":
            assert rest.split()[:2] == ["show", name]
        if command == "probe":
            assert "--target" not in rest and rest.split()[0] == f"my-{name}.toml"
    for board in ("raspberrypi", "jetson"):
        assert not name.startswith(board) or "Not verified on hardware" in text


def test_probe_takes_its_target_either_way() -> None:
    for words in (["local"], ["--target", "local"], []):
        done = CliRunner().invoke(edgenas, ["probe", *words, "--json"])
        card = json.loads(done.stdout)
        assert card["target"] == "local" and card["offers"]["onnxruntime"]["installed"]
    twice = CliRunner().invoke(edgenas, ["probe", "local", "--target", "local"])
    assert twice.exit_code and "once" in twice.output


def test_card_is_printed_with_its_engines() -> None:
    text = CliRunner().invoke(edgenas, ["probe"]).stdout
    assert "processor" in text and "engine tensorrt" in text and "C library" in text
