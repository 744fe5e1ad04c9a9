"""Spaces from files: stage tables with a line in each message, and code that runs only if named."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edgenas.core.errors import InputError, PluginError, RunFolderError
from edgenas.core.files.run_folder import RunFolder, write_json
from edgenas.core.progress import Silent
from edgenas.core.records import DataCard, to_json
from edgenas.runs.config import begun, resumed, write_config
from edgenas.runs.run import RunContext
from edgenas.spaces import files

TABLE = """\
# a comment
purpose = "to try a table"

[stem]
width = 8
stride = 1

[head]
width = 32

[[stages]]
width = 8
stride = 2
depths = [1, 2]
kernel_sizes = [3, 5]
expand_ratios = [1, 3]

[[stages]]
width = 16
stride = 2
depths = [2]
kernel_sizes = [3]
expand_ratios = [2, 4]
squeeze_excite = true
"""
CODE = '''\
"""ours: two stages."""
from pathlib import Path

from edgenas.spaces.base import MobileSpace, StageSpec

Path(__file__).with_name("ran").touch()


def create(num_classes, in_channels, image_size):
    stages = tuple(StageSpec(width, 2, (1, 2), (3,), (1, 2)) for width in (8, 16))
    return MobileSpace("ours", 8, 1, stages, 32, (12, 16), num_classes, in_channels)
'''


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_a_stage_table_is_the_space_that_it_describes(tmp_path: Path) -> None:
    space = files.find(str(written(tmp_path / "narrow.toml", TABLE))).create(10, 1, 16)
    assert (space.name, space.resolutions, space.num_classes) == ("narrow", (12, 14, 16), 10)
    # first stage: 2 kernels x 2 ratios, one or two blocks; second: two blocks of 2 ratios
    assert space.size == 3 * (4 + 16) * 4
    layers = space.layers(space.largest())
    assert {layer.out_channels for layer in layers if layer.name.endswith("project")} == {8, 16}
    assert [layer.stage for layer in layers if layer.kind == "squeeze_excite"] == [1, 1]


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("depths = [1, 2]", "depths = [2, 1]", 14, "stages[0].depths cannot be used"),
        ("kernel_sizes = [3]\n", "kernel_sizes = [4]\n", 22, "odd numbers"),
        ("kernel_sizes = [3]\n", "", 18, "stages[1].kernel_sizes is missing"),
        ("[head]\nwidth = 32\n", "[head]\n", 8, "head.width is missing"),
        ("stride = 1", "stride = 0", 6, "stem.stride cannot be used"),
        ("squeeze_excite = true", "squeeze_excite = 1", 24, "true or false"),
        ("squeeze_excite", "squeeze_exite", 24, "Did you mean 'squeeze_excite'?"),
        ("[stem]", "[stam]", 4, "Did you mean 'stem'?"),
        ("# a comment", "resolutions = [16, 8]", 1, "rising whole numbers"),
        ("# a comment", "name = 'a/b'", 1, "small letters"),
        ("# a comment", "stages = 3\n#", 1, "no"),
    ],
)
def test_what_is_wrong_in_a_stage_table_is_named_with_its_line(
    tmp_path: Path, before: str, after: str, line: int, said: str
) -> None:
    if said == "no":
        path = written(tmp_path / "narrow.toml", "stages = 3\n")
        said = "1 to 12 tables [[stages]]"
    else:
        path = written(tmp_path / "narrow.toml", TABLE.replace(before, after, 1))
    with pytest.raises(InputError) as refused:
        files.find(str(path))
    assert f"{path}, line {line}: " in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nothing_such\n", "line 1: ModuleNotFoundError"),
        ("\nx = (\n", "line 2: SyntaxError"),
        ("def create(num_classes):\n    pass\n", "cannot be called as create(num_classes, in_ch"),
        ("def create(a, b, c):\n    return a / 0\n", "line 2: ZeroDivisionError"),
        ("def create(a, b, c):\n    return 3\n", "create() returns a int"),
        (CODE.replace('"ours"', '"mbv3-tiny"'), "as an installed one is"),
    ],
)
def test_what_is_wrong_in_code_is_one_line(tmp_path: Path, code: str, said: str) -> None:
    path = written(tmp_path / "ours.py", code)
    with pytest.raises(PluginError) as refused:
        files.find(str(path)).create(10, 1, 16)
    assert said in str(refused.value)


@pytest.fixture
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in which no file was named yet."""
    monkeypatch.setattr(files, "_named", set())


def run_with(space: Path, folder: Path) -> RunFolder:
    """Begin a run on a space's file, as `edgenas train --space FILE` does."""
    folder.mkdir()
    run = RunFolder(folder)
    write_config(run, begun({"space": str(space)}), "0")
    card = DataCard("digits", "0" * 64, ("a", "b"), 16, (0.5,), (0.5,), 8, 8, 8)
    write_json(run.data, to_json(card))
    assert RunContext(run, resumed(run, {"space": str(space)}), Silent()).space.num_classes == 2
    return run


@pytest.mark.usefixtures("nothing_named")
def test_code_of_a_received_run_runs_only_where_the_user_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with(written(tmp_path / "ours.py", CODE), tmp_path / "run")
    copy = run.path / "space" / "ours.py"
    assert copy.read_text("utf-8") == CODE
    for path in (tmp_path / "ran", copy.with_name("ran")):
        path.unlink(missing_ok=True)
    monkeypatch.setattr(files, "_named", set())  # a new process
    with pytest.raises(PluginError, match="run only where you name it"):
        _ = RunContext(run, resumed(run, {}), Silent()).space
    assert not (tmp_path / "ran").exists()
    assert not (copy.with_name("ran")).exists()
    space = RunContext(run, resumed(run, {"space": str(copy)}), Silent()).space
    assert space.name == "ours"


@pytest.mark.usefixtures("nothing_named")
def test_a_run_does_not_go_on_with_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written(tmp_path / "ours.py", CODE)
    run = run_with(source, tmp_path / "run")
    written(source, CODE.replace("(1, 2))", "(1, 3))"))
    for asked in ({"space": str(source)}, {}):
        with pytest.raises(RunFolderError, match="is another than that with which"):
            resumed(run, asked)
    written(run.path / "space" / "ours.py", CODE + "# changed\n")
    written(source, CODE)
    with pytest.raises(RunFolderError, match="is not the space that the run was started with"):
        _ = RunContext(run, resumed(run, {"space": str(source)}), Silent()).space


def test_a_run_of_a_stage_table_opens_without_the_file(tmp_path: Path) -> None:
    source = written(tmp_path / "narrow.toml", TABLE)
    run = run_with(source, tmp_path / "run")
    stored = resumed(run, {})
    assert stored.space_sha256 == hashlib.sha256(TABLE.encode()).hexdigest()
    source.unlink()
    assert RunContext(run, resumed(run, {}), Silent()).space.name == "narrow"
