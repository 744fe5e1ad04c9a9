"""Building and judging: scores by the published formulas, and packages run as a referee does."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from sklearn.metrics import f1_score

from edgenas.challenges import generic, lpcvc2023, lpcvc2025_track1, ovic2020
from edgenas.challenges.base import Facts
from edgenas.challenges.lpcvc2023_referee import mean_dice
from edgenas.core import plugins
from edgenas.core.errors import InputError
from helpers.challenge_packages import SOLUTION, emit, entry, good_2023, good_generic, tiny_graph

FACTS = Facts(accuracy=0.70, latency_ms=30.0, n_images=5000)


# ---------------------------------------------------------------- OVIC 2020


def test_ovic_score_is_the_gain_over_the_frontier(tmp_path: Path) -> None:
    given = {"frontier_k": "10", "frontier_a0": "30"}
    score = ovic2020.score(tmp_path, FACTS, given)
    assert score.value == pytest.approx(70 - (10 * math.log(30) + 30))
    assert score.details["frontier_percent"] == pytest.approx(64.012, abs=1e-3)
    assert score.notes == ()
    late = ovic2020.score(tmp_path, replace(FACTS, latency_ms=60.0), given)
    assert late.value == pytest.approx(score.value - 10 * math.log(2))
    assert "Slower than the target" in late.notes[0]
    by_hand = {**given, "accuracy": "0.7", "latency_ms": "30"}
    assert ovic2020.score(tmp_path, None, by_hand).value == score.value


def test_ovic_frontier_is_never_guessed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be scored without frontier_k"):
        ovic2020.score(tmp_path, FACTS, {})
    with pytest.raises(InputError, match="which is no number"):
        ovic2020.score(tmp_path, FACTS, {"frontier_k": "ten", "frontier_a0": "1"})
    with pytest.raises(InputError, match="neither is given"):
        ovic2020.score(tmp_path, None, {"frontier_k": "1", "frontier_a0": "1"})
    with pytest.raises(InputError, match="cannot be scored"):
        ovic2020.score(tmp_path, replace(FACTS, accuracy=70.0), {})


def test_ovic_takes_imagenet_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has not exported"):
        ovic2020.build(entry(16, 5), tmp_path)
    small = replace(entry(16, 5), models={"uint8.tflite": b"x"})
    with pytest.raises(InputError, match="tells 5 classes apart"):
        ovic2020.build(small, tmp_path)


# ---------------------------------------------------------------- LPCVC 2025, track 1


def test_2025_says_at_which_size_the_network_is_and_how_to_search_at_the_judges(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match="takes colour images of 168 x 168 pixels") as refusal:
        lpcvc2025_track1.build(entry(168, 64), tmp_path)
    assert "resolutions = [224]" in refusal.value.hint


def test_2025_model_is_renamed_and_still_runs(tmp_path: Path) -> None:
    path = lpcvc2025_track1.build(entry(224, 64), tmp_path)
    for file in (path, tmp_path / "model_fp32.onnx"):
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (logits,) = session.run(None, {"image": np.zeros((1, 3, 224, 224), np.float32)})
        assert logits.shape == (1, 64)
    steps = [f.message for f in lpcvc2025_track1.lint(path) if f.severity == "step"]
    assert any("Share the compile job" in step for step in steps)
    assert any("form" in step for step in steps)


def test_2025_wrong_size_or_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="224 x 224"):
        lpcvc2025_track1.build(entry(192, 64), tmp_path)
    with pytest.raises(InputError, match="tells 10 classes apart"):
        lpcvc2025_track1.build(entry(224, 10), tmp_path)


def test_2025_score_says_what_it_cannot_know(tmp_path: Path) -> None:
    score = lpcvc2025_track1.score(tmp_path, FACTS, {"latency_limit_ms": "10"})
    assert score.value == 70
    assert any("AI Hub" in note for note in score.notes)
    assert any("Slower than 10 ms" in note for note in score.notes)


# ---------------------------------------------------------------- LPCVC 2023


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Two images whose classes are their grey levels / 20, and class maps that differ in places."""
    rng = np.random.default_rng(0)
    for folder in ("images", "truth"):
        (tmp_path / folder).mkdir()
    for index in range(2):
        classes = rng.integers(0, 14, (8, 8)).astype(np.uint8).repeat(64, 0).repeat(64, 1)
        grey = classes * 20 + 5
        Image.fromarray(grey).save(tmp_path / "images" / f"image_{index}.png")
        classes[:100] = 3
        Image.fromarray(classes).save(tmp_path / "truth" / f"image_{index}.png")
    return tmp_path


def judge(scene: Path, package: Path, **given: str) -> object:
    folders = {"images": str(scene / "images"), "truth": str(scene / "truth")}
    return lpcvc2023.score(package, None, {**folders, "python": sys.executable, **given})


def test_2023_referee_scores_dice_over_seconds(scene: Path) -> None:
    score = judge(scene, good_2023(scene))
    dices = []
    for index in range(2):
        grey = np.asarray(Image.open(scene / "images" / f"image_{index}.png")) // 20
        truth = np.asarray(Image.open(scene / "truth" / f"image_{index}.png"))
        dices.append(f1_score(truth.ravel(), grey.ravel(), average="macro"))
    assert score.details["mean_dice"] == pytest.approx(np.mean(dices))
    assert score.details["n_images"] == 2
    seconds = score.details["seconds"]
    assert 0 < seconds <= score.details["wall_seconds"]
    assert score.value == pytest.approx(np.mean(dices) / (seconds / 2))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.replace("print(", "str("), "is no time"),
        (lambda s: s + "\nprint('ready')", "is no time: 'ready'"),
        (lambda s: s.replace("(0, 13)", "(0, 20)").replace("// 20", "// 12"), "values up to"),
        (lambda s: s.replace("fromarray(classes)", "fromarray(classes[:256])"), "512 x 256"),
        (lambda s: s.replace('".png"', '"_map.png"'), "wrote no image_0.png"),
        (lambda s: "raise MemoryError('no room')", "no room"),
        (lambda s: "import time; time.sleep(60)", "was not ready after 0.5 s"),
    ],
)
def test_2023_disqualification_is_one_clear_line(
    scene: Path, change: Callable[[str], str], said: str
) -> None:
    package = good_2023(scene, change(SOLUTION))
    with pytest.raises(InputError, match=said):
        judge(scene, package, **({"limit_s": "0.5"} if "0.5 s" in said else {}))


def test_2023_package_imports_nothing_from_the_current_folder(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = tmp_path / "received"
    received.mkdir()
    (received / "argparse.py").write_text("raise SystemExit('planted')")
    package = good_2023(scene)
    monkeypatch.chdir(received)
    monkeypatch.setenv("PYTHONPATH", ".")
    assert judge(scene, package).value > 0


def test_2023_says_what_is_missing(scene: Path) -> None:
    package = good_2023(scene)
    with pytest.raises(InputError, match="on images and truth"):
        lpcvc2023.score(package, None, {})
    with pytest.raises(InputError, match="no interpreter 'python0'"):
        judge(scene, package, python="python0")
    with pytest.raises(InputError, match="There is no folder"):
        judge(scene, package, images=str(scene / "nowhere"))
    (scene / "truth" / "image_1.png").unlink()
    with pytest.raises(InputError, match="no class map"):
        judge(scene, package)


def test_2023_refuses_a_classifier(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="classification backbone is no valid entry"):
        lpcvc2023.build(entry(16, 5), tmp_path)


def test_dice_leaves_absent_classes_out() -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        truth, found = rng.choice([0, 2, 5, 13], (2, 40, 40))
        expected = f1_score(truth.ravel(), found.ravel(), average="macro")
        assert mean_dice(truth, found, 14) == pytest.approx(expected)
    assert mean_dice(truth, truth, 14) == 1.0


# ---------------------------------------------------------------- generic


def test_generic_package_is_whole(tmp_path: Path) -> None:
    path = good_generic(tmp_path)
    names = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    assert names == {
        "model.onnx",
        "labels.txt",
        "card.json",
        "REPRODUCE.txt",
        "SHA256SUMS",
        "evidence/samples.json",
    }
    assert (path / "REPRODUCE.txt").read_text() == "edgenas search\n"
    assert generic.score(path, FACTS, {}).value == 70


def test_generic_float_island_is_a_warning(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    path = good_generic(tmp_path)
    model = onnx.load(path / "model.onnx")
    last = model.graph.node[-1]
    last.output[0] = "almost"
    model.graph.node.append(helper.make_node("Add", ["almost", "almost"], ["twice"]))
    model.graph.node.append(helper.make_node("Add", ["twice", "twice"], ["logits"]))
    onnx.save(model, path / "model.onnx")
    warnings = [f for f in plugins.load("challenges", "generic").lint(path) if f.rule == "integer"]
    assert [finding.severity for finding in warnings] == ["warning"]
    assert "logits" in warnings[0].message


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_generic_packs_the_file_that_the_run_verified(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    graph = tiny_graph(16, 5)
    known = {f"int8.{name}": emit(name, graph, "s8s8") for name in ("onnx", "tflite")}
    run = replace(entry(16, 5), models=known, card={**entry(16, 5).card, "format": kind})
    path = generic.build(run, tmp_path)
    assert (path / f"model.{kind}").read_bytes() == known[f"int8.{kind}"]
    assert [file.name for file in path.glob("model.*")] == [f"model.{kind}"]
    assert generic.lint(path) == ()
    (path / "labels.txt").write_text("one\ntwo\n")
    assert "gives [5] scores for 2 labels" in " ".join(f.message for f in generic.lint(path))


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_generic_checks_a_model_file_by_itself(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    path = tmp_path / f"mine.{kind}"
    path.write_bytes(emit(kind, tiny_graph(16, 5), "s8s8"))
    assert generic.lint(path) == ()
    path.write_bytes(path.read_bytes()[:200])
    (finding,) = generic.lint(path)
    assert (finding.rule, finding.severity) == ("model", "error")
    assert finding.message.startswith(f"mine.{kind}: ")
