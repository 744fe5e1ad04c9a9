"""Wheels for a board: the ladder of tags, pip's choice, the cache, and what is sent of them."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import zipfile
from pathlib import Path

import pytest
from boards.at_work import AtWork
from boards.loopback import LoopbackBoard
from packaging import tags as reference

from edgenas.errors import TargetError
from edgenas.targets import wheels
from edgenas.targets.wheels import Platform


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


def make_wheel(folder: Path, name: str, version: str, tag: str, files: dict[str, str]) -> Path:
    """Write a wheel with all that pip asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n",
    }
    record = ""
    for inside, text in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{inside},sha256={digest.decode()},{len(text.encode())}\n"
    with zipfile.ZipFile(path, "w") as wheel:
        for inside, text in {**contents, f"{info}/RECORD": record}.items():
            wheel.writestr(inside, text)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgenas" / "wheels"


def stock(cache: Path, cp: str = "cp311", machine: str = "aarch64") -> None:
    for version, glibc in (("1.0", 17), ("2.0", 28), ("3.0", 39)):
        tag = f"{cp}-{cp}-manylinux_2_{glibc}_{machine}"
        make_wheel(cache, "onnxruntime", version, tag, {"onnxruntime/__init__.py": ""})
    make_wheel(cache, "numpy", "2.0", f"{cp}-{cp}-manylinux2014_{machine}", {"numpy/a.py": ""})


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


def test_no_wheels_offline_says_what_to_do(cache: Path) -> None:
    with pytest.raises(TargetError, match=r"No wheels of onnxruntime for Python 3\.13") as none:
        wheels.resolve("onnxruntime", Platform("aarch64", (3, 13), 41), offline=True)
    assert "without --offline" in none.value.hint


def test_board_without_glibc(cache: Path) -> None:
    with pytest.raises(TargetError, match="no glibc") as none:
        wheels.resolve("onnxruntime", Platform("aarch64", (3, 11), None), offline=True)
    assert 'packages = "own"' in none.value.hint


# ---------------------------------------------------------------- sending them


ENGINE = "def version():\n    return '7.0'\n"


def here() -> tuple[str, str]:
    cp = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    return cp, os.uname().machine


def test_wheel_that_cannot_be_imported_is_named_and_removed(
    board: LoopbackBoard, tmp_path: Path
) -> None:
    cp, machine = here()
    folder = wheels.cache_folder() / "wheels"
    tag = f"{cp}-{cp}-manylinux_2_17_{machine}"
    wrong = {"onnxruntime/__init__.py": "raise ImportError('libfoo.so: wrong ELF class')"}
    make_wheel(folder, "onnxruntime", "1.0", tag, wrong)
    make_wheel(folder, "numpy", "1.0", f"{cp}-{cp}-manylinux_2_17_{machine}", {"numpy/a.py": ""})
    work = AtWork(board, tmp_path)
    work.target = work.new_target(packages="sent")
    work.target.engine = "onnxruntime"
    work.target._offline = True
    with pytest.raises(TargetError, match="cannot be imported on target 'board'") as wrong_wheel:
        work.start().join()
    assert "another engine" in wrong_wheel.value.hint
    assert not list((board.cache / "packages").glob("onnxruntime-*"))


def test_sent_once_and_without_what_only_developers_need(
    board: LoopbackBoard, tmp_path: Path
) -> None:
    cp, machine = here()
    folder = wheels.cache_folder() / "wheels"
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
