"""Wheels for a board: the ladder of tags, pip's choice, the cache, and what is sent of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path

import pytest
from packaging import tags as reference

from edgenas.core.errors import TargetError
from edgenas.core.files.cache import cache_folder
from edgenas.targets.remote import wheels
from edgenas.targets.remote.wheels import Platform
from helpers.boards.at_work import AtWork
from helpers.boards.loopback import LoopbackBoard
from helpers.wheel_files import make_wheel


@pytest.mark.parametrize("machine", ["aarch64", "x86_64", "armv7l"])
def test_ladder_is_that_of_the_packaging_library(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("packaging._manylinux._get_glibc_version", lambda: (2, 36))
    monkeypatch.setattr("packaging._manylinux._have_compatible_abi", lambda *_: True)
    from packaging._manylinux import platform_tags

    expected = list(platform_tags([machine]))
    assert expected and reference
    assert Platform(machine, (3, 11), 36).tags == [*expected, f"linux_{machine}"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("aarch64", 64, "3.11.2", "glibc 2.36"), Platform("aarch64", (3, 11), 36)),
        (("aarch64", 32, "3.9.2", "glibc 2.31"), Platform("armv7l", (3, 9), 31)),
        (("x86_64", 64, "3.12.1+", None), Platform("x86_64", (3, 12), None)),
        (("aarch64", 64, "nonsense", "musl 1.2"), Platform("aarch64", (3, 0), None)),
        (("aarch64", 64, "3.9999999", "glibc 2.99999999"), Platform("aarch64", (3, 0), None)),
    ],
)
def test_platform_of_a_probe(said: tuple, expected: Platform) -> None:
    assert Platform.of(*said) == expected


def test_numpy_is_the_boards_own_on_32_bit_arm() -> None:
    assert wheels.requirements("tflite_runtime", Platform("armv7l", (3, 11), 36)) == (
        "tflite-runtime",
    )
    assert wheels.requirements("tflite_runtime", Platform("aarch64", (3, 11), 36)) == (
        "tflite-runtime",
        "numpy<2",
    )


# ---------------------------------------------------------------- resolving, without the index


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgenas" / "wheels"


def put_on_list(cache: Path) -> None:
    """Write the list that edgenas keeps of what it downloaded."""
    listed = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in cache.glob("*.whl")}
    (cache / "kept.json").write_text(json.dumps(listed))


def stock(cache: Path, cp: str = "cp311", machine: str = "aarch64") -> None:
    for version, glibc in (("1.0", 17), ("2.0", 28), ("3.0", 39)):
        tag = f"{cp}-{cp}-manylinux_2_{glibc}_{machine}"
        make_wheel(cache, "onnxruntime", version, tag, {"onnxruntime/__init__.py": ""})
    make_wheel(cache, "numpy", "2.0", f"{cp}-{cp}-manylinux2014_{machine}", {"numpy/a.py": ""})
    put_on_list(cache)


@pytest.mark.parametrize(("glibc", "version"), [(36, "2.0"), (27, "1.0")])
def test_newest_wheel_that_the_boards_glibc_allows(cache: Path, glibc: int, version: str) -> None:
    stock(cache)
    found = wheels.resolve("onnxruntime", Platform("aarch64", (3, 11), glibc), offline=True)
    assert wheels.version("onnxruntime", found) == version
    assert sorted(path.name.split("-")[0] for path in found) == ["numpy", "onnxruntime"]


def test_resolved_once_and_again_when_a_wheel_was_changed(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(cache)
    board = Platform("aarch64", (3, 11), 36)
    first = wheels.resolve("onnxruntime", board, offline=True)
    calls: list[bool] = []
    real = wheels._download
    monkeypatch.setattr(wheels, "_download", lambda *a: (calls.append(True), real(*a)))
    assert wheels.resolve("onnxruntime", board, offline=True) == first and not calls
    first[0].write_bytes(b"damaged")
    with pytest.raises(TargetError):
        wheels.resolve("onnxruntime", board, offline=True)
    assert calls


def test_a_board_gets_the_pinned_version_or_else_the_hosts(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(cache)
    board = Platform("aarch64", (3, 11), 39)
    hosts = {"onnxruntime": "2.0", "onnxruntime-gpu": "0.1"}
    monkeypatch.setattr("importlib.metadata.version", hosts.__getitem__)

    def sent(pinned: str) -> str:
        return wheels.version("onnxruntime", wheels.for_board("onnxruntime", board, True, pinned))

    assert (sent(""), sent("1.0")) == ("2.0", "1.0")
    hosts["onnxruntime"] = "1.5"  # which has no wheels for the board
    assert sent("") == "3.0"
    newest = wheels.for_board("onnxruntime", board, True, "")
    said = wheels.other_than_hosts("onnxruntime", newest, board, "")
    assert "This host has onnxruntime 1.5" in said and "gets 3.0" in said
    assert wheels.other_than_hosts("onnxruntime", newest, board, "3.0") == ""
    hosts["onnxruntime"] = "3.0"
    assert wheels.other_than_hosts("onnxruntime", newest, board, "") == ""
    hosts["onnxruntime"] = "1.5"
    for wrong in ("9.9", "../1.0", "1.0 --pre"):
        with pytest.raises(TargetError, match=r"9\.9|is no version"):
            sent(wrong)


@pytest.mark.parametrize("kept", ["not listed", "other content", "damaged list"])
def test_kept_wheels_that_no_list_has_are_refused_offline(cache: Path, kept: str) -> None:
    stock(cache)
    if kept == "not listed":
        make_wheel(cache, "onnxruntime", "2.5", "cp311-cp311-manylinux_2_17_aarch64", {"a.py": ""})
    elif kept == "other content":
        (cache / "onnxruntime-2.0-cp311-cp311-manylinux_2_28_aarch64.whl").unlink()
        make_wheel(cache, "onnxruntime", "2.0", "cp311-cp311-manylinux_2_28_aarch64", {"a.py": ""})
    else:
        (cache / "kept.json").write_text("[" * 9999)
    board = Platform("aarch64", (3, 11), 36)
    refused = {"not listed": "2.5", "other content": "2.0", "damaged list": "3.0"}[kept]
    with pytest.raises(TargetError, match=f"no list there has.* onnxruntime-{refused}") as refusal:
        wheels.resolve("onnxruntime", board, offline=True, exact=refused)
    assert "without --offline" in refusal.value.hint
    if kept != "damaged list":
        found = wheels.resolve("onnxruntime", board, offline=True)
        assert wheels.version("onnxruntime", found) == {"not listed": "2.0"}.get(kept, "1.0")


def test_no_wheels_offline_says_what_to_do(cache: Path) -> None:
    with pytest.raises(TargetError, match=r"No wheels of onnxruntime for Python 3\.13") as none:
        wheels.resolve("onnxruntime", Platform("aarch64", (3, 13), 41), offline=True)
    assert "without --offline" in none.value.hint


def test_board_without_glibc(cache: Path) -> None:
    with pytest.raises(TargetError, match="no glibc") as none:
        wheels.resolve("onnxruntime", Platform("aarch64", (3, 11), None), offline=True)
    assert 'packages = "own"' in none.value.hint


# ---------------------------------------------------------------- resolving, from an index


def publish(index: Path, made: Path, hash_of: dict[str, str]) -> str:
    """Write a package index of the wheels in `made`; return its address.

    hash_of : distribution -> what stands behind its files' addresses; {} in "sha256=right".
    """
    for wheel in made.glob("*.whl"):
        name = wheel.name.split("-")[0]
        right = hashlib.sha256(wheel.read_bytes()).hexdigest()
        said = hash_of.get(name, "#sha256={}").format(right)
        (index / name).mkdir(parents=True, exist_ok=True)
        page = f'<!DOCTYPE html><html><body><a href="{wheel.as_uri()}{said}">{wheel.name}</a>'
        (index / name / "index.html").write_text(page)
    return index.as_uri()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """The wheels that an index will publish: pip asks that index only."""
    for name in [*os.environ]:
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "index").as_uri())
    made = tmp_path / "made"
    for name in ("onnxruntime", "numpy"):
        make_wheel(made, name, "2.0", "cp311-cp311-manylinux2014_aarch64", {f"{name}.py": ""})
    return made


BOARD = Platform("aarch64", (3, 11), 36)


def test_wheels_of_an_index_that_publishes_their_hashes_are_taken(
    tmp_path: Path, index: Path
) -> None:
    publish(tmp_path / "index", index, {})
    found = wheels.resolve("onnxruntime", BOARD, offline=False)
    assert sorted(path.name.split("-")[0] for path in found) == ["numpy", "onnxruntime"]


@pytest.mark.parametrize(
    ("distribution", "published", "said"),
    [
        ("onnxruntime", "", "publishes no hash of onnxruntime-2.0"),
        ("numpy", "", "publishes no hash of numpy-2.0"),
        ("numpy", "#md5=0123456789abcdef0123456789abcdef", "publishes no hash of numpy-2.0"),
        ("numpy", "#sha256=" + 64 * "0", "DO NOT MATCH THE HASHES|HASHES"),
    ],
)
def test_wheels_that_an_index_does_not_vouch_for_are_refused(
    tmp_path: Path, index: Path, distribution: str, published: str, said: str
) -> None:
    publish(tmp_path / "index", index, {distribution: published})
    with pytest.raises(TargetError, match="No wheels of onnxruntime") as refusal:
        wheels.resolve("onnxruntime", BOARD, offline=False)
    assert re.search(said, str(refusal.value))
    if not published:
        assert "publishes SHA-256 hashes" in refusal.value.hint
    assert not list((cache_folder() / "wheels").glob("*.whl"))


# ---------------------------------------------------------------- sending them


ENGINE = "def version():\n    return '7.0'\n"


def here() -> tuple[str, str]:
    cp = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    return cp, os.uname().machine


def test_wheel_that_cannot_be_imported_is_named_and_removed(
    board: LoopbackBoard, tmp_path: Path
) -> None:
    cp, machine = here()
    folder = cache_folder() / "wheels"
    tag = f"{cp}-{cp}-manylinux_2_17_{machine}"
    wrong = {"onnxruntime/__init__.py": "raise ImportError('libfoo.so: wrong ELF class')"}
    make_wheel(folder, "onnxruntime", "1.0", tag, wrong)
    make_wheel(folder, "numpy", "1.0", f"{cp}-{cp}-manylinux_2_17_{machine}", {"numpy/a.py": ""})
    put_on_list(folder)
    work = AtWork(board, tmp_path)
    work.target = work.new_target(packages="sent")
    work.target.engine = "onnxruntime"
    work.target._offline = True
    with pytest.raises(TargetError, match="cannot be imported on target 'board'") as wrong_wheel:
        work.start().join()
    assert "another engine" in wrong_wheel.value.hint
    assert not list((board.cache / "packages").glob("onnxruntime-*"))


@pytest.mark.smoke
def test_sent_once_and_without_what_only_developers_need(
    board: LoopbackBoard, tmp_path: Path
) -> None:
    cp, machine = here()
    folder = cache_folder() / "wheels"
    tag = f"{cp}-{cp}-manylinux_2_17_{machine}"
    import numpy

    links = {
        "numpy/__init__.py": (
            "import importlib.util as u, sys\n"
            f"s = u.spec_from_file_location('numpy', {numpy.__file__!r})\n"
            "m = u.module_from_spec(s); sys.modules['numpy'] = m; s.loader.exec_module(m)\n"
        ),
        "numpy/tests/test_a.py": "",
        "numpy/a.pyi": "",
    }
    make_wheel(folder, "numpy", "1.0", tag, links)
    make_wheel(
        folder,
        "onnxruntime",
        "9.9",
        tag,
        {"onnxruntime/__init__.py": "__version__ = '9.9'\nclass InferenceSession: pass\n",
         "onnxruntime-9.9.data/purelib/onnxruntime/more.py": ""},
    )  # fmt: skip
    put_on_list(folder)
    work = AtWork(board, tmp_path)
    work.target = work.new_target(packages="sent")
    work.target.engine = "onnxruntime"
    work.target._offline = True
    assert work.target.probe().engines["onnxruntime"] == "9.9"
    assert work.start().join()["a"].status == "ok"
    (package,) = (board.cache / "packages").glob("onnxruntime-*")
    sent = {str(path.relative_to(package)) for path in package.rglob("*.py*") if path.is_file()}
    assert {"onnxruntime/__init__.py", "onnxruntime/more.py", "numpy/__init__.py"} <= sent
    assert not any("tests" in name or name.endswith(".pyi") for name in sent)
