"""Which timings are rejected, from records and file trees made by hand, and what then counts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from device_runtime import machine, protocol, sensors, summary
from device_runtime.readings import Sensed
from edgenas.targets.jobs import rejected
from edgenas.targets.jobs.journal import Follower, outcome
from helpers.file_tree import write_tree
from helpers.jobs import a_job, started, state_of
from helpers.scripted_runtime import QUICK, scripted_model, scripted_runtime

CALM = {"throttle_flags": [], "temperature_celsius": 50.0, "busy_s": [10.0, 10.0]}


def a_pass(
    index: int,
    after: dict[str, Any] | None = None,
    *,
    own_cpu_s: float = 1.0,
    b: Sensed | None = None,
    anchor_ns: int = 100,
    waited_ns: int | None = None,
) -> list[protocol.Record]:
    """One second of two models on two cores, of which the runtime itself used `own_cpu_s`."""
    calm = Sensed(1500.0, 50.0, ())
    return [
        protocol.Timed(index, "a", (anchor_ns,) * 4, calm, calm, 0),
        protocol.Timed(index, "b", (2 * anchor_ns,) * 4, calm, b or calm, waited_ns),
        protocol.PassEnded(index, 1.0, CALM, {**CALM, **(after or {})}, own_cpu_s),
    ]


def state_after(*passes: list[protocol.Record], **settings: Any) -> summary.JobState:
    job = a_job(**settings)
    return state_of(job, [started(job), *(record for records in passes for record in records)])


CALM_PASSES = [a_pass(0), a_pass(1), a_pass(2)]


@pytest.mark.parametrize(
    ("disturbed", "reason"),
    [
        (a_pass(3, {"throttle_flags": ["throttled now"]}), "throttled: throttled now"),
        (a_pass(3, {"throttle_flags": ["throttled before"]}), "throttled: throttled before"),
        (a_pass(3, {"temperature_celsius": 56.0}, anchor_ns=120),
         "heat: the anchor takes 1.20 times as long at 56 as at 50 °C"),
        (a_pass(3, {"busy_s": [11.0, 10.9]}, own_cpu_s=0.5),
         "busy: other processes used 1.4 of 2 cores"),
    ],
)  # fmt: skip
def test_what_disturbs_a_whole_pass_rejects_all_its_timings(
    disturbed: list[protocol.Record], reason: str
) -> None:
    state = state_after(*CALM_PASSES, disturbed)
    assert state.rejected[:3] == [{}, {}, {}]
    assert state.rejected[3] == {"a": reason, "b": reason}
    assert state.samples_ns("b") == ((200,) * 4,) * 3  # the rejected ones are left out …
    assert "b" in state.passes[3]  # … and kept raw


@pytest.mark.parametrize(
    ("disturbed", "reason"),
    [
        (a_pass(3, b=Sensed(600.0, 50.0, ())), "clock: 600 MHz, usually 1500"),
        (a_pass(3, b=Sensed(1500.0, 50.0, ("throttled now",))), "throttled: throttled now"),
        (a_pass(3, waited_ns=200), "busy: waited for a core for 25% of the time"),
    ],
)
def test_what_disturbs_one_timing_rejects_it_alone(
    disturbed: list[protocol.Record], reason: str
) -> None:
    assert state_after(*CALM_PASSES, disturbed).rejected[3] == {"b": reason}


@pytest.mark.parametrize(
    "harmless",
    [
        a_pass(3, {"temperature_celsius": 56.0}),  # warmer, but not slower
        a_pass(3, anchor_ns=120),  # slower, but not warmer: drift, which is divided away
        a_pass(3, {"busy_s": [10.9, 10.9]}, own_cpu_s=0.9),  # one other process, one free core
        a_pass(3, b=Sensed(1550.0, 50.0, ())),
        a_pass(3, waited_ns=40),
        a_pass(
            3, {"throttle_flags": None, "temperature_celsius": None, "busy_s": None}, b=Sensed()
        ),
        a_pass(3, {"throttle_flags": 7, "temperature_celsius": "hot", "busy_s": ["x", {}]}),
    ],
)
def test_what_does_no_harm_or_is_not_known_rejects_nothing(harmless: list) -> None:
    assert state_after(*CALM_PASSES, harmless).rejected[3] == {}


def test_flags_of_an_old_fault_reject_nothing() -> None:
    old = {"throttle_flags": ["under-voltage before"]}
    timed = a_pass(0)[:2]
    ended = protocol.PassEnded(0, 1.0, {**CALM, **old}, {**CALM, **old}, 1.0)
    assert state_after([*timed, ended]).rejected == [{}]


def test_counted_throttling_of_a_pc_rejects_the_pass() -> None:
    timed = a_pass(0)[:2]
    ended = protocol.PassEnded(0, 1.0, {"throttle_count": 3}, {"throttle_count": 5}, None)
    assert "2 times" in state_after([*timed, ended]).rejected[0]["b"]


def test_drift_is_relative_to_the_passes_that_count() -> None:
    hot = {"temperature_celsius": 70.0}
    passes = [a_pass(0), a_pass(1), *(a_pass(index, hot, anchor_ns=200) for index in (2, 3, 4))]
    state = state_after(*passes)
    latency = state.latency("b")
    assert latency is not None
    assert latency.median_ms == pytest.approx(200e-6)  # as when cool, though most were hot
    assert latency.drift == (1.0, 1.0)


def test_rejected_passes_are_repeated_until_enough_are_good() -> None:
    bad = {"throttle_flags": ["throttled now"]}
    passes = [a_pass(0), a_pass(1, bad), a_pass(2)]
    assert state_after(*passes, min_passes=3, max_passes=9).unfinished() == ["a", "b"]
    state = state_after(*passes, a_pass(3), min_passes=3, max_passes=9)
    assert state.unfinished() == []
    latency = state.latency("b")
    assert latency is not None and latency.converged


def test_machine_that_is_always_throttled_is_measured_and_says_so() -> None:
    bad = {"throttle_flags": ["throttled now"]}
    state = state_after(*(a_pass(index, bad) for index in range(3)), min_passes=3, max_passes=9)
    assert state.unfinished() == []  # it is not tried again and again
    state.apply(protocol.Ended("finished"))
    result = outcome(state, "b")
    assert result.status == "ok" and result.latency is not None
    assert not result.latency.converged and result.latency.stands_on_rejected
    assert len(result.latency.samples_ns) == 3
    reason = "throttled: throttled now"
    assert result.latency.rejected == ((0, reason), (1, reason), (2, reason))


def test_too_few_good_passes_stand_alone_and_are_not_converged() -> None:
    bad = {"throttle_flags": ["throttled now"]}
    passes = [a_pass(0), a_pass(1), *(a_pass(index, bad) for index in (2, 3, 4))]
    state = state_after(*passes, min_passes=3, max_passes=9)
    latency = state.latency("b")
    assert latency is not None and not latency.converged
    assert not state.stands_on_rejected("b")
    assert len(state.samples_ns("b")) == 2


# ---------------------------------------------------------------- what is read from files


CPU0 = "sys/devices/system/cpu/cpu0"
BOARD = {
    f"{CPU0}/cpufreq/scaling_cur_freq": "1500000\n",
    f"{CPU0}/cpufreq/scaling_governor": "ondemand\n",
    "sys/class/thermal/thermal_zone0/temp": "51121\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    "proc/stat": "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 0 50 1000 20 5 5 40 0 0\nintr 5\n",
    "proc/self/task/7/schedstat": "5000 300 2\n",
    "proc/self/task/8/schedstat": "5000 40 2\n",
}


def test_readings_of_a_board(tmp_path: Path) -> None:
    write_tree(tmp_path, BOARD)
    assert sensors.sense(tmp_path) == {"mhz": 1500.0, "celsius": 51.121, "throttle_flags": []}
    waits = sensors.waits_ns(tmp_path)
    assert waits == {"7": 300, "8": 40}
    assert sensors.waited_ns(waits, {"7": 320, "9": 5}) == 25  # threads come and go
    state = machine.state(root=tmp_path)
    assert state["busy_s"] == [2.0]  # user, system, interrupts, stolen; ticks of 10 ms
    assert state["throttle_flags"] == [] and state["throttle_count"] is None


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    assert sensors.sense(tmp_path) == {"mhz": None, "celsius": None, "throttle_flags": None}
    assert sensors.waited_ns({}, sensors.waits_ns(tmp_path)) is None
    state = machine.state(root=tmp_path)
    assert [state[name] for name in ("busy_s", "throttle_count", "temperature_celsius")] == [
        None
    ] * 3


def test_the_clock_is_that_of_the_core_in_use(tmp_path: Path) -> None:
    fields = ["0"] * 50
    fields[36] = "1"
    write_tree(tmp_path, BOARD)
    write_tree(
        tmp_path,
        {
            "proc/self/stat": f"7 (a (b) c) {' '.join(fields)}\n",
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "600000\n",
        },
    )
    assert sensors.sense(tmp_path)["mhz"] == 600.0


def test_cooling_devices_and_counters_tell_of_throttling(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "sys/class/thermal/cooling_device0/type": "thermal-cpufreq-0\n",
            "sys/class/thermal/cooling_device0/cur_state": "0\n",
            "sys/class/thermal/cooling_device1/type": "pwm-fan\n",
            "sys/class/thermal/cooling_device1/cur_state": "3\n",
            f"{CPU0}/thermal_throttle/core_throttle_count": "4\n",
            f"{CPU0}/thermal_throttle/package_throttle_count": "5\n",
        },
    )
    state = machine.state(root=tmp_path)
    assert state["throttle_flags"] == [] and state["throttle_count"] == 9
    write_tree(tmp_path, {"sys/class/thermal/cooling_device0/cur_state": "2\n"})
    assert machine.state(root=tmp_path)["throttle_flags"] == [
        "slowed down by thermal-cpufreq-0 now"
    ]


def test_flag_set_in_the_middle_of_a_job(tmp_path: Path) -> None:
    """The whole runtime on a tree of files, to which a model itself writes when it is timed."""
    board = tmp_path / "board"
    write_tree(board, BOARD)
    flag = board / "sys/devices/platform/soc/soc:firmware/get_throttled"
    script = f"write_at 6 {flag} 4"  # of 4 runs a pass: in the second pass
    models = [
        scripted_model(tmp_path, "steady", "sleep 0.001"),
        scripted_model(tmp_path, "writer", script),
    ]
    settings = replace(QUICK, run_ms=0.1, min_runs=3, min_passes=2, max_passes=5, relative_ci=1e6)
    job = protocol.Job(
        protocol.VERSION, "measure", "scripted", 1, (),
        tuple(protocol.JobModel(model.key, model.sha256) for model in models),
        protocol.Settings(**asdict(settings)),
    )  # fmt: skip
    folder = tmp_path / "job"
    write_tree(folder, {protocol.JOB_FILE: job.to_json()})
    for model in models:
        write_tree(folder, {f"models/{model.key}": model.path.read_text()})
    runtime = scripted_runtime(tmp_path)
    command = [sys.executable, "-m", "device_runtime", str(folder), "--root", str(board)]
    done = subprocess.run(
        command, cwd=runtime.parent, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    follower = Follower(protocol.parse_job(job.to_json()), "pi", str(folder))
    follower.feed((folder / protocol.JOURNAL_FILE).read_bytes())
    state = follower.state
    assert state.rejected[0] == {}
    assert set(state.rejected[1].values()) == {"throttled: throttled now"}
    assert all(len(timed) == 2 for timed in state.passes)  # raw, also of the rejected ones
    assert len(state.passes) == 3  # one good, then two that show that the board is so now


def test_warning_counts_by_kind_and_says_what_stands_on_rejected_passes() -> None:
    bad = {"throttle_flags": ["throttled now"]}
    good = state_after(*CALM_PASSES, a_pass(3, bad), a_pass(4, waited_ns=200))
    assert rejected.warning("pi", [outcome(state_after(*CALM_PASSES), "b")]) is None
    said = rejected.warning("pi", [outcome(good, "a"), outcome(good, "b")])
    assert said is not None
    assert said.startswith("3 of 10 passes of single models on 'pi' were rejected")
    assert "(throttled 2, busy 1)" in said and "power supply" in said and "stand" not in said
    standing = state_after(*(a_pass(index, bad) for index in range(3)))
    said = rejected.warning("pi", [outcome(standing, "a"), outcome(standing, "b")])
    assert said is not None and "6 of 6 passes" in said
    assert "2 of 2 latencies stand on rejected passes" in said
