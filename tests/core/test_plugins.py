"""Plug-ins from other distributions: modules and dist-info folders, as pip would write them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgenas.core import plugins
from edgenas.core.errors import PluginError

GOOD_SPACE = "def create(num_classes, in_channels, image_size):\n    return None\n"


def install(folder: Path, distribution: str, entry_points: str, **modules: str) -> None:
    """Write a distribution into `folder` as pip would."""
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source, "utf-8")
    about = folder / f"{distribution.replace('-', '_')}-2.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.1\n", "utf-8"
    )
    (about / "entry_points.txt").write_text(entry_points, "utf-8")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder that this process finds installed packages in."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = set(sys.modules)
    forget()
    yield tmp_path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    forget()


def forget() -> None:
    for cached in (plugins._outside, plugins._loaded):
        cached.cache_clear()


def faults(family: str = "spaces") -> dict[tuple[str, str], str]:
    return {(one.name, one.distribution): plugins.fault(one) for one in plugins.members(family)}


def test_members_of_another_distribution_are_listed_with_it(tmp_path: Path) -> None:
    install(tmp_path, "Our-Spaces", "[edgenas.spaces]\nours = our_space\n", our_space=GOOD_SPACE)
    install(tmp_path, "worse", "[edgenas.spaces]\nworse = worse_space\n", worse_space="import nil")
    answer = subprocess.run(
        [sys.executable, "-m", "edgenas", "plugins", "--json"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    listed = json.loads(answer.stdout)["plugins"]
    rows = {(row["family"], row["name"], row["distribution"]): row for row in listed}
    ours = rows["spaces", "ours", "Our-Spaces"]
    assert (ours["version"], ours["module"], ours["fault"]) == ("2.1", "our_space", "")
    assert "No module named 'nil'" in rows["spaces", "worse", "worse"]["fault"]
    assert rows["spaces", "mbv3-tiny", "edgenas"]["fault"] == ""
    assert ("data", "pretrained", "edgenas") in rows


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit('bye')\n", "SystemExit: bye"),
        ("x = (\n", "SyntaxError"),
        ("", "it has no function create(num_classes, in_channels, image_size)"),
        (
            "def create(num_classes):\n    return None\n",
            "it cannot be called as create(num_classes, in_channels, image_size): "
            "too many positional arguments",
        ),
    ],
)
def test_a_broken_plug_in_costs_only_itself(installed: Path, source: str, why: str) -> None:
    install(installed, "worse", "[edgenas.spaces]\nworse = worse_space\n", worse_space=source)
    found = faults()
    assert why in found.pop(("worse", "worse"))
    assert set(found.values()) == {""}
    assert plugins.load("spaces", "mbv3-tiny").create(2, 1, 16).name == "mbv3-tiny"
    with pytest.raises(PluginError) as refused:
        plugins.load("spaces", "worse")
    assert why in str(refused.value)
    assert "worse 2.1" in str(refused.value)


def test_two_members_of_one_name_are_refused(installed: Path) -> None:
    install(installed, "first", "[edgenas.spaces]\nours = first_space\n", first_space=GOOD_SPACE)
    install(installed, "second", "[edgenas.spaces]\nours = other_space\n", other_space=GOOD_SPACE)
    said = "Two distributions have 'ours' among the spaces: first 2.1 and second 2.1"
    with pytest.raises(PluginError, match=said):
        plugins.load("spaces", "ours")
    assert said in faults()["ours", "first"]


def test_a_built_in_member_keeps_its_name(installed: Path) -> None:
    install(installed, "thief", "[edgenas.spaces]\nmbv3-tiny = our_space\n", our_space=GOOD_SPACE)
    assert plugins.load("spaces", "mbv3-tiny").__name__ == "edgenas.spaces.mbv3_tiny"
    found = faults()
    assert "give it another name" in found["mbv3-tiny", "thief"]
    assert found["mbv3-tiny", "edgenas"] == ""


def test_names_and_modules_that_nobody_could_type_are_faults(installed: Path) -> None:
    points = "[edgenas.spaces]\nbad name = our_space\nours = os:system\n"
    install(installed, "odd", points, our_space=GOOD_SPACE)
    found = faults()
    for name in ("bad name", "ours"):
        assert "NAME = 'package.module'" in found[name, "odd"]
    assert "bad name" not in plugins.names("spaces")


@pytest.mark.parametrize("family", plugins.CONTRACTS)
def test_every_member_that_ships_with_edgenas_keeps_its_contract(family: str) -> None:
    own = [one for one in plugins.members(family) if one.built_in]
    assert own
    assert [plugins.fault(one) for one in own] == [""] * len(own)
