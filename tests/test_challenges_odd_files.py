"""Whatever is handed in or given, a check ends in findings or one clear line."""

from __future__ import annotations

import json
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from challenge_packages import entry, good_2023, good_generic, write
from onnx import TensorProto, helper
from PIL import Image

from edgenas.challenges import generic, lpcvc2023, ovic2020
from edgenas.errors import InputError
from edgenas.submission import check

GIVEN = {"accuracy": "0.7", "latency_ms": "28", "frontier_k": "16.9", "frontier_a0": "12"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("latency_ms", "inf"), ("frontier_k", "nan"), ("target_ms", "1e308"), ("latency_ms", "1e-99")],
)
def test_a_parameter_that_is_no_figure_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(InputError, match=r"which is no number|cannot be scored"):
        ovic2020.score(tmp_path, None, {**GIVEN, name: value})


def test_a_sequence_where_scores_are_wanted_is_called_one(tmp_path: Path) -> None:
    one = helper.make_tensor_type_proto(TensorProto.FLOAT, [1, 3])
    image = helper.make_value_info("image", one)
    scores = helper.make_value_info("scores", helper.make_sequence_type_proto(one))
    node = helper.make_node("SequenceConstruct", ["image"], ["scores"])
    graph = helper.make_graph([node], "classifier", [image], [scores])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    path = write(tmp_path, "model.onnx", model.SerializeToString())
    for name in ("generic", "lpcvc2025-track1"):
        (finding, *_) = check(name, path, {})["findings"]
        assert "'scores' is no tensor, but a sequence or a map." in finding["message"]


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("./", b"1", None),
        (".", b"1", None),
        ("x.py", b"-" * 200_000 + b"1", "nested too deeply"),
        ("x.py", b"x" + b".a" * 100_000, "recursion"),
        ("x.py", b"\0", "null bytes"),
    ],
)
def test_a_zip_of_odd_names_and_sources(
    tmp_path: Path, name: str, source: bytes, said: str | None
) -> None:
    path = tmp_path / "solution.pyz"
    with path.open("wb") as stream:
        stream.write(b"#!/usr/bin/env python3.6\n")
        with zipfile.ZipFile(stream, "w") as package:
            package.writestr("__main__.py", "pass")
            package.writestr(name, source)
    errors = [one.message for one in lpcvc2023.lint(path) if one.severity == "error"]
    assert (errors == []) if said is None else (said in errors[0])


@pytest.mark.parametrize("card", [{"n_images": 1e999}, {"latency_ms": 1e999}, None])
def test_a_card_of_endless_figures_is_not_scored(tmp_path: Path, card: Any) -> None:
    package = good_generic(tmp_path)
    text = "[" * 100_000 if card is None else json.dumps({**entry(16, 5).card, **card})
    (package / "card.json").write_text(text)
    with pytest.raises(InputError, match=r"scored"):
        generic.score(package, None, {})
    document = check("generic", package, {})
    assert document["status"] == "fail"
    json.dumps(document, allow_nan=False)


# ---------------------------------------------------------------- the referee


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    folders = {name: tmp_path / name for name in ("images", "truth")}
    for folder in folders.values():
        folder.mkdir()
        Image.fromarray(np.zeros((512, 512), np.uint8)).save(folder / "a.png")
    return {**{name: str(path) for name, path in folders.items()}, "python": sys.executable}


LATE = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with open({pid!r}, "w") as file:
    file.write(str(child.pid))
time.sleep(60)
"""


def test_what_a_late_package_started_ends_with_it(tmp_path: Path, given: dict[str, str]) -> None:
    pid = tmp_path / "pid"
    package = good_2023(tmp_path, LATE.format(pid=str(pid)))
    document = check("lpcvc2023", package, {**given, "limit_s": "2"})
    assert document["status"] == "fail"
    found = [one for one in document["findings"] if one["severity"] == "error"]
    assert [one["rule"] for one in found] == ["time"]
    assert "was not ready after 2 s" in found[0]["message"]
    deadline = time.monotonic() + 30  # the kernel ends it when it next has a core
    while _lives(pid.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(pid.read_text())


def _lives(pid: str) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] not in "ZX"


@pytest.mark.parametrize(
    ("source", "rule"),
    [("print('ready')", "time"), ("raise MemoryError", "task"), ("print(1.5)", "output")],
)
def test_what_disqualifies_is_a_finding_with_its_rule(
    tmp_path: Path, given: dict[str, str], source: str, rule: str
) -> None:
    document = check("lpcvc2023", good_2023(tmp_path, source), given)
    assert document["status"] == "fail"
    assert rule in {one["rule"] for one in document["findings"] if one["severity"] == "error"}


def test_what_is_missing_disqualifies_nobody(tmp_path: Path, given: dict[str, str]) -> None:
    package = good_2023(tmp_path)
    script = write(tmp_path, "python0", b"no program")
    script.chmod(0o755)
    for more in ({"python": str(script)}, {"limit_s": "-1"}, {"truth": str(tmp_path)}):
        document = check("lpcvc2023", package, {**given, **more})
        assert document["status"] == "pass"
        assert document["score"]["value"] is None
