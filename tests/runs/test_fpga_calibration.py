"""Reports by a known truth: its factors are found again, and bounds hold for other networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.core.errors import InputError, RunFolderError
from edgenas.core.progress import Silent
from edgenas.core.records import Layer
from edgenas.hardware.dataflow import Style
from edgenas.hardware.devices import DEVICES
from edgenas.hardware.pipeline import Factors, Pipeline
from edgenas.hardware.reports import Report, read_reports
from edgenas.runs import search
from edgenas.runs.fpga.calibration import Calibration, calibrate, calibrated
from edgenas.runs.open import open_run
from edgenas.spaces import mbv3_tiny
from edgenas.targets import config
from tests.helpers.finn_reports import NOISE, TRUTH, build, export, synthesised

PIPELINE = Pipeline(DEVICES["pynq-z2"], 100.0, 1000)
SPACE = mbv3_tiny.create(10, 1, 16)


def network(seed: int) -> tuple[Layer, ...]:
    return SPACE.layers(SPACE.sample(np.random.default_rng(seed)))


def made(folder: Path, seeds: range) -> list[Path]:
    """Build networks of these seeds; return FINN's folders."""
    folders = []
    for seed in seeds:
        layers = network(seed)
        export(folder, f"net{seed}", layers, PIPELINE)
        report = synthesised(layers, PIPELINE, np.random.default_rng(1000 + seed))
        images_per_s = PIPELINE.estimate(layers).images_per_s
        slower = 1.05 + 0.01 * (seed % 3)
        speed = {"fclk[mhz]": 100.0, "throughput[images/s]": images_per_s / slower}
        folders.append(build(folder, f"net{seed}", report, speed))
    return folders


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, ...]:
    return read_reports(made(tmp_path_factory.mktemp("models"), range(6)), Style())


@pytest.fixture(scope="module")
def calibration(reports: tuple[Report, ...]) -> Calibration:
    return calibrate(reports, 0.95, 0)


def test_the_factors_of_the_truth_are_found_again(calibration: Calibration) -> None:
    found = {factor.kind: factor for factor in calibration.luts.factors}
    assert set(found) == set(TRUTH)
    for kind, factor in found.items():
        assert factor.lower < TRUTH[kind] < factor.upper
        assert factor.typical == pytest.approx(TRUTH[kind], rel=3 * NOISE / np.sqrt(6))
    assert calibration.luts.error == pytest.approx(NOISE * np.sqrt(2 / np.pi), rel=0.4)
    assert {round(one.typical, 9) for one in calibration.bram18.factors} == {2.0}
    assert calibration.cycles.factors[0].typical == pytest.approx(1.06, abs=0.01)


def test_units_of_other_networks_lie_within_their_bounds_as_often_as_promised(
    calibration: Calibration, tmp_path: Path
) -> None:
    found = {factor.kind: factor for factor in calibration.luts.factors}
    others = [one for one in read_reports(made(tmp_path, range(100, 110)), Style()) if one.units]
    inside = [
        found[unit.kind].lower <= unit.luts / unit.formula_luts <= found[unit.kind].upper
        for report in others
        for unit in report.units
    ]
    assert len(inside) > 200 and 0.90 <= np.mean(inside) <= 0.99


def test_no_other_network_takes_more_than_its_bound(calibration: Calibration) -> None:
    bounded = replace(PIPELINE, factors=calibration.factors)
    for seed in range(200, 210):
        layers = network(seed)
        report = synthesised(layers, bounded, np.random.default_rng(seed))
        luts = sum(value["LUT"] for name, value in report.items() if name != "(top)")
        estimate = bounded.estimate(layers)
        assert luts <= estimate.luts <= 1.6 * luts
        slowest = max(one.folding.cycles for one in estimate.layers)
        assert PIPELINE.images_per_s <= estimate.images_per_s < 100e6 / slowest / 1.06


def test_it_says_what_it_rests_on(calibration: Calibration, reports: tuple[Report, ...]) -> None:
    luts, _, cycles = calibration.sentences()
    n = sum(len(report.units) for report in reports)
    assert f"LUTs: estimated, calibrated on {n} units of 6 reports, error " in luts
    assert "upper bound at 95 % confidence" in luts and "MVAU 1." in luts
    assert "calibrated on 6 simulations of 6 reports" in cycles


def test_too_few_reports_change_nothing_and_it_says_so(reports: tuple[Report, ...]) -> None:
    few = replace(reports[0], units=reports[0].units[:4])
    calibration = calibrate([few, reports[1]], 0.95, 0)
    assert calibration.factors == Factors()
    luts, _, cycles = calibration.sentences()
    assert "LUTs: estimated by formulas, not calibrated: 4 units of 1 report are too few" in luts
    assert "1 simulation of 1 report is too few; 5 simulations are needed" in cycles


def test_a_target_file_names_reports_and_the_estimate_goes_by_them(tmp_path: Path) -> None:
    made(tmp_path, range(6))
    names = ", ".join(f'"net{seed}.finn"' for seed in range(6))
    path = tmp_path / "own.toml"
    path.write_text(f'kind = "fpga"\n[fpga]\ndevice = "pynq-z2"\nreports = [{names}]', "utf-8")
    target = calibrated(config.open_target(config.read(path)), 0.95, 0)
    assert len(target.basis) == 3  # type: ignore[attr-defined]
    assert target.pipeline.factors.cycles > 1.05  # type: ignore[attr-defined]


def test_a_run_refuses_a_wrong_report_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('kind = "fpga"\n[fpga]\ndevice = "pynq-z2"\nreports = ["absent"]', "utf-8")
    run = tmp_path / "run"
    with pytest.raises(InputError, match="There is no report"):
        search.search(run, {"target": str(path)}, Silent(), resume=False)
    assert not list(run.rglob("supernet*"))


@pytest.mark.parametrize("changed", ["report", "folding", "named", "same"])
def test_a_run_is_not_gone_on_with_by_other_reports(changed: str, tmp_path: Path) -> None:
    report, folder = made(tmp_path, range(1))[0] / "report", tmp_path / "run"
    path = tmp_path / "own.toml"
    text = 'kind = "fpga"\n[fpga]\ndevice = "pynq-z2"\n'
    path.write_text(f'{text}reports = ["net0.finn"]', "utf-8")
    with open_run(folder, {"target": str(path)}, Silent(), resume=False) as context:
        assert context.config.reports_sha256
    if changed == "named":
        path.write_text(text, "utf-8")
    elif changed != "same":
        file = {
            "report": report / "post_synth_resources.json",
            "folding": tmp_path / "net0.folding_config.json",
        }[changed]
        file.write_text(file.read_text("utf-8").replace("1", "2", 1), "utf-8")
    if changed == "same":
        with open_run(folder, {}, Silent(), resume=True):
            return
    with (
        pytest.raises(RunFolderError, match=r"reports that .* are others than those with which"),
        open_run(folder, {}, Silent(), resume=True),
    ):
        pass
