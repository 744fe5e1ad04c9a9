from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from edgenas.core.records import ImageInput, Int8Layer, Int8Layers, Outcome
from edgenas.reporting.document import (
    Interaction,
    MeasuredLatency,
    PassCondition,
    ReportData,
    ShapeCurve,
    Shapes,
)
from edgenas.reporting.pages.facts import facts
from edgenas.reporting.pages.plots import PagePlots
from edgenas.reporting.pages.report import render
from edgenas.reporting.plots import of_measuring, of_report
from edgenas.reporting.plots.of_report import tradeoff
from edgenas.reporting.plots.plot import Plot
from edgenas.reporting.words import numbers
from edgenas.reporting.words.terminal import summary
from helpers import roofline_sample
from helpers.html_page import HOSTILE, Page, strings
from helpers.reporting_sample import sample

SECTIONS = (
    "answer",
    "tradeoff",
    "networks",
    "choices",
    "predictors",
    "measurements",
    "environment",
    "reproduce",
    "words",
)


@pytest.fixture(scope="module")
def data() -> ReportData:
    return sample()


@pytest.fixture(scope="module")
def html(data: ReportData) -> str:
    return render(data)


def without_plots(data: ReportData) -> ReportData:
    """Keep what the answer needs, so that a page renders fast."""
    return replace(data, predictors=(), measurements=data.measurements[:3], evaluations=())


def test_page_nests_and_has_every_section_once(html: str) -> None:
    page = Page(html)
    assert set(SECTIONS) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert page.tags.count("svg") == 13
    assert len(html.encode()) < 2_500_000


def test_every_plot_of_the_page_is_valid(data: ReportData, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Plot] = []

    def recorded(plots: PagePlots, plot: Plot | None) -> None:
        drawn.extend([] if plot is None else [plot])

    monkeypatch.setattr(PagePlots, "inline", recorded)
    render(data)
    assert len(drawn) > 5
    for plot in drawn:
        assert plot.chart.to_dict(validate=True)["layer"], plot.name


def test_page_loads_nothing(html: str) -> None:
    page = Page(html)
    assert set(page.loaded) <= {f"#{name}" for name in page.ids}
    assert page.only_own_scripts_run()
    html = html.split("<script>", maxsplit=1)[0]  # a script can load nothing, whatever it names
    assert "@import" not in html
    assert set(re.findall(r"url\(([^)]*)", html)) <= {f"#{name}" for name in page.ids}
    schema = r"https://vega\.github\.io/schema/vega-lite/[\w.]+\.json"  # a name, never loaded
    names = re.sub(schema, "", html)
    assert set(re.findall(r"https?://[^\"'\s<]+", names)) <= {"http://www.w3.org/2000/svg"}


def test_answer_comes_first(html: str, data: ReportData) -> None:
    first = Page(html).first_screen
    assert data.winner is not None and data.winner.model is not None
    assert f"Passed: deploy {data.winner.model.rsplit('/', 1)[1]}" in first
    assert "within the budget of 0.200 ms" in first
    assert "Promisekept" in first.replace("\n", "")
    assert data.warnings[0] in first


def test_page_tells_everything_it_was_given(html: str, data: ReportData) -> None:
    text = Page(html).text
    assert data.command in text
    assert data.data.identity in text
    for one in data.measurements:
        assert str(one.architecture) in text
    for row in data.predictors[0].coefficients:
        assert row.name in text
    for name, version in data.versions.items():
        assert f"{name} {version}" in text
    assert "signal 9" in text


def test_plots_tell_the_network_on_hover(html: str, data: ReportData) -> None:
    measured = next(one for one in data.measurements if one.outcome.latency)
    titles = re.findall(r"<title>([^<]*)</title>", html)
    assert any(title.startswith(f"{measured.architecture}\n") for title in titles)


def test_same_data_gives_the_same_bytes(data: ReportData) -> None:
    assert render(without_plots(sample())) == render(without_plots(data))


def test_failure_is_said_first(data: ReportData) -> None:
    assert data.winner is not None
    slow = MeasuredLatency(0.25, 0.27, (0.246, 0.254))
    winner = replace(data.winner, passed=False, measured_latency_ms=slow)
    reason = "Measured 0.250 ms is over the budget."
    failed = replace(
        without_plots(data),
        status="fail",
        reasons=(reason,),
        winner=winner,
        candidates=(winner,),
        fallbacks=("XNNPACK was asked for, another provider ran.",),
    )
    for text in (Page(render(failed)).first_screen, summary(failed)):
        assert re.search("failed: do not deploy", text, re.IGNORECASE)
        assert reason in text
        assert "broken" in text
        assert "0.050 ms (25 %) over the budget" in " ".join(text.split())
        assert "Fell back: XNNPACK was asked for" in text
        assert "assed: deploy" not in text


def test_infeasible_limit_tells_the_least_latency(data: ReportData) -> None:
    assert data.search is not None
    least = data.search.frontier[0]
    none = replace(
        without_plots(data),
        status="fail",
        limit_ms=0.02,
        winner=None,
        candidates=(),
        search=None,
        infeasible=least,
    )
    for text in (Page(render(none)).first_screen, summary(none)):
        words = " ".join(text.split())
        assert re.search("infeasible: no network meets 0.0200 ms", words, re.IGNORECASE)
        assert str(least.architecture) in words
        shown = re.search(r"at most ([\d.]+) ms", words)
        assert shown is not None and float(shown[1]) >= least.latency_ms.upper


def test_nothing_verified_is_a_failure(data: ReportData) -> None:
    nothing = replace(
        without_plots(data), status="fail", reasons=("All crashed.",), winner=None, candidates=()
    )
    first = Page(render(nothing)).first_screen
    assert "Failed: nothing to deploy" in first and "All crashed." in first


def test_what_the_engine_is_slow_at_is_said_beside_the_winner(data: ReportData) -> None:
    said = "Kernel size 7 costs 465x kernel size 5 on litert; no candidate uses it."
    page = render(replace(data, pathologies=(said,)))
    winner, after = page.index("The winner</h3>"), page.index("Candidates exported")
    assert winner < page.index(said) < after


def test_the_limits_of_layers_are_shown_slowest_first_where_they_were_measured(
    data: ReportData,
) -> None:
    found = roofline_sample.sample(HOSTILE)
    page = render(replace(without_plots(data), roofline=found))
    section = page.split('id="roofline"')[1].split("<details>")[0]
    assert (
        "54% is depthwise, at 92% of what this machine does on depthwise: only less of it helps; "
        "27% is starting 3 kernels: fewer layers help; 11% is pointwise, at 40% of what"
    ) in section
    assert "the same work in fewer, wider layers may help; 3% is the call itself." in section
    Page(page)  # nests, the name of a layer escaped
    assert section.index('<th scope="row">stem') < section.index('<th scope="row">head')
    assert "not measured" in render(without_plots(data)).split('id="roofline"')[1][:200].lower()


def test_what_int8_costs_each_layer_is_shown_worst_first(data: ReportData) -> None:
    noise = {f"layer{index}": 60.0 - 3 * index for index in range(12)} | {"quiet": None}
    layers = tuple(
        Int8Layer(name, "conv", 40.0, ratio, -0.0025, 0.0125) for name, ratio in noise.items()
    )
    report = Int8Layers("a" * 64, "u8s8", 400, 0.9775, 0.9650, 24.3, 0.025, layers)
    assert data.winner is not None
    timed = replace(data.winner, fp32_latency_ms=0.456)
    page = Page(render(replace(without_plots(data), winner=timed, int8_layers=report)))
    text = page.text
    assert "24.3 dB against float: 2.5 % of 400 validation images get another class" in text
    assert "96.5 % are right instead of 97.8 %" in text
    assert "layer11 (conv, 50 %), layer10 (conv, 25 %) and layer9 (conv, 13 %)" in text
    assert "layer4" in text and "layer3" not in text  # the eight worst
    assert "5 layers that bring less noise are not shown" in text
    assert "\N{MINUS SIGN}0.25" in text and "None" not in text
    candidates = replace(without_plots(data), candidates=(timed, *data.candidates[1:]))
    assert "0.456 ms" in Page(render(candidates)).text
    unknown = render(without_plots(data)).split('id="int8"')[1].split("<details>")[0]
    assert numbers.MISSING in unknown and "<table" not in unknown


def test_how_an_input_is_made_is_said(data: ReportData) -> None:
    assert data.winner is not None
    made = ImageInput("pad", 32, 24, "rgb", (0.5, 0.4, 0.3), (0.2, 0.2, 0.1), "nchw", "float32")
    fed = replace(without_plots(data), winner=replace(data.winner, input=made))
    assert (
        "the upright image, centred between black bars at 32 px, then at 24 px (bilinear, "
        "antialiased); RGB, nchw, float32; (pixel / 255 - mean) / std, mean 0.5, 0.4, 0.3, "
        "std 0.2, 0.2, 0.1"
    ) in " ".join(Page(render(fed)).text.split())
    assert "Input of the winner" not in render(without_plots(data))


def test_missing_figures_are_said_to_be_missing(data: ReportData) -> None:
    assert data.winner is not None
    bare = replace(
        data.winner,
        measured_latency_ms=None,
        fp32_accuracy=None,
        int8_accuracy=None,
        device_accuracy=None,
        agreement=None,
        n_images=None,
        peak_rss_bytes=None,
        model_bytes=None,
    )
    environment = replace(data.environment, governor=None, drift=None, throttling=None)
    missing = replace(
        without_plots(data), status="fail", winner=bare, candidates=(bare,), environment=environment
    )
    page = Page(render(missing))
    facts = page.first_screen
    assert facts.count(numbers.MISSING) >= 6
    assert "0.0 %" not in page.text and "0 bytes" not in page.text and "None" not in page.text
    assert "Frequency governor" + numbers.UNKNOWN in page.text.replace("\n", "")
    assert summary(missing).count(numbers.MISSING) >= 6


def test_hostile_texts_are_only_text(data: ReportData) -> None:
    assert data.winner is not None
    predictor = data.predictors[0]
    row = replace(predictor.coefficients[1], name=HOSTILE, group=HOSTILE)
    outcome = Outcome("failed", HOSTILE, "onnxruntime", "1", "", {})
    hostile_curve = ShapeCurve(HOSTILE, (1, 2), (0, 1), (0, 1), (0, 2))
    cells = ((0.0, 1.0),)
    hostile_pair = Interaction((HOSTILE, HOSTILE), ((HOSTILE,), (1, 2)), cells, cells, cells)
    hostile = replace(
        without_plots(data),
        target=HOSTILE,
        reasons=(HOSTILE,),
        warnings=(HOSTILE,),
        fallbacks=(HOSTILE,),
        data=replace(data.data, name=HOSTILE, class_names=(HOSTILE, "类"), skipped=(HOSTILE,)),
        winner=replace(data.winner, model=HOSTILE, sha256=HOSTILE),
        measurements=(replace(data.measurements[0], outcome=outcome),),
        predictors=(
            replace(
                predictor,
                response=HOSTILE,
                label=HOSTILE + "类",
                unit=HOSTILE,
                coefficients=(predictor.coefficients[0], row),
                effects=(replace(predictor.effects[0], change=HOSTILE, unit=HOSTILE),),
                notes=(HOSTILE,),
                shapes=Shapes(HOSTILE, (hostile_curve,), (hostile_pair,)),
            ),
        ),
        configuration={HOSTILE: [HOSTILE]},
    )
    page = Page(render(hostile))
    assert page.only_own_scripts_run()
    assert not any("<" in text for text in page.data)
    assert any(HOSTILE in strings(json.loads(text)) for text in page.data)
    assert page.text.count(HOSTILE) >= 12
    assert len(page.ids) == len(set(page.ids))


def test_terminal_text_carries_no_escape_sequences(data: ReportData) -> None:
    assert "\x1b" not in summary(replace(data, reasons=("\x1b[2Jgone",), warnings=("a\x1b]b",)))


def test_summary_is_short_and_tells_where_files_are(data: ReportData) -> None:
    text = summary(data)
    assert text.startswith("PASSED: deploy ")
    assert all(path in text for path in data.files.values())
    assert all(part in text for part in (*data.warnings, *data.reused))
    assert len(text.splitlines()) < 40


def test_random_weights_are_said_first(data: ReportData) -> None:
    assert data.winner is not None
    random = replace(without_plots(data), winner=replace(data.winner, weights="random"))
    assert "weights are random" in Page(render(random)).first_screen


def test_measured_but_not_evaluated_networks_are_told_apart(data: ReportData) -> None:
    measured = next(one for one in data.measurements if one.outcome.latency)
    accuracy = replace(data.predictors[1], coefficients=(), effects=())
    row = replace(accuracy.rows[0], architecture=measured.architecture, observed=None)
    shown = replace(
        data,
        measurements=(measured,),
        evaluations=(),
        predictors=(replace(accuracy, rows=(row,)),),
    )
    svg = tradeoff(shown).svg()
    assert "accuracy only predicted" in svg and "measured subnet" not in svg


def test_what_plots_share_is_in_the_page_once_and_unpacks_to_what_they_are(
    data: ReportData,
) -> None:
    page, plots = Page(render(data)), PagePlots()
    stored = [json.loads(text) for text in page.data]
    names = next(one for one in stored if isinstance(one, list))
    assert len(names) == len(set(names))
    fit, residuals = (
        of_report.fit_quality(data.predictors[0]),
        of_report.residuals(data.predictors[0]),
    )
    assert fit is not None and residuals is not None
    assert fit.specification["datasets"] == residuals.specification["datasets"]
    assert plots.inline(fit) is not None
    again = str(plots.inline(residuals))
    assert '{"same":"latency-ms-fit/marks"}' in again and names[0] not in again.split("<script")[1]


def test_of_very_many_networks_the_page_stays_small_and_its_pictures_are_dots() -> None:
    many = sample(n_measured=500, n_evaluated=700)
    html = render(replace(many, predictors=many.predictors[:1]))
    page = Page(html)
    assert page.tags.count("img") == 3  # trade-off, fit, residuals
    assert page.only_own_scripts_run()
    networks = {one.architecture for one in (*many.measurements, *many.evaluations)}
    stored = next(x for x in map(json.loads, page.data) if isinstance(x, list))
    assert set(stored) <= {*map(str, networks)} | {
        str(c.predicted.architecture) for c in many.candidates
    }


def test_other_axes_have_what_was_measured_of_each_network(data: ReportData) -> None:
    found = facts(data)
    rows = {name: i for i, name in enumerate(found["networks"])}
    measured = next(one for one in data.measurements if one.outcome.latency)
    latency = measured.outcome.latency
    assert latency is not None
    row = rows[str(measured.architecture)]
    p90 = found["metrics"]["90th percentile of the latency (ms)"][row]
    assert p90 == pytest.approx(latency.p90_ms, rel=1e-5)
    accuracy = {one.architecture: one.int8_accuracy for one in data.evaluations}
    expected = 100 * accuracy[measured.architecture]
    assert found["metrics"]["Accuracy (%)"][row] == pytest.approx(expected, rel=1e-5)
    depths = [found["choices"][f"Blocks of stage {i}"][row] for i in (1, 2, 3)]
    assert depths == list(measured.architecture.depths)
    kernels = measured.architecture.stages[0].kernel_sizes
    mean = found["choices"]["Kernel size, mean of stage 1"][row]
    assert mean == pytest.approx(sum(kernels) / len(kernels), rel=1e-5)


def test_what_may_disturb_a_pass_is_drawn_where_the_target_tells(data: ReportData) -> None:
    told = tuple(
        PassCondition(job, number, 40.0 + number, 1500.0) for job in (0, 1) for number in (1, 2, 3)
    )
    drawn = of_measuring.conditions(told, data.measurements)
    assert [one.name for one in drawn] == ["pass-temperature", "pass-clock"]  # no anchor there
    untold = tuple(replace(one, temperature_celsius=None, clock_mhz=None) for one in told)
    assert of_measuring.conditions(untold, data.measurements) == []
    assert "How the target was meanwhile" in render(replace(data, conditions=told))
