"""The whole product on LiteRT, and on two engines of one machine: searched, submitted, replayed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from helpers.cli import edgenas

pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert: pip install 'edgenas[tflite]'")

pytestmark = pytest.mark.slow

SMALL = ("--epochs", "1", "--samples", "8", "--evaluate", "8", "--top", "1", "--seed", "1")
# The limit is one that every network keeps: what this machine does besides decides nothing.
QUICK = (*SMALL, "--device-time", "2s", "--max-latency", "1000ms", "--json")
PARTS = {"train": slice(0, 24), "val": slice(24, 32), "test": slice(32, 40)}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 120 digits of three classes."""
    folder, digits = tmp_path_factory.mktemp("digits"), load_digits()
    for label in (0, 1, 4):
        found = digits.images[digits.target == label]
        for split, part in PARTS.items():
            (folder / split / str(label)).mkdir(parents=True)
            for index, image in enumerate(found[part]):
                picture = Image.fromarray((15.9 * image).astype(np.uint8))
                picture.save(folder / split / str(label) / f"{index}.png")
    return folder


def searched(images: Path, out: Path, *engines: str) -> tuple[Path, dict[str, Any]]:
    options = [word for engine in engines for word in ("--engine", engine)]
    data = f"imagefolder:{images}"
    done = edgenas("search", "--data", data, *options, "--out", str(out), *QUICK)
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


@pytest.fixture(scope="module")
def litert(images: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    return searched(images, tmp_path_factory.mktemp("litert") / "run", "litert")


@pytest.mark.smoke
def test_the_winner_is_an_int8_file_that_litert_ran(litert: tuple[Path, dict[str, Any]]) -> None:
    from ai_edge_litert.interpreter import Interpreter

    run, document = litert
    winner = document["winner"]
    interpreter = Interpreter(str(run / "models" / Path(winner["model"]).name))
    (entry,), (logits,) = interpreter.get_input_details(), interpreter.get_output_details()
    size = winner["architecture"]["resolution"]
    assert (entry["dtype"], list(entry["shape"])) == (np.int8, [1, size, size, 3])
    assert (logits["dtype"], list(logits["shape"])) == (np.int8, [1, 3])
    verified = json.loads((run / "verification.json").read_text("utf-8"))["models"][0]
    assert (verified["outcome"]["engine"], verified["outcome"]["provider"]) == ("litert", "XNNPACK")
    places = {row["place"]: row for row in verified["parity"]["engines"]}
    assert places["target"]["mean_steps"] <= verified["parity"]["most_mean_steps"]
    assert "XNNPACK" in (run / "report.html").read_text("utf-8")


def test_the_winner_is_submitted_and_its_evidence_replays(
    litert: tuple[Path, dict[str, Any]],
) -> None:
    run, document = litert
    first = edgenas("submit", str(run), "--challenge", "generic")
    assert "packing 1 file" in first.stdout + first.stderr
    done = edgenas("submit", str(run), "--challenge", "generic", "--json")
    submission = json.loads(done.stdout)
    assert (done.returncode, submission["findings"]) == (0, [])
    assert submission["score"]["value"] == 100 * document["winner"]["device_accuracy"]
    referee = submission["referee"]
    assert (referee["agrees"], referee["own_files"]) == (True, True)
    assert referee["verified_accuracy"] == document["winner"]["device_accuracy"]
    assert (referee["model"], referee["input"]["layout"]) == ("model.tflite", "nhwc")
    replayed = edgenas("verify", "--replay", submission["evidence"], "--json")
    assert replayed.returncode == 0, replayed.stdout
    assert {check["status"] for check in json.loads(replayed.stdout)["checks"]} == {"follows"}
    checked = edgenas("submit", "--check", submission["built"], "--challenge", "generic")
    assert checked.returncode == 0, checked.stdout


def test_a_package_that_does_not_do_what_was_verified_is_rejected(
    litert: tuple[Path, dict[str, Any]],
) -> None:
    run, document = litert
    kept = (run / "verification.json").read_text("utf-8")
    stated = document["winner"]["device_accuracy"]
    claimed = stated - 0.4 if stated > 0.5 else stated + 0.4
    changed = kept.replace(f'"device_accuracy": {stated}', f'"device_accuracy": {claimed}')
    assert changed != kept
    unsealed = json.loads(changed)  # as a run of before seals; a sealed one is not verified then
    del unsealed["verified_from"]["seal"], unsealed["verified_from"]["options"]
    (run / "verification.json").write_text(json.dumps(unsealed), "utf-8")
    try:
        done = edgenas("submit", str(run), "--challenge", "generic")
    finally:
        (run / "verification.json").write_text(kept, "utf-8")
    assert done.returncode == 1
    assert f"gets {stated:.2%} of" in done.stdout
    assert f"but {claimed:.2%} were verified" in done.stdout
    assert "would be rejected" in done.stdout


def test_a_network_is_written_for_pixels_as_they_are(
    litert: tuple[Path, dict[str, Any]],
) -> None:
    run, _ = litert
    done = edgenas("export", str(run), "--input", "uint8,bgr", "--json")
    assert done.returncode == 0, done.stderr
    for model in json.loads(done.stdout)["result"]:
        assert model["int8_file"].endswith(".uint8-nhwc-bgr-pixel.int8.tflite")
        assert (run / "models" / model["fp32_file"]).is_file()
        assert model["val_accuracy"] == pytest.approx(model["val_accuracy_before"], abs=0.05)
    refused = edgenas("export", str(run), "--input", "uint8,nchw")
    assert refused.returncode == 6
    assert "nchw, uint8 was asked for" in refused.stderr
    unknown = edgenas("export", str(run), "--input", "uint8,nwhc")
    assert unknown.returncode == 2
    assert "Did you mean 'nhwc'?" in unknown.stderr


def test_the_winner_is_profiled_in_the_engine_of_its_run(
    litert: tuple[Path, dict[str, Any]],
) -> None:
    run, _ = litert
    found = json.loads(edgenas("profile", str(run), "--runs", "3", "--json").stdout)
    assert (found["engine"], found["operators"][0]["name"]) == ("litert", "stem")


def test_a_classifier_of_three_classes_is_no_ovic_entry_and_its_file_says_why(
    litert: tuple[Path, dict[str, Any]],
) -> None:
    run, document = litert
    done = edgenas("submit", str(run), "--challenge", "ovic2020")
    assert done.returncode == 2
    assert "tells 3 classes apart, ovic2020 wants ImageNet's 1000" in done.stderr
    model = run / "models" / Path(document["winner"]["model"]).name
    checked = edgenas("submit", "--check", str(model), "--challenge", "ovic2020", "--json")
    found = json.loads(checked.stdout)
    assert (checked.returncode, found["status"]) == (1, "fail")
    assert {f["rule"] for f in found["findings"] if f["severity"] == "error"} == {"input", "output"}


def test_two_engines_are_measured_and_the_faster_is_recommended_in_ms(
    images: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("engines") / "run"
    run, document = searched(images, out, "onnxruntime", "litert")
    boards = {board["target"]: board for board in document["boards"]}
    assert set(boards) == {"local-onnxruntime", "local-litert"}
    suffixes = {name: Path(board["winner"]["model"]).suffix for name, board in boards.items()}
    assert suffixes == {"local-onnxruntime": ".onnx", "local-litert": ".tflite"}
    supernets = {file.read_bytes() for file in run.glob("boards/*/supernet.safetensors")}
    assert len(supernets) == 1
    (choice,) = document["engines"]
    medians = {engine: one["median"] for engine, one in choice["latency_ms"].items()}
    assert choice["recommended"] == min(medians, key=lambda engine: medians[engine])
    assert all(f"{median:.3g}" in choice["reason"] for median in medians.values())
    assert choice["reason"].endswith(f"recommended: {choice['recommended']}.")
    assert "ms" in choice["reason"]
    assert choice["reason"] in (run / "report.html").read_text("utf-8").replace("&#39;", "'")
    assert edgenas("optimize", document["boards"][0]["run"], "--max-latency", "8s").returncode == 0
    again = (run / "report.html").read_text("utf-8").replace("&#39;", "'")
    assert "not verified as it is now" in again
    assert choice["reason"] in again
