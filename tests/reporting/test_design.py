"""The design: how many measured networks have an option, counted by hand; effects by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgenas.core.records import Architecture, StageChoice
from edgenas.reporting.document import ReportData
from edgenas.reporting.pages.report import render
from edgenas.reporting.plots.of_design import FEW, design
from edgenas.reporting.plots.plot import ORANGE, shade
from helpers.browser import browser_or_skip
from helpers.reporting_sample import sample


@pytest.fixture(scope="module")
def data() -> ReportData:
    return sample()


def cells(data: ReportData) -> dict[tuple[str, str], dict[str, Any]]:
    plot = design(data)
    assert plot is not None
    (records,) = plot.chart.to_dict()["datasets"].values()
    return {(record["row"], record["option"]): record for record in records}


def test_cells_count_the_measured_networks_that_have_an_option(data: ReportData) -> None:
    networks = [m.architecture for m in data.measurements if m.outcome.latency is not None]
    assert len(networks) < len(data.measurements)  # one failed, and tells nothing
    counts = {place: record["count"] for place, record in cells(data).items()}
    assert counts["input", "16 px"] == sum(network.resolution == 16 for network in networks)
    for stage in range(3):
        row = f"stage {stage + 1}"
        for kernel in (3, 5):
            expected = sum(kernel in network.stages[stage].kernel_sizes for network in networks)
            assert counts[row, f"kernel size {kernel}"] == expected
        by_depth = sum(
            count for (of, option), count in counts.items() if (of, option[:6]) == (row, "blocks")
        )
        assert by_depth == len(networks)


def test_an_option_that_few_networks_have_is_orange_even_if_none_has(data: ReportData) -> None:
    failed, first, *others = data.measurements
    stage, *rest = first.architecture.stages
    odd = StageChoice((7, *stage.kernel_sizes[1:]), stage.expand_ratios)
    strange = Architecture.of("mbv3-tiny", 16, (odd, *rest))
    measured = replace(first, architecture=strange)
    assert cells(replace(data, measurements=(measured, *others)))["stage 1", "kernel size 7"] == {
        "row": "stage 1",
        "option": "kernel size 7",
        "count": 1,
        "shade": shade(0.6, ORANGE),
        "ink": cells(data)["input", "16 px"]["ink"],
        "tip": f"stage 1, kernel size 7: 1 of {len(others) + 1} measured networks",
    }
    failed = replace(failed, architecture=strange)
    table = cells(replace(data, measurements=(failed, *others)))
    assert table["stage 1", "kernel size 7"]["count"] == 0 < FEW
    assert design(replace(data, measurements=(failed,))) is None


@pytest.mark.slow
def test_in_a_browser_effects_are_those_whose_names_have_a_text(
    data: ReportData, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(data), "utf-8")
    names = {effect.change for predictor in data.predictors for effect in predictor.effects}
    wanted = [name for name in names if "stage 2" in name.lower()]
    assert 0 < len(wanted) < len(names)
    browser = browser_or_skip(path)
    with browser as page:
        page.fill("#choices input[type=search]", "Stage 2")
        page.wait_for_selector(f"#choices .controls span:has-text('{len(wanted)} of {len(names)}')")
        rows = page.locator("#choices details tbody tr:not([hidden]) th").all_text_contents()
        assert sorted(rows) == sorted(wanted)
        page.wait_for_selector("#choices .drawn text:has-text('stage 1')", state="detached")
        page.fill("#choices input[type=search]", "")
        page.wait_for_selector("#choices .drawn text:has-text('stage 1')")
        assert page.locator("#choices details tbody tr[hidden]").count() == 0
        assert browser.problems == []
