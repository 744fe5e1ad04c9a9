"""Machine state from files made by hand, and timed runs on a clock made by hand."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

from device_runtime import bench, machine
from device_runtime.protocol import MAX_RUNS


@pytest.mark.parametrize(
    ("answer", "flags"),
    [
        # the bits: raspberrypi.com/documentation/computers/os.html, get_throttled
        ("throttled=0x0\n", []),
        ("throttled=0x1", ["under-voltage now"]),
        ("throttled=0x50000", ["under-voltage before", "throttled before"]),
        ("20002", ["frequency capped now", "frequency capped before"]),
        ("throttled=0x80004", ["throttled now", "soft temperature limit before"]),
        ("error=1 error_msg=unknown", None),
        ("", None),
    ],
)
def test_throttle_bits(answer: str, flags: list[str] | None) -> None:
    assert machine.decode_throttled(answer) == flags


def test_throttle_flags_come_from_vcgencmd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "vcgencmd"
    command.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x50005\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    flags = ["under-voltage now", "throttled now", "under-voltage before", "throttled before"]
    assert machine.throttle_flags() == flags
    command.write_text("#!/bin/sh\nexit 1\n")
    assert machine.throttle_flags() is None


def test_clock_and_governor_of_each_core(tmp_path: Path) -> None:
    for core, (khz, governor) in enumerate([(1500000, "ondemand"), (600000, "performance")]):
        folder = tmp_path / machine.CPU / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(f"{khz}\n")
        (folder / "scaling_governor").write_text(f"{governor}\n")
    state = machine.state(tmp_path, root=tmp_path)
    assert state["frequency_mhz"] == [1500.0, 600.0]
    assert state["governor"] == "ondemand,performance"
    assert state["free_disk_bytes"] > 0


def test_this_machine_is_described_in_json() -> None:
    description = machine.describe()
    assert json.loads(json.dumps(description)) == description
    assert description["cores"] >= 1
    assert set(machine.affinity()) <= set(range(4096))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc/self/status")
def test_peak_memory_grows_with_an_allocation() -> None:
    _, before = machine.memory_kept_bytes()
    now, _ = machine.memory_kept_bytes()
    block = b"x" * (64 * 2**20)
    _, after = machine.memory_kept_bytes()
    assert before is not None and now is not None and after is not None
    assert after >= now + len(block) - 2**24  # other threads free some meanwhile


class Clock:
    """Stands still but for the runs, which take `run_ns` each."""

    def __init__(self, run_ns: int) -> None:
        self.now, self.run_ns, self.runs = 0, run_ns, 0

    def perf_counter_ns(self) -> int:
        return self.now

    def run(self) -> None:
        assert not gc.isenabled()
        self.runs += 1
        self.now += self.run_ns


@pytest.mark.parametrize(
    ("run_ns", "warm_up_runs", "timed"),
    [(1_000_000, 5, 20), (5_000_000, 1, 10), (100, 50_000, MAX_RUNS)],
)
def test_runs_are_fixed_by_time_and_number(
    monkeypatch: pytest.MonkeyPatch, run_ns: int, warm_up_runs: int, timed: int
) -> None:
    clock = Clock(run_ns)
    monkeypatch.setattr(bench, "time", clock)
    samples = bench.timed_runs(
        clock.run, lambda now: None, warmup_ms=5.0, run_ms=20.0, min_runs=10, max_runs=MAX_RUNS
    )
    assert samples == [run_ns] * timed
    assert clock.runs == warm_up_runs + timed
    assert gc.isenabled()


def test_heart_beats_between_runs_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, beats = Clock(400_000_000), []
    monkeypatch.setattr(bench, "time", clock)
    heartbeat = bench.Heartbeat(lambda: beats.append(clock.now))
    bench.timed_runs(
        clock.run, heartbeat.tick, warmup_ms=0, run_ms=1, min_runs=10, max_runs=MAX_RUNS
    )
    assert [beat // 10**6 for beat in beats] == [1200, 2400, 3600]
