"""What a journal adds up to, against scipy and against journals made by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from device_runtime import protocol, summary
from device_runtime.protocol import ProtocolError
from device_runtime.student import t975
from edgenas.core.errors import MeasurementError
from edgenas.targets.jobs.journal import Follower, outcome
from helpers.jobs import SHA256, a_job, started, state_of


def one_pass(index: int, a: tuple[int, ...], b: tuple[int, ...]) -> list[protocol.Record]:
    ended = protocol.PassEnded(index, 1.0, {}, {})
    return [protocol.Timed(index, "a", a), protocol.Timed(index, "b", b), ended]


@pytest.mark.parametrize("degrees", [*range(1, 40), 60, 120, 1000])
def test_t975_is_the_quantile(degrees: int) -> None:
    assert t975(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), abs=0.002)


def test_interval_is_the_t_interval_of_the_pass_medians() -> None:
    rng = np.random.default_rng(1)
    samples = (1e6 * (1 + 0.1 * rng.standard_normal((9, 1)) + 0.02 * rng.random((9, 31)))).astype(
        int
    )
    settings = a_job().settings
    result = summary.summarise(samples.tolist(), [1.0] * 9, settings)
    medians = np.median(samples, axis=1) / 1e6
    low, high = stats.t.interval(0.95, 8, loc=result.median_ms, scale=stats.sem(medians))
    assert result.ci95_ms == pytest.approx((low, high), rel=1e-3)
    assert result.median_ms == pytest.approx(np.median(samples) / 1e6)
    assert result.p90_ms == pytest.approx(np.quantile(samples, 0.9) / 1e6)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    settings = a_job().settings
    covered = 0
    for _ in range(1000):
        shifts = 1 + 0.03 * rng.standard_normal((8, 1))
        samples = (2e6 * (shifts + 0.01 * rng.standard_normal((8, 15)))).astype(int)
        low, high = summary.summarise(samples.tolist(), [1.0] * 8, settings).ci95_ms
        covered += low <= 2.0 <= high
    assert 0.93 <= covered / 1000 <= 0.975


def test_drift_of_whole_passes_is_taken_out() -> None:
    job = a_job(relative_ci=0.01, min_passes=3)
    records: list[protocol.Record] = [started(job)]
    for index, factor in enumerate((1.0, 1.5, 0.8, 1.0)):
        records += one_pass(index, (int(1000 * factor),) * 3, (int(3000 * factor),) * 3)
    state = state_of(job, records)
    latency = state.latency("b")
    assert latency is not None and latency.converged
    assert latency.drift == (1.0, 1.5, 0.8, 1.0)
    assert latency.median_ms == pytest.approx(0.003)
    anchor = state.latency("a")
    assert anchor is not None and not anchor.converged  # its own spread is not divided away


def test_only_whole_passes_count_and_each_once() -> None:
    job = a_job()
    torn = one_pass(1, (5, 5), (6, 6))[:2]
    state = state_of(
        job,
        [
            started(job),
            *one_pass(0, (1, 1), (2, 2)),
            *torn,
            started(job),
            *one_pass(1, (3, 3), (4, 4)),
        ],
    )
    assert state.samples_ns("b") == ((2, 2), (4, 4))
    assert state.restarts == 1


def test_passes_of_another_machine_or_engine_do_not_mix() -> None:
    job = a_job()
    first = [started(job), *one_pass(0, (1, 1), (2, 2))]
    assert state_of(job, [*first, started(job, memory_bytes=999)]).samples_ns("b") == ((2, 2),)
    assert state_of(job, [*first, started(job, cores=4)]).samples_ns("b") == ()


def test_model_is_done_by_its_interval_or_its_passes() -> None:
    job = a_job(relative_ci=0.01, min_passes=2, max_passes=3)
    records: list[protocol.Record] = [started(job), *one_pass(0, (100,), (200,))]
    assert state_of(job, records).unfinished() == ["a", "b"]
    records += one_pass(1, (100,), (260,))
    assert state_of(job, records).unfinished() == ["b"]
    records += one_pass(2, (100,), (200,))
    assert state_of(job, records).unfinished() == []
    latency = state_of(job, records).latency("b")
    assert latency is not None and not latency.converged


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([protocol.Failed("a", "check", "x")], "before the start"),
        ([protocol.Started(protocol.VERSION, "0" * 64, "onnxruntime", "1", {})], "another job"),
        ([protocol.Started(1, "0" * 64, "onnxruntime", "1", {})], "version is 1"),
        ([started(a_job()), protocol.Timed(0, "../a", (1,))], "not a model of the job"),
        ([started(a_job()), protocol.Timed(3, "b", (1,))], "pass 3"),
        ([started(a_job()), *[protocol.Timed(0, "b", (1,))] * 2], "timed twice"),
        ([started(a_job()), protocol.PassEnded(1, 1.0, {}, {})], "pass 1 ended in pass 0"),
        ([started(a_job()), protocol.Ended("budget"), protocol.Ended("budget")], "after the end"),
        ([started(a_job()), protocol.Inferred("a", 5, 5, 4, SHA256)], "do not follow"),
    ],
)
def test_lying_journal_is_refused_with_its_line(
    records: list[protocol.Record], message: str
) -> None:
    content = "".join(protocol.write_record(record) + "\n" for record in records).encode()
    follower = Follower(a_job(), "pi", "the job folder")
    with pytest.raises(MeasurementError, match=message) as caught:
        follower.feed(content)
    assert f"line {len(records)}" in str(caught.value) and "'pi'" in str(caught.value)
    with pytest.raises(ProtocolError):
        state_of(a_job(), records)


def test_follower_takes_a_journal_in_pieces_of_any_size() -> None:
    job = a_job()
    records = [started(job), *one_pass(0, (1, 1), (2, 2)), protocol.Ended("finished")]
    content = "".join(protocol.write_record(record) + "\n" for record in records).encode()
    follower = Follower(job, "pi", "the job folder")
    for end in range(0, len(content) + 1, 7):
        follower.feed(content[follower.offset : end])
    follower.feed(content[follower.offset :])
    assert follower.offset == len(content)
    assert follower.state.samples_ns("b") == ((2, 2),)


def test_a_line_that_lost_its_checksum_is_refused_behind_lines_that_have_one() -> None:
    """A time that was edited by hand, in a journal of now; runtimes of before had no checksums."""
    job = a_job()
    records = [started(job), *one_pass(0, (1, 1), (2, 2)), protocol.Ended("finished")]
    lines = [protocol.write_record(record) for record in records]
    without = [re.sub(r',"crc32":"[0-9a-f]{8}"', "", line) for line in lines]
    mixed = "".join(f"{line}\n" for line in (*lines[:2], without[2], *lines[3:]))
    with pytest.raises(MeasurementError, match="line 3: it has no checksum"):
        Follower(job, "pi", "the job folder").feed(mixed.encode())
    earlier = Follower(job, "pi", "the job folder")
    assert earlier.feed("".join(f"{line}\n" for line in without).encode()) == len(lines)


def test_finished_without_times_is_a_failure_and_never_zero() -> None:
    job = a_job()
    result = outcome(state_of(job, [started(job), protocol.Ended("finished")]), "b")
    assert result.status == "failed" and result.latency is None
    assert result.reason == "the target gave no times"
