"""Power sensors of a board, and sampling one of them while models run in another process."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Tuple

from device_runtime import machine

EVERY_S = 0.1  # ten times a second: faster sampling slows a board down
_INPUTS_OF_BOARDS = ("VDD_IN", "POM_5V_IN")  # Jetson: the whole module
_VCGENCMD_S = 5.0
_RAIL = re.compile(r"(\w+)_([AV]) (?:current|volt)\(\d+\)=([0-9.]+)[AV]")


class Sensor:
    """A source of power readings, in milliwatts. name : what it is, and what it covers."""

    def __init__(self, name: str, read_mw: Callable[[], Optional[float]]) -> None:
        self.name = name
        self.read_mw = read_mw


def find(root: Path = machine.ROOT) -> Optional[Sensor]:
    """Return the sensor that covers most of the board, None if there is none that answers.

    root : below which /sys is looked for; the Raspberry Pi 5's is a program.
    """
    for sensor in _candidates(root):
        sensor.read_mw()  # a counter needs two readings
        time.sleep(EVERY_S / 10)
        if sensor.read_mw() is not None:
            return sensor
    return None


def _candidates(root: Path) -> Iterator[Sensor]:
    rails = list(_ina3221_rails(root))
    whole = [rail for rail in rails if rail[0] in _INPUTS_OF_BOARDS]
    chosen = whole[:1] or rails
    if chosen:
        names = ", ".join(name for name, _, _ in chosen)
        yield Sensor(f"INA3221 ({names})", lambda: _sum_mw(chosen))
    for hwmon in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        name = machine.text(hwmon / "name") or ""
        if name.startswith("ina") and (hwmon / "power1_input").exists():
            yield Sensor(f"{name} (hwmon)", _scaled(hwmon / "power1_input", 1e-3))
    if root == machine.ROOT and shutil.which("vcgencmd"):
        yield Sensor("Raspberry Pi PMIC (without the 5 V rail)", _pmic_mw)
    for supply in sorted((root / "sys/class/power_supply").glob("*")):
        if machine.text(supply / "type") == "Battery":
            yield Sensor(f"battery {supply.name}", _battery(supply))
    packages = sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]"))
    if packages:
        yield Sensor("RAPL (processor package)", _Counter(packages).read_mw)


Rail = Tuple[str, Path, Path]


def _ina3221_rails(root: Path) -> Iterator[Rail]:
    """Yield name, millivolts and milliamperes of each channel in use."""
    for voltage in sorted(root.glob("sys/bus/i2c/drivers/ina3221*/*/hwmon/hwmon*/in*_input")):
        channel = voltage.name[2 : -len("_input")]
        current = voltage.with_name(f"curr{channel}_input")
        name = machine.text(voltage.with_name(f"in{channel}_label")) or f"channel {channel}"
        if current.exists() and name != "NC":
            yield name, voltage, current


def _sum_mw(rails: List[Rail]) -> Optional[float]:
    total = 0.0
    for _, voltage, current in rails:
        millivolts, milliamperes = (machine.number(machine.text(p)) for p in (voltage, current))
        if millivolts is None or milliamperes is None:
            return None
        total += millivolts * milliamperes / 1e3
    return total


def _scaled(path: Path, scale: float) -> Callable[[], Optional[float]]:
    def read_mw() -> Optional[float]:
        value = machine.number(machine.text(path))
        return None if value is None else value * scale

    return read_mw


def _battery(supply: Path) -> Callable[[], Optional[float]]:
    def read_mw() -> Optional[float]:
        if machine.text(supply / "status") != "Discharging":
            return None
        microwatts = machine.number(machine.text(supply / "power_now"))
        if microwatts is not None:
            return microwatts / 1e3
        names = ("voltage_now", "current_now")
        volts, amperes = (machine.number(machine.text(supply / name)) for name in names)
        return None if volts is None or amperes is None else volts * abs(amperes) / 1e9

    return read_mw


class _Counter:
    """Power from counters of microjoules, over the time since they were read last."""

    def __init__(self, packages: List[Path]) -> None:
        self._packages = packages
        self._last: Optional[Tuple[float, List[float]]] = None

    def read_mw(self) -> Optional[float]:
        counts = [machine.number(machine.text(p / "energy_uj")) for p in self._packages]
        known = [count for count in counts if count is not None]
        if len(known) < len(counts):
            return None
        last, self._last = self._last, (time.monotonic(), known)
        if last is None or self._last[0] <= last[0]:
            return None
        used_uj = 0.0
        for package, before, after in zip(self._packages, last[1], known):  # noqa: B905 - 3.8
            wraps = machine.number(machine.text(package / "max_energy_range_uj")) or 0.0
            used_uj += after - before if after >= before else after - before + wraps
        return used_uj / 1e3 / (self._last[0] - last[0])


def _pmic_mw() -> Optional[float]:
    try:
        done = subprocess.run(
            ["vcgencmd", "pmic_read_adc"], stdout=subprocess.PIPE, timeout=_VCGENCMD_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return rails_mw(done.stdout.decode("ascii", "replace"))


def rails_mw(answer: str) -> Optional[float]:
    """Return the sum over rails of volts times amperes, in an answer of `pmic_read_adc`."""
    found = {(name, unit): float(value) for name, unit, value in _RAIL.findall(answer)}
    watts = [
        amperes * found[name, "V"]
        for (name, unit), amperes in found.items()
        if unit == "A" and (name, "V") in found
    ]
    return 1e3 * sum(watts) if watts else None


class Sampler:
    """Reads a sensor in a thread of its own until it is closed: with Sampler(…) as sampler."""

    def __init__(self, sensor: Sensor) -> None:
        self._sensor = sensor
        self._samples: List[Tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def between(self, began: float, ended: float) -> List[float]:
        """Return what was read in a span of `time.monotonic`, milliwatts.

        A reading of a counter covers the time before it: those that reach back beyond `began` are
        left out.
        """
        return [mw for when, mw in self._samples if began + EVERY_S <= when <= ended]

    def _sample(self) -> None:
        while not self._stop.wait(EVERY_S):
            mw = self._sensor.read_mw()
            if mw is not None:
                self._samples.append((time.monotonic(), mw))
