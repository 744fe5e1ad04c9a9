"""What the machine is and the state that it is in. None stands where the machine does not tell."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

_CPU = Path("/sys/devices/system/cpu")
_PI_THROTTLED = "/sys/devices/platform/soc/soc:firmware/get_throttled"
# vcgencmd get_throttled: what is so now; the same bit plus 16: what has been so since boot
_THROTTLE_BITS = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}
_INT8_FEATURES_X86 = {"avx2", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8"}
_INT8_FEATURES_ARM = {"neon", "asimd", "asimddp", "i8mm", "sve"}
_INT8_FEATURES = _INT8_FEATURES_X86 | _INT8_FEATURES_ARM


def describe() -> Dict[str, Any]:
    """Return what does not change while the machine is up."""
    cpu, features = _cpu()
    return {
        "machine": platform.machine(),
        "bits": 64 if sys.maxsize > 2**32 else 32,
        "system": f"{platform.system()} {platform.release()}",
        "model": _text("/proc/device-tree/model"),
        "cpu": cpu,
        "cpu_features": features,
        "cores": os.cpu_count() or 1,
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "python": platform.python_version(),
        "memory_bytes": _memory("MemTotal"),
    }


def state(folder: Optional[Path] = None) -> Dict[str, Any]:
    """Return what changes: clock, heat, load, memory; with `folder`, the free disk space there."""
    governors = [_text(path) for path in sorted(_CPU.glob("cpu[0-9]*/cpufreq/scaling_governor"))]
    free = shutil.disk_usage(str(folder)).free if folder is not None else None
    return {
        "governor": ",".join(sorted({name for name in governors if name})) or None,
        "frequency_mhz": frequencies_mhz(),
        "temperature_celsius": _temperature_celsius(),
        "throttle_flags": throttle_flags(),
        "load_average": round(os.getloadavg()[0], 2),
        "available_memory_bytes": _memory("MemAvailable"),
        "free_disk_bytes": free,
    }


def frequencies_mhz() -> Optional[List[float]]:
    """Return the clock of each core in MHz, from cpufreq or else from /proc/cpuinfo."""
    paths = sorted(_CPU.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    known = [_number(_text(path)) for path in paths]
    if known and all(value is not None for value in known):
        return [value / 1e3 for value in known if value is not None]
    lines = (_text("/proc/cpuinfo") or "").splitlines()
    return [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")] or None


def throttle_flags() -> Optional[List[str]]:
    """Return what a Raspberry Pi says about power and heat: "throttled now", "throttled before"."""
    answer = _text(_PI_THROTTLED) or _vcgencmd_throttled()
    return None if answer is None else decode_throttled(answer)


def decode_throttled(answer: str) -> Optional[List[str]]:
    """Return the flags in an answer such as "throttled=0x50005" or "50005"; None if it has none."""
    try:
        bits = int(answer.strip().split("=")[-1], 16)
    except ValueError:
        return None
    now = [f"{name} now" for bit, name in _THROTTLE_BITS.items() if bits >> bit & 1]
    before = [f"{name} before" for bit, name in _THROTTLE_BITS.items() if bits >> (bit + 16) & 1]
    return now + before


def memory_kept_bytes() -> Tuple[Optional[int], Optional[int]]:
    """Return resident memory of this process, now and at its peak, in bytes."""
    lines = (_text("/proc/self/status") or "").splitlines()
    kilobytes = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith(" kB")}
    if "VmHWM" in kilobytes:
        return int(kilobytes["VmRSS"]) * 1024, int(kilobytes["VmHWM"]) * 1024
    return None, _peak_rusage_bytes()


def _peak_rusage_bytes() -> int:
    import resource  # Unix only, and needed only where there is no /proc

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def affinity() -> List[int]:
    """Return the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _cpu() -> Tuple[str, List[str]]:
    name, features = "", ""
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        label, _, value = line.partition(":")
        if label.strip() in ("model name", "Model", "Hardware") and not name:
            name = value.strip()
        if label.strip() in ("flags", "Features") and not features:
            features = value
    return name or platform.processor() or "unknown", sorted(_INT8_FEATURES & set(features.split()))


def _temperature_celsius() -> Optional[float]:
    """The hottest thermal zone."""
    texts = [_text(path) for path in Path("/sys/class/thermal").glob("thermal_zone*/temp")]
    known = [value for value in map(_number, texts) if value is not None]
    return max(known) / 1e3 if known else None


def _memory(field: str) -> Optional[int]:
    for line in (_text("/proc/meminfo") or "").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None


def _vcgencmd_throttled() -> Optional[str]:
    command = shutil.which("vcgencmd")
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, "get_throttled"], stdout=subprocess.PIPE, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("ascii", "replace")


def _text(path: Union[str, Path]) -> Optional[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def _number(text: Optional[str]) -> Optional[float]:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
