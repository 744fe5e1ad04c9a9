"""The one line of a whole search: its share never falls, its time left follows its pace."""

from __future__ import annotations

import io
import re

import pytest

from edgenas.cli.console import Terminal
from edgenas.cli.total_progress import TotalProgress, about
from edgenas.core.forecast import STAGES, Forecast


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_search_at_twice_the_usual_time_takes_twice_as_long_to_the_end() -> None:
    clock = Clock()
    forecast = Forecast(clock)
    for index, (title, seconds) in enumerate(STAGES):
        forecast.begin(f"{title} on local")
        clock.now += seconds  # half of this stage, at half speed
        forecast.advance(0.5)
        later = sum(s for _, s in STAGES[index + 1 :])
        expected = pytest.approx(seconds + 2 * later) if index > 1 else None  # too little to tell
        assert forecast.seconds_left() == expected
        clock.now += seconds
    assert forecast.share() > 0.98


def test_planned_stages_take_what_is_planned_whatever_the_pace_of_others() -> None:
    clock = Clock()
    forecast = Forecast(clock)
    forecast.begin("Measuring")
    forecast.begin("Training the supernet")
    forecast.expect({"Training the supernet": 300.0, "Evaluating subnets": 60.0, "Fine-tuning": 90})
    rest = sum(s for name, s in STAGES[3:] if name not in ("Evaluating subnets", "Fine-tuning"))
    assert forecast.seconds_left() == pytest.approx(300 + 60 + 90 + rest)
    clock.now += 100.0
    forecast.advance(1 / 3)
    assert forecast.seconds_left() == pytest.approx(200 + 60 + 90 + rest)
    clock.now += 200.0
    forecast.begin("Measuring")  # at twice the usual time
    clock.now += 38.1
    forecast.advance(0.5)
    after = rest - 38.1
    assert forecast.seconds_left() == pytest.approx(38.1 + 60 + 90 + 2 * after, rel=0.06)
    clock.now += 38.1
    for _ in range(2):  # two of three candidates
        forecast.begin("Fine-tuning")
        clock.now += 30.0
        forecast.advance(1.0)
    forecast.begin("Fine-tuning")
    pace = 76.2 / (3.0 + 38.1)  # of the measurements: the first ended at once
    after = sum(seconds for _, seconds in STAGES[8:])
    assert forecast.seconds_left() == pytest.approx(30 + pace * after)


def test_a_stage_that_is_left_out_counts_as_done() -> None:
    clock = Clock()
    forecast = Forecast(clock)
    forecast.begin("Evaluating subnets")
    clock.now += 25.7 / 2
    forecast.advance(0.5)
    before = sum(s for _, s in STAGES[:4]) + 25.7 / 2
    assert forecast.share() == pytest.approx(before / sum(s for _, s in STAGES))
    assert forecast.seconds_left() == pytest.approx(25.7 / 2 + sum(s for _, s in STAGES[5:]))


def test_a_repeated_stage_takes_no_share_back() -> None:
    forecast = Forecast(Clock())
    shares = []
    for title in ("Exporting int8 models", "Measuring on pi", "Fitting the predictors"):
        forecast.begin(title)
        forecast.advance(1.0)
        shares.append(forecast.share())
    assert shares == sorted(shares)
    assert forecast._stage == 5  # the predictors are fitted again


def test_nothing_is_said_of_the_time_before_anything_is_known() -> None:
    forecast = Forecast(Clock())
    assert forecast.seconds_left() is None
    forecast.begin("Training the supernet")
    assert forecast.seconds_left() is None


def test_one_line_is_drawn_on_a_terminal() -> None:
    progress = TotalProgress()
    progress.console = Terminal(file=io.StringIO(), force_terminal=True, width=120)
    for title in ("Training the supernet", "Evaluating subnets"):
        with progress.task(title, 4) as task:
            task.advance(2)
            task.note("epoch [1]")
            task.advance(2)
    progress.close()
    assert isinstance(progress.console.file, io.StringIO)
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", progress.console.file.getvalue())
    last = drawn.rstrip().splitlines()[-1]
    assert re.search(r"search .* %.*Evaluating subnets", last)
    assert "Training" not in last


def test_lines_without_a_terminal_say_share_and_title(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TotalProgress()
    with progress.task("Evaluating subnets", 64) as task:
        for _ in range(64):
            task.advance()
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["67%, Evaluating subnets"]  # the next would be ten seconds later


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (3.0, ""),
        (5.5, "about 10 s left"),
        (84.0, "about 80 s left"),
        (200.0, "about 3 min left"),
        (7200.0, "about 2.0 h left"),
    ],
)
def test_the_time_left_is_said_no_more_exactly_than_it_is_known(
    seconds: float | None, text: str
) -> None:
    assert about(seconds) == text
