"""Whatever is handed in or given, a check ends in findings or one clear line."""

from __future__ import annotations

import json
import re
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from edgenas.challenges import generic, lpcvc2023, ovic2020, package_process
from edgenas.core.errors import InputError
from edgenas.runs.submission import check
from helpers.challenge_packages import entry, good_2023, good_generic, write

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
        ("x.py", b"x" + b".a" * 100_000, None if sys.version_info < (3, 11) else "recursion"),
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
    document = check("lpcvc2023", package, {**given, "limit_s": "2", "sandbox": "off"})
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


# ---------------------------------------------------------------- the ends of a model


def ends(
    tmp_path: Path,
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    **stored: Any,
) -> Path:
    node = helper.make_node("Relu", ["image"], ["scores"])
    graph = helper.make_graph([node], "classifier", inputs, outputs, **stored)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return write(tmp_path, "model.onnx", model.SerializeToString())


def tensor(name: str, shape: list[Any] | None, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


IMAGE, SCORES = tensor("image", [1, 3, 8, 8]), tensor("scores", [1, 3, 8, 8])


@pytest.mark.parametrize("challenge", ["generic", "lpcvc2025-track1"])
@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ([IMAGE], [], r"no output|0 outputs"),
        ([IMAGE, tensor("more", [1])], [SCORES], "The model has 2 inputs"),
        ([tensor("image", ["n", 3, 8, 8])], [SCORES], r"\[open, 3, 8, 8\]"),
        ([tensor("image", [-1, 3, 8, 8])], [SCORES], r"\[open, 3, 8, 8\]"),
        ([tensor("image", None)], [SCORES], "'shape' of 'type' is required"),
        ([IMAGE], [tensor("scores", [1], 99)], "'scores' has the element type 99"),
        ([IMAGE], [tensor("scores", [1], 0)], "element type 0|elem_type"),
    ],
)
def test_a_model_whose_ends_are_no_classifiers_is_rejected(
    tmp_path: Path, challenge: str, inputs: list[Any], outputs: list[Any], said: str
) -> None:
    document = check(challenge, ends(tmp_path, inputs, outputs), {})
    assert document["status"] == "fail"
    errors = [one["message"] for one in document["findings"] if one["severity"] == "error"]
    assert re.search(said, " ".join(errors))


@pytest.mark.parametrize("challenge", ["generic", "lpcvc2025-track1"])
def test_a_model_without_an_input_is_rejected(tmp_path: Path, challenge: str) -> None:
    values = helper.make_tensor("image", TensorProto.FLOAT, [1], [0.0])
    path = ends(tmp_path, [], [tensor("scores", [1])], initializer=[values])
    document = check(challenge, path, {})
    assert document["status"] == "fail"
    assert re.search(r"no input|0 inputs", document["findings"][0]["message"])


@pytest.mark.parametrize("where", ["initializer", "node", "graph of a node"])
@pytest.mark.parametrize("challenge", ["generic", "lpcvc2025-track1"])
def test_weights_outside_of_the_file_are_found_wherever_they_are_named(
    tmp_path: Path, challenge: str, where: str
) -> None:
    outside = helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0])
    outside.ClearField("float_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../../../../etc/passwd")
    constant = helper.make_node("Constant", [], ["w"], value=outside)
    body = helper.make_graph([constant], "body", [], [tensor("w", [1])])
    nodes = {
        "initializer": [],
        "node": [constant],
        "graph of a node": [
            helper.make_node("If", ["yes"], ["v"], then_branch=body, else_branch=body)
        ],
    }[where]
    graph = helper.make_graph(
        [*nodes, helper.make_node("Relu", ["image"], ["scores"])],
        "classifier",
        [IMAGE],
        [SCORES],
        [outside] if where == "initializer" else [],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    document = check(challenge, write(tmp_path, "model.onnx", model.SerializeToString()), {})
    assert "Its weights are in another file." in document["findings"][0]["message"]


AWAY = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ.clear()
        with open({pid!r}, "w") as file:
            file.write(str(os.getpid()))
        for number in range(3, 256):
            try:
                os.close(number)
            except OSError:
                pass
        time.sleep(60)
    os._exit(0)
while not os.path.exists({pid!r}) or not open({pid!r}).read():
    time.sleep(0.01)
{then}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems let daemons live")
@pytest.mark.parametrize("then", ["print(1.0)", "time.sleep(60)", "raise SystemExit(3)"])
def test_a_daemon_that_a_package_made_ends_with_it(
    tmp_path: Path, given: dict[str, str], then: str
) -> None:
    pid = tmp_path / "pid"
    package = good_2023(tmp_path, AWAY.format(pid=str(pid), then=then))
    check("lpcvc2023", package, {**given, "limit_s": "3", "sandbox": "off"})
    assert not _lives(pid.read_text())


ENDLESS = """
import sys
for _ in range(1000):
    sys.stdout.write("x" * 100_000)
    sys.stderr.write("y" * 100_000)
print("\\n2.5")
"""


def test_what_a_package_prints_is_kept_at_its_end_only(tmp_path: Path) -> None:
    program = write(tmp_path, "endless.py", ENDLESS.encode())
    ended = package_process.finished([sys.executable, str(program)], tmp_path, 60)
    assert ended.status == 0
    assert ended.output.endswith(b"\n2.5\n")
    assert max(len(ended.output), len(ended.errors)) <= 2**16


def test_a_map_that_is_a_link_is_no_map(tmp_path: Path, given: dict[str, str]) -> None:
    source = f"""
import os, sys
os.symlink({str(Path(given["truth"]) / "a.png")!r}, os.path.join(sys.argv[4], "a.png"))
print(1.0)
"""
    document = check("lpcvc2023", good_2023(tmp_path, source), {**given, "sandbox": "off"})
    assert document["score"]["value"] is None
    assert "output" in {one["rule"] for one in document["findings"]}


JUDGED = """
import os, shutil, socket, sys
images, out = sys.argv[2], sys.argv[4]
shutil.copy(os.path.join(images, "a.png"), os.path.join(out, "a.png"))
try:
    open({outside!r}, "w").close()
except OSError:
    pass
sees = os.path.exists({truth!r})
network = [name for _, name in socket.if_nameindex() if name != "lo"]
with open(os.path.join(out, "seen.txt"), "w") as file:
    print(sees, network, file=file)
if {confined!r} == "yes" and (sees or network):
    raise SystemExit("it sees the truth or a network: %s %s" % (sees, network))
print(1.0)
"""


def judged(folder: Path, given: dict[str, str], sandbox: str, confined: str) -> tuple[str, bool]:
    """Return the first note on a package that was judged, and whether it could write outside."""
    outside = Path.home() / f".edgenas-test-{folder.name}"
    truth = str(Path(given["truth"]) / "a.png")
    source = JUDGED.format(outside=str(outside), truth=truth, confined=confined)
    try:
        document = check("lpcvc2023", good_2023(folder, source), {**given, "sandbox": sandbox})
        assert document["score"]["value"] is not None, document["findings"]
        return document["score"]["notes"][0], outside.exists()
    finally:
        outside.unlink(missing_ok=True)


def test_a_package_in_bubblewrap_has_no_network_no_truth_and_no_files_of_yours(
    tmp_path: Path, given: dict[str, str]
) -> None:
    if package_process.confine(["true"], [], tmp_path, []) is None:
        pytest.skip("bubblewrap is not installed, or may not make namespaces here")
    note, wrote = judged(tmp_path, given, "auto", "yes")
    assert "in bubblewrap: no network" in note
    assert not wrote


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_a_package_without_bubblewrap_runs_with_your_rights_and_the_verdict_says_so(
    tmp_path: Path, given: dict[str, str], sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sandbox == "auto":
        monkeypatch.setattr(package_process.shutil, "which", _no_bubblewrap)
    note, wrote = judged(tmp_path, given, sandbox, "no")
    assert "with your rights" in note
    assert wrote


def _no_bubblewrap(name: str) -> str | None:
    return None if name == "bwrap" else name
