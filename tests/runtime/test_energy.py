"""Power sensors in trees of files made by hand, and the energy that their samples add up to."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from device_runtime import energy, power, protocol
from device_runtime.readings import Powered
from edgenas.targets.jobs.journal import Follower, outcome
from helpers.file_tree import write_tree
from helpers.scripted_runtime import QUICK, scripted_model, scripted_runtime

INA = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
JETSON = {
    f"{INA}/in1_label": "VDD_IN\n",
    f"{INA}/in1_input": "5000\n",
    f"{INA}/curr1_input": "1200\n",
    f"{INA}/in2_label": "VDD_CPU_GPU_CV\n",
    f"{INA}/in2_input": "5000\n",
    f"{INA}/curr2_input": "300\n",
    f"{INA}/in4_input": "9\n",  # the sum of shunt voltages has no current
}
HAT = {
    "sys/class/hwmon/hwmon1/name": "ina219\n",
    "sys/class/hwmon/hwmon1/power1_input": "2500000\n",
}
SUPPLY = "sys/class/power_supply/BAT0"
BATTERY = {
    f"{SUPPLY}/type": "Battery\n",
    f"{SUPPLY}/status": "Discharging\n",
    f"{SUPPLY}/voltage_now": "12000000\n",
    f"{SUPPLY}/current_now": "-500000\n",
}


@pytest.mark.parametrize(
    ("files", "name", "milliwatts"),
    [
        (JETSON, "INA3221 (VDD_IN)", 6000.0),
        ({k: v.replace("VDD_IN", "VDD_GPU_SOC") for k, v in JETSON.items()},
         "INA3221 (VDD_GPU_SOC, VDD_CPU_GPU_CV)", 7500.0),
        (HAT, "ina219 (hwmon)", 2500.0),
        (BATTERY, "battery BAT0", 6000.0),
        ({**BATTERY, f"{SUPPLY}/power_now": "7000000\n"}, "battery BAT0", 7000.0),
        ({**HAT, **JETSON}, "INA3221 (VDD_IN)", 6000.0),
    ],
)  # fmt: skip
def test_sensors_of_boards(
    tmp_path: Path, files: dict[str, str], name: str, milliwatts: float
) -> None:
    write_tree(tmp_path, files)
    sensor = power.find(tmp_path)
    assert sensor is not None and sensor.name == name
    assert sensor.read_mw() == pytest.approx(milliwatts)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {**BATTERY, f"{SUPPLY}/status": "Charging\n"},  # what is charged says nothing of the board
        {"sys/class/power_supply/AC/type": "Mains\n"},
        {"sys/class/hwmon/hwmon0/name": "k10temp\n", "sys/class/hwmon/hwmon0/power1_input": "1\n"},
        {f"{INA}/in1_input": "garbage\n", f"{INA}/curr1_input": "1\n"},
        {"sys/class/powercap/intel-rapl:0/max_energy_range_uj": "1000\n"},  # not readable by users
    ],
)
def test_no_sensor_is_none(tmp_path: Path, files: dict[str, str]) -> None:
    write_tree(tmp_path, files)
    assert power.find(tmp_path) is None


def test_counters_of_a_pc_give_power_also_when_they_wrap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = "sys/class/powercap/intel-rapl:0"
    now = [100.0]
    monkeypatch.setattr(power.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(power.time, "sleep", lambda s: now.__setitem__(0, now[0] + s))
    write_tree(
        tmp_path, {f"{package}/energy_uj": "900\n", f"{package}/max_energy_range_uj": "1000"}
    )
    sensor = power.find(tmp_path)
    assert sensor is not None and "RAPL" in sensor.name
    now[0] += 0.5
    write_tree(tmp_path, {f"{package}/energy_uj": "400\n"})  # 100 to the wrap, 400 after it
    assert sensor.read_mw() == pytest.approx(500 / 1e3 / 0.5)


def test_rails_of_a_raspberry_pi_5() -> None:
    # lines of `vcgencmd pmic_read_adc`; the last rail's current is not measured
    answer = (
        "   3V7_WL_SW_A current(0)=0.10000000A\n   VDD_CORE_A current(7)=2.00000000A\n"
        "   3V7_WL_SW_V volt(8)=3.70000000V\n   VDD_CORE_V volt(15)=0.80000000V\n"
        "   EXT5V_V volt(24)=5.10000000V\n"
    )
    assert power.rails_mw(answer) == pytest.approx(1e3 * (0.1 * 3.7 + 2.0 * 0.8))
    assert power.rails_mw("error=1") is None


def test_energy_is_what_is_above_idle_and_its_interval_holds_welchs() -> None:
    rng = np.random.default_rng(0)
    active, idle = 5000 + 80 * rng.standard_normal(40), 2000 + 30 * rng.standard_normal(18)
    found = energy.summarise(Powered("a", "RAPL", 4.0, 800, tuple(active), tuple(idle)))
    assert found is not None
    seconds = 4.0 / 800
    welch = stats.ttest_ind(active, idle, equal_var=False).confidence_interval(0.95)
    assert found.energy_mj == pytest.approx((active.mean() - idle.mean()) * seconds)
    low, high = found.ci95_mj
    assert low <= welch.low * seconds and welch.high * seconds <= high
    assert high - low < 1.1 * (welch.high - welch.low) * seconds
    assert (found.active_mw, found.idle_mw) == (active.mean(), idle.mean())


def test_one_sample_is_no_energy() -> None:
    assert energy.summarise(Powered("a", "RAPL", 4.0, 800, (5000.0,), (2000.0, 2000.0))) is None
    assert energy.summarise(Powered("a", "RAPL", 4.0, 800, (), ())) is None


def run_job(tmp_path: Path, behaviour: str, energy_s: float) -> tuple[Follower, list[str]]:
    """Run a job of one model in a process, on the tree of files in `tmp_path`/board."""
    model = scripted_model(tmp_path, "m", behaviour)
    settings = replace(QUICK, run_ms=0.1, min_runs=3, relative_ci=1e6, energy_s=energy_s)
    job = protocol.Job(
        protocol.VERSION, "measure", "scripted", 1, (),
        (protocol.JobModel(model.key, model.sha256),), protocol.Settings(**asdict(settings)),
    )  # fmt: skip
    folder = tmp_path / "job"
    write_tree(folder, {protocol.JOB_FILE: job.to_json(), "models/m": behaviour})
    command = [
        sys.executable,
        "-m",
        "device_runtime",
        str(folder),
        "--root",
        str(tmp_path / "board"),
    ]
    cwd = scripted_runtime(tmp_path).parent
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    content = (folder / protocol.JOURNAL_FILE).read_bytes()
    follower = Follower(protocol.parse_job(job.to_json()), "pi", str(folder))
    follower.feed(content)
    return follower, content.decode().splitlines()


def test_power_is_sampled_after_all_passes(tmp_path: Path) -> None:
    board = tmp_path / "board"
    write_tree(board, JETSON)
    # two passes of four runs; then, while power is sampled, it draws 2 A instead of 1.2
    script = f"write_at 9 {board / INA / 'curr1_input'} 2000"
    follower, lines = run_job(tmp_path, script, energy_s=3.0)
    kinds = [line.split('"type":"')[1].split('"')[0] for line in lines]
    assert kinds[-2:] == ["powered", "ended"] and kinds.index("powered") > kinds.index("pass")
    result = outcome(follower.state, "m")
    assert result.latency is not None and result.energy is not None
    found = result.energy
    assert found.sensor == "INA3221 (VDD_IN)"
    assert (found.idle_mw, found.active_mw) == (pytest.approx(6000), pytest.approx(10000))
    assert found.energy_mj == pytest.approx(4000 * found.seconds / found.runs)
    assert found.seconds >= 1.0


@pytest.mark.parametrize(("files", "energy_s"), [({}, 60.0), (JETSON, 0.0)])
def test_without_sensor_or_when_not_wanted_energy_is_missing(
    tmp_path: Path, files: dict[str, str], energy_s: float
) -> None:
    write_tree(tmp_path / "board", {"empty": "", **files})
    follower, _ = run_job(tmp_path, "sleep 0.001", energy_s)
    result = outcome(follower.state, "m")
    assert result.status == "ok" and result.energy is None
