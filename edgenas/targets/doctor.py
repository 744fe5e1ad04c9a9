"""The doctor: from what the runtime's probe says to a profile, with each problem and its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from device_runtime import protocol
from edgenas.errors import MeasurementError
from edgenas.records import DeviceProfile, from_json
from edgenas.targets.config import TargetConfig
from edgenas.targets.scheme import default_scheme

_VNNI = {"avx_vnni", "avx512_vnni", "amx_int8"}
_HOT_CELSIUS = 75.0
_LOW_DISK_BYTES = 500 * 2**20


@dataclass(frozen=True)
class _State:
    """What of the machine's state is looked at; see `device_runtime.machine.state`."""

    governor: str | None = None
    frequency_mhz: list[float] | None = None
    temperature_celsius: float | None = None
    throttle_flags: list[str] | None = None
    load_average: float | None = None
    free_disk_bytes: int | None = None


def diagnose(text: str, config: TargetConfig, scheme: str) -> DeviceProfile:
    """Return the profile in the probe's answer `text`; `MeasurementError` if it is not one."""
    try:
        probe = protocol.parse_profile(text)
    except protocol.ProtocolError as problem:
        raise MeasurementError(
            f"Target '{config.name}' gave no usable profile: {problem}."
        ) from problem
    what = f"The profile of target '{config.name}'"
    seen = {item.name: probe.state.get(item.name) for item in fields(_State)}
    state, machine = from_json(seen, _State, what, MeasurementError), probe.machine
    found: dict[str, Any] = {
        "target": config.name,
        **{name: machine.get(name) for name in ("machine", "system", "python", "cores")},
        "cpu": machine.get("model") or machine.get("cpu"),
        "memory_bytes": machine.get("memory_bytes"),
        "cpu_features": machine.get("cpu_features"),
        "free_disk_bytes": state.free_disk_bytes,
        "governor": state.governor,
        "frequency_mhz": max(state.frequency_mhz or [0.0]) or None,
        "temperature_celsius": state.temperature_celsius,
        "throttle_flags": _joined(state.throttle_flags),
        "engines": probe.engines,
    }
    profile = from_json(found, DeviceProfile, what, MeasurementError)
    problems = (
        *_engine_problems(profile, config, scheme),
        *_machine_problems(profile, config, state.load_average),
    )
    return replace(profile, problems=problems)


def _joined(flags: list[str] | None) -> str | None:
    return None if flags is None else ", ".join(flags) or "none"


def _engine_problems(profile: DeviceProfile, config: TargetConfig, scheme: str) -> Iterator[str]:
    if config.engine not in profile.engines:
        yield f"The engine {config.engine} cannot be imported: pip install {config.engine}."
    if config.engine != "onnxruntime" or default_scheme(profile.machine, config.engine) != "u8s8":
        return
    vnni = _VNNI & set(profile.cpu_features)
    if scheme == "u8s8" and not vnni:
        yield (
            "U8S8 without VNNI saturates 16-bit sums, so exact and slower kernels are used on this "
            "CPU: compare it with edgenas search --engine litert."
        )
    if scheme == "s8s8" and vnni:
        yield 'S8S8 is 2 to 3 times slower than U8S8 on this CPU: set scheme = "u8s8".'


def _machine_problems(
    profile: DeviceProfile, config: TargetConfig, load: float | None
) -> Iterator[str]:
    if profile.governor not in (None, "performance"):
        yield (
            f"The CPU governor is {profile.governor}, so the clock changes while measuring: "
            "sudo cpupower frequency-set -g performance."
        )
    if load is not None and load > 0.75 * profile.cores:
        yield (
            f"The machine is busy (load {load:g} on {profile.cores} cores): "
            "stop other programs before measuring."
        )
    if config.threads > profile.cores:
        yield f"{config.threads} threads on {profile.cores} cores: set threads = {profile.cores}."
    if any(core >= profile.cores for core in config.affinity):
        yield f"affinity names a core that is not there: use 0 to {profile.cores - 1}."
    if profile.throttle_flags not in (None, "none"):
        yield (
            f"The board reports {profile.throttle_flags}: use its official power supply and a "
            "cooler, then reboot."
        )
    if profile.temperature_celsius is not None and profile.temperature_celsius > _HOT_CELSIUS:
        yield f"The CPU is at {profile.temperature_celsius:g} °C: cool it before measuring."
    if profile.free_disk_bytes is not None and profile.free_disk_bytes < _LOW_DISK_BYTES:
        yield f"Only {profile.free_disk_bytes // 2**20} MiB of disk are free: make room."
