"""What a probe lists besides the machine itself: its sensors and its TensorRT."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

_ROOT = Path("/")
_LIBRARIES = ("usr/lib/*-linux-gnu", "usr/lib", "usr/local/tensorrt/lib")
# MIDR part numbers, from the reference manual of each core; Carmel is NVIDIA's
_ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd0d": "Cortex-A77",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
    "0x004": "Carmel",
}
_NVINFER = re.compile(r"libnvinfer\.so\.(\d+\.\d+\.\d+)\Z")


def describe(root: Path = _ROOT) -> Dict[str, Any]:
    """Return sensors in words, the version of TensorRT's library, and the CPU if it is an ARM's.

    root : below which /proc, /sys and /usr are looked for.
    """
    found = {"sensors": list(sensors(root)), "tensorrt": tensorrt(root)}
    cores = arm_cores(root)
    return {**found, "cpu": cores} if cores else found


def arm_cores(root: Path = _ROOT) -> str:
    """Return the names of ARM cores, "Cortex-A72": their /proc/cpuinfo has numbers only."""
    lines = (_text(root / "proc/cpuinfo") or "").splitlines()
    parts = [line.split(":")[1].strip() for line in lines if line.startswith("CPU part")]
    known = [_ARM_PARTS[part] for part in parts if part in _ARM_PARTS]
    return " + ".join(sorted(set(known))) if len(known) == len(parts) else ""


def sensors(root: Path = _ROOT) -> Iterator[str]:
    """Yield what can be read: temperatures with their values, and what tells power or energy."""
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        celsius = _thousandths(zone / "temp")
        if celsius is not None:
            yield f"temperature {_text(zone / 'type') or zone.name} {celsius:.1f} °C"
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        yield from _power(chip)
    for counter in sorted((root / "sys/class/powercap").glob("*/energy_uj")):
        if _text(counter) is not None:  # the counters of Intel's RAPL are often root's alone
            yield f"energy {_text(counter.with_name('name')) or counter.parent.name}"


def _power(chip: Path) -> Iterator[str]:
    """Power meters; a Jetson's INA3221 gives voltage and current of each rail instead."""
    name = _text(chip / "name") or chip.name
    for power in sorted(chip.glob("power*_input")):
        yield f"power {_text(power.with_name(power.name.replace('_input', '_label'))) or name}"
    for current in sorted(chip.glob("curr*_input")):
        number = current.name[len("curr") : -len("_input")]
        if (chip / f"in{number}_input").exists() and _text(current) is not None:
            yield f"power {_text(chip / f'in{number}_label') or name + ' ' + number}"


def tensorrt(root: Path = _ROOT) -> Optional[str]:
    """Return the version of TensorRT's library, such as "8.6.2"; None where there is none."""
    found: List[str] = []
    for folder in _LIBRARIES:
        for path in root.glob(f"{folder}/libnvinfer.so.*"):
            match = _NVINFER.match(path.name)
            if match:
                found.append(match.group(1))
    return max(found, key=lambda version: [int(part) for part in version.split(".")], default=None)


def _thousandths(path: Path) -> Optional[float]:
    try:
        return int(_text(path) or "") / 1e3
    except ValueError:
        return None


def _text(path: Path) -> Optional[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None
