"""What the machine is and the state that it is in. None stands where the machine does not tell."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

ROOT = Path("/")  # where /proc and /sys are looked for
CPU = "sys/devices/system/cpu"
_X86 = ("x86_64", "AMD64", "i686", "i386")
_THERMAL = "sys/class/thermal"
_PI_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
_COOLERS_OF_CPUS = ("cpufreq", "thermal-cpufreq", "Processor")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
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
        "model": text("/proc/device-tree/model"),
        "cpu": cpu,
        "cpu_features": features,
        "cores": os.cpu_count() or 1,
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "python": platform.python_version(),
        "memory_bytes": _memory("MemTotal"),
    }


def state(folder: Optional[Path] = None, root: Path = ROOT) -> Dict[str, Any]:
    """Return what changes: clock, heat, load, memory; with `folder`, the free disk space there.

    throttle_count : how often heat slowed a core since boot. busy_s : seconds that each core has
    worked since boot, for anybody, or was taken by a hypervisor.
    """
    governors = [
        text(path) for path in sorted((root / CPU).glob("cpu[0-9]*/cpufreq/scaling_governor"))
    ]
    free = shutil.disk_usage(str(folder)).free if folder is not None else None
    return {
        "governor": ",".join(sorted({name for name in governors if name})) or None,
        "frequency_mhz": frequencies_mhz(root),
        "temperature_celsius": temperature_celsius(root),
        "throttle_flags": throttle_flags(root),
        "throttle_count": _throttle_count(root),
        "busy_s": _busy_s(root),
        "load_average": round(os.getloadavg()[0], 2),
        "available_memory_bytes": _memory("MemAvailable"),
        "free_disk_bytes": free,
    }


def frequencies_mhz(root: Path = ROOT) -> Optional[List[float]]:
    """Return the clock of each core in MHz, from cpufreq or else from /proc/cpuinfo."""
    known = scaled_mhz(root)
    if known:
        return known
    lines = (text(root / "proc/cpuinfo") or "").splitlines()
    return [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")] or None


def scaled_mhz(root: Path = ROOT) -> List[float]:
    """Return the clock of each core in MHz as cpufreq says; empty unless all tell."""
    paths = sorted((root / CPU).glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    known = [number(text(path)) for path in paths]
    return [value / 1e3 for value in known if value is not None] if all(known) else []


def throttle_flags(root: Path = ROOT) -> Optional[List[str]]:
    """Return what slows the cores: "throttled now", "throttled before".

    A Raspberry Pi tells about power and heat, other boards what their cooling devices do.
    """
    flags, cooled = firmware_flags(root), _cooled(root)
    if flags is None:
        answer = _vcgencmd_throttled()
        flags = None if answer is None else decode_throttled(answer)
    return cooled if flags is None else flags + (cooled or [])


def firmware_flags(root: Path = ROOT) -> Optional[List[str]]:
    """Return a Raspberry Pi's flags where its kernel has them in a file."""
    answer = text(root / _PI_THROTTLED)
    return None if answer is None else decode_throttled(answer)


def _cooled(root: Path) -> Optional[List[str]]:
    """What cools by slowing the cores down; None where nothing can."""
    known = None
    for device in sorted((root / _THERMAL).glob("cooling_device*")):
        name = text(device / "type") or ""
        if name.startswith(_COOLERS_OF_CPUS):
            known = known or []
            if number(text(device / "cur_state")):
                known.append(f"slowed down by {name} now")
    return known


def _throttle_count(root: Path) -> Optional[int]:
    counts = [
        number(text(path))
        for path in (root / CPU).glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
    ]
    known = [int(count) for count in counts if count is not None]
    return sum(known) if known else None


def _busy_s(root: Path) -> Optional[List[float]]:
    """All but idle and waiting for disks; see proc_stat(5)."""
    lines = (text(root / "proc/stat") or "").splitlines()
    cores = [line.split() for line in lines if re.match(r"cpu[0-9]+( [0-9]+){8}", line)]
    return [
        (sum(map(int, core[1:9])) - int(core[4]) - int(core[5])) / _TICKS_A_SECOND for core in cores
    ] or None


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
    lines = (text("/proc/self/status") or "").splitlines()
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
    for line in (text("/proc/cpuinfo") or "").splitlines():
        label, _, value = line.partition(":")
        if label.strip() in ("model name", "Model", "Hardware") and not name:
            name = value.strip()
        if label.strip() in ("flags", "Features") and not features:
            features = value
    return name or platform.processor() or "unknown", sorted(_INT8_FEATURES & set(features.split()))


def temperature_celsius(root: Path = ROOT) -> Optional[float]:
    """Return the temperature of the hottest thermal zone."""
    texts = [text(path) for path in (root / _THERMAL).glob("thermal_zone*/temp")]
    known = [value for value in map(number, texts) if value is not None]
    return max(known) / 1e3 if known else None


def _memory(field: str) -> Optional[int]:
    for line in (text("/proc/meminfo") or "").splitlines():
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


def text(path: Union[str, Path]) -> Optional[str]:
    """Return what a small file says; None if it is empty or cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def number(written: Optional[str]) -> Optional[float]:
    """Return what is written as a number; None if it is none."""
    try:
        return None if written is None else float(written)
    except ValueError:
        return None


def u8s8_saturates() -> bool:
    """Return whether sums of u8 x s8 products would saturate at 16 bits on this CPU.

    So they do on x86 without VNNI (measured: 33 dB to 15 dB), unless the engine is told to widen
    them first, which costs time.
    """
    about = describe()
    vnni = {"avx512_vnni", "avx_vnni"} & set(about["cpu_features"])
    return about["machine"] in _X86 and not vnni
