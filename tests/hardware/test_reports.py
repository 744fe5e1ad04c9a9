"""What FINN reported is read beside the network that it is of; what is wrong with it is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.core.errors import EdgeNasError
from edgenas.hardware import reports
from edgenas.hardware.dataflow import Style
from edgenas.hardware.devices import DEVICES
from edgenas.hardware.pipeline import Factors, Pipeline
from edgenas.spaces import mbv3_tiny
from tests.helpers.finn_reports import TRUTH, build, export, synthesised, units

PIPELINE = Pipeline(DEVICES["pynq-z2"], 100.0, 1000)
SPACE = mbv3_tiny.create(10, 1, 16)
LAYERS = SPACE.layers(SPACE.largest())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    export(tmp_path, "net", LAYERS, PIPELINE)
    export(tmp_path, "small", SPACE.layers(SPACE.smallest()), PIPELINE)
    return tmp_path


def report() -> dict[str, dict[str, Any]]:
    return synthesised(LAYERS, PIPELINE, np.random.default_rng(0))


def test_each_unit_stands_beside_its_formula(models: Path) -> None:
    (read,) = reports.read_reports([build(models, "net", report())], Style())
    expected = units(LAYERS, PIPELINE)
    assert read.network == "net" and len(read.units) == len(expected)
    for one, unit in zip(read.units, expected.values(), strict=True):
        assert one.kind == unit.kind
        assert one.formula_luts == pytest.approx(Factors().luts(unit))
        assert one.bram18 == 2 * one.formula_bram18 == 2 * unit.bram18
        assert one.luts / one.formula_luts == pytest.approx(TRUTH[one.kind], rel=0.5)


def test_units_without_a_formula_are_borne_by_the_others(models: Path) -> None:
    plain = report()
    whole = sum(value["LUT"] for name, value in plain.items() if name != "(top)")
    more = plain | {"StreamingFIFO_rtl_0": {"LUT": "400"}, "Thresholding_rtl_0": {"LUT": 600}}
    (read,) = reports.read_reports([build(models, "net", more)], Style())
    assert sum(unit.luts for unit in read.units) == pytest.approx(whole + 1000)


def test_a_simulation_tells_the_cycles(models: Path) -> None:
    estimate = PIPELINE.estimate(LAYERS)
    speed = {"fclk[mhz]": 200.0, "throughput[images/s]": 1.0,
             "stable_throughput[images/s]": 2 * estimate.images_per_s / 1.25}  # fmt: skip
    read = reports.read_reports([build(models, "net", report(), speed)], Style())
    assert read[1].cycles == pytest.approx(1.25) and not read[1].units


def test_rtl_units_and_several_devices_are_read(models: Path) -> None:
    renamed = {name.replace("_hls_", "_rtl_"): value for name, value in report().items()}
    folder = build(models, "net", {"0": renamed})
    (read,) = reports.read_reports([folder / "report" / "post_synth_resources.json"], Style())
    assert len(read.units) == len(units(LAYERS, PIPELINE))


def _without(name: str, key: str = "") -> Callable[[dict[str, Any]], object]:
    return lambda known: known[name].pop(key) if key else known.pop(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("MVAU_hls_0"), r"\d+ MVAU units and net has \d+: it is a report of another"),
        (_without("MVAU_hls_0", "LUT"), "no number 'LUT' of MVAU_hls_0"),
        (lambda known: known["VVAU_hls_1"].update(LUT="many"), "no number 'LUT' of VVAU_hls_1"),
        (lambda known: known.update(MVAU_rtl_0={"LUT": 1}), "both MVAU_hls_0 and MVAU_rtl_0"),
        (lambda known: [known.pop(one) for one in list(known) if "_" in one], "no unit of net"),
        (dict.clear, "is no report"),
    ],
)
def test_a_report_of_something_else_is_refused(
    change: Callable[[dict[str, Any]], object], message: str, models: Path
) -> None:
    known = report()
    change(known)
    _refused(build(models, "net", known), message)


def test_the_report_of_another_network_is_refused(models: Path) -> None:
    _refused(build(models, "small", report()), "a report of another network")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<xml/>", "Cannot read .*post_synth_resources.json"),
        (b"[1, 2]", "is no report"),
        (b" " * (reports.MOST_BYTES + 1), "longer than 8 MiB"),
        (b'{"fclk[mhz]": 100}', r"no number 'stable_throughput\[images/s\]'"),
        (b'{"fclk[mhz]": 100, "throughput[images/s]": 0}', "took no image"),
    ],
)
def test_what_is_no_report_is_refused(content: bytes, message: str, models: Path) -> None:
    folder = build(models, "net", {})
    (folder / "report" / "post_synth_resources.json").write_bytes(content)
    _refused(folder, message)


def test_a_report_needs_its_network(models: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    _refused(build(models, "other", report()), "may belong to any of 2 networks")
    alone = tmp_path_factory.mktemp("alone") / "a" / "b"
    alone.mkdir(parents=True)
    _refused(build(alone, "net", report()), "belongs to no network")
    _refused(models / "absent.json", "There is no report")
    _refused(alone, "has no post_synth_resources.json")


def test_the_folding_of_another_network_is_refused(models: Path) -> None:
    path = models / "net.folding_config.json"
    config = json.loads(path.read_text())
    config["MVAU_hls_0"]["PE"] = 7
    path.write_text(json.dumps(config))
    _refused(build(models, "net", report()), "folding of another network: it has no MVAU_0")


def _refused(path: Path, message: str) -> None:
    with pytest.raises(EdgeNasError) as refused:
        reports.read_reports([path], Style())
    said = refused.value.message
    assert "\n" not in said and re.search(message, said), said
