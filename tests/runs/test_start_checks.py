"""What can be known at the start is refused before anything is trained, measured or kept."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from edgenas.core.errors import EdgeNasError, InputError, TargetError, closest
from edgenas.core.goals import require_units
from edgenas.core.metrics import of_column
from edgenas.core.progress import Silent
from edgenas.runs import search
from edgenas.runs.boards import search as several
from edgenas.runs.open import open_run
from edgenas.runs.start.checks import require_engine
from edgenas.targets.config import shipped_files

ONNX = {"engine": "onnxruntime"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"optimizer": "nsga2"}, "nsga2.*needs the package pymoo.*edgenas\\[pareto\\]"),
        ({"engine": "litert"}, "needs the package ai-edge-litert.*pip install"),
        ({"engine": "litertt"}, "Did you mean 'litert'"),
        ({"batch_size": 5000}, "--batch-size 5000 is more than the [0-9,]+ training images"),
        ({"samples": 10**15}, "--samples 10+ is more than the [0-9,]+ networks"),
        ({"top": 10**15}, "--top 10+ is more than"),
        ({"optimizer": "monas", "reward": "mixt"}, "no reward 'mixt'.*Did you mean 'mixed'"),
        ({"constraints": ("peak_rss<=64",)}, 'has no unit.*"peak_rss<=64MB"'),
        ({"constraints": ("luts<=30000",)}, "luts is known of an FPGA alone"),
        (
            {"target_gain": 0.001, "constraints": ("size<=80kB",)},
            "--target-gain is of the most accurate network under one limit",
        ),
        ({"target": "raspbery5"}, "There is no target.*Did you mean 'raspberrypi5'"),
    ],
)
@pytest.mark.parametrize("boards", [1, 2])
def test_what_cannot_be_met_is_refused_before_anything_is_done(
    asked: dict[str, Any],
    message: str,
    boards: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("pymoo", "ai_edge_litert", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, module, None)  # not installed
    run = tmp_path / "run"
    with pytest.raises(EdgeNasError, match=f"(?s){message}"):
        if boards == 1:
            search.search(run, {**ONNX, **asked}, Silent(), resume=False)
        else:
            targets = [asked.get("target", "local"), str(target_file(tmp_path))]
            engines = [asked.get("engine", "onnxruntime")]
            rest = {k: v for k, v in asked.items() if k not in ("target", "engine")}
            several.search_several(run, targets, rest, Silent(), resume=False, engines=engines)
    assert not list(run.rglob("supernet*")) and not list(run.rglob("jobs"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"constraints": ("images_per_s>=1e6",)}, r"No folding.*stem takes.*images_per_s>=\d+"),
        (
            {"objectives": ("images_per_s", "luts")},
            "images_per_s and luts cannot both be objectives.*Limit one of them",
        ),
        ({"constraints": ("images_per_s<=1000",)}, "images_per_s has no upper limit"),
        ({"space": "mbv3-cpu"}, "'mbv3-cpu' has squeeze-excite layers"),
        ({"engine": "litert"}, "in onnxruntime"),
    ],
)
def test_what_no_fpga_can_be_is_refused_before_anything_is_done(
    asked: dict[str, Any], message: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(EdgeNasError) as refused:
        search.search(run, {"target": "pynq-z2", **asked}, Silent(), resume=False)
    assert re.search(message, f"{refused.value.message} {refused.value.hint}")
    assert not list(run.rglob("supernet*")) and not list(run.rglob("jobs"))


def target_file(folder: Path) -> Path:
    path = folder / "second.toml"
    path.write_text('kind = "local"\nname = "second"\n')
    return path


def test_an_engine_that_the_target_has_not_is_refused_once_it_is_probed(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", ONNX, Silent(), resume=False) as context:
        profile = search.step(context, "probe")
        require_engine(context, profile)
        without = dataclasses.replace(profile, engines={"litert": "2.3.0"}, offers={})
        with pytest.raises(TargetError, match=r"cannot have the engine onnxruntime.*has litert"):
            require_engine(context, without)


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("peak_rss<=64", "peak_rss<=64MB"),
        ("latency<=3", "latency<=3ms"),
        ("energy >= 12", "energy>=12mJ"),
        ("model_size<64", "model_size<64MB"),
        ("p90<=3", "p90<=3ms"),
    ],
)
def test_a_limit_without_its_unit_is_refused_with_the_right_spelling(
    text: str, spelling: str
) -> None:
    with pytest.raises(InputError) as refused:
        require_units([text])
    assert f'"{spelling}"' in refused.value.hint


def test_a_limit_whose_unit_is_known_is_taken() -> None:
    said = ("energy_mj<=12", "peak_rss<=64MB", "latency_ms<=3", "peak_rss_bytes<=64000000")
    require_units([*said, "accuracy>=0.9", "accuracy>=90%", "params<=3e5", "macs<=2M"])
    columns = {name: of_column(name, 90.0) for name in ("pi4_ms", "top1", "score")}
    require_units(["pi4_ms<=3", "top1>=70", "score>=2"], columns)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("pi4", "raspberrypi4"),
        ("rpi5", "raspberrypi5"),
        ("RaspberryPi4", "raspberrypi4"),
        ("orin", "jetson-orin-nano"),
        ("raspbery3", "raspberrypi3"),
        ("lokal", "local"),
        ("zzz", None),
    ],
)
def test_the_target_that_was_meant_is_named(written: str, meant: str | None) -> None:
    assert closest(written, shipped_files()) == meant


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("fashion", "no data set 'fashion', but.*a folder.*--data imagefolder:fashion"),
        ("imagefolder:fashon", "no image folder '.*fashon'.*Did you mean 'imagefolder:.*fashion'"),
        ("digit", "no 'digit' among the data.*Did you mean 'digits'"),
    ],
)
def test_the_images_that_were_meant_are_named(
    data: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fashion").mkdir()
    with pytest.raises(InputError, match=message):
        search.search(tmp_path / "run", {**ONNX, "data": data}, Silent(), resume=False)
    assert not (tmp_path / "run").exists()
