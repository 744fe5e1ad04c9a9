"""A package is written anew each time; what edgenas did not write does not go with the last."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgenas.challenges.package_folder import fresh_folder


def made(out: Path, files: dict[str, str]) -> list[str]:
    told: list[str] = []
    with fresh_folder(out, told.append) as folder:
        for name, text in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
    return told


def inside(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_a_second_package_has_nothing_of_the_first(tmp_path: Path) -> None:
    out = tmp_path / "submission" / "generic"
    assert made(out, {"model.onnx": "1", "evidence/a": "1"}) == []
    assert made(out, {"model.tflite": "2", "evidence/b": "2"}) == []
    assert inside(out) == {"model.tflite": "2", "evidence/b": "2"}
    assert [path.name for path in out.parent.iterdir() if path.is_dir()] == ["generic"]


def test_what_the_user_put_there_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "generic"
    made(out, {"model.onnx": "1", "labels.txt": "1"})
    (out / "notes.txt").write_text("mine")
    (out / "labels.txt").write_text("changed")
    (told,) = made(out, {"model.onnx": "2"})
    assert inside(out) == {"model.onnx": "2"}
    assert inside(tmp_path / "generic.kept-1") == {"notes.txt": "mine", "labels.txt": "changed"}
    assert str(tmp_path / "generic.kept-1") in told


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    made(elsewhere, {"a": "1"})
    out = tmp_path / "generic"
    out.symlink_to(elsewhere)
    made(out, {"b": "2"})
    assert inside(elsewhere) == {"a": "1"}
    assert inside(out) == {"b": "2"}
    assert (tmp_path / "generic.kept-1").readlink() == elsewhere


def test_a_build_that_fails_leaves_the_last_package_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "generic"
    made(out, {"a": "1"})
    with pytest.raises(RuntimeError), fresh_folder(out, print) as folder:
        (folder / "b").write_text("2")
        raise RuntimeError
    assert inside(out) == {"a": "1"}
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["generic"]
