"""The doctor: from what the runtime's probe says to a profile, with each problem and its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from device_runtime import protocol
from edgenas.core.counted import counted
from edgenas.core.errors import MeasurementError
from edgenas.core.records import DeviceProfile, EngineOffer, from_json
from edgenas.int8.engines.scheme import default_scheme
from edgenas.targets import offers as engines
from edgenas.targets.config import TargetConfig

_VNNI = {"avx_vnni", "avx512_vnni", "amx_int8"}
_HOT_CELSIUS = 75.0
_LOW_DISK_BYTES = 500 * 2**20
_GOVERNORS = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
_PERFORMANCE = f"echo performance | sudo tee {_GOVERNORS}"


@dataclass(frozen=True)
class _State:
    """What of the machine's state is looked at; see `device_runtime.machine.state`."""

    governor: str | None = None
    frequency_mhz: list[float] | None = None
    temperature_celsius: float | None = None
    throttle_flags: list[str] | None = None
    load_average: float | None = None
    free_disk_bytes: int | None = None


def diagnose(
    text: str, config: TargetConfig, scheme: str, offers: dict[str, EngineOffer] | None = None
) -> DeviceProfile:
    """Return the profile in the probe's answer `text`; `MeasurementError` if it is not one.

    offers : of engines, where they can be sent; without, those that are installed.
    """
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
        "cpu": machine.get("cpu"),
        "memory_bytes": machine.get("memory_bytes"),
        "cpu_features": machine.get("cpu_features"),
        "free_disk_bytes": state.free_disk_bytes,
        "governor": state.governor,
        "frequency_mhz": max(state.frequency_mhz or [0.0]) or None,
        "temperature_celsius": state.temperature_celsius,
        "throttle_flags": _in_words(state.throttle_flags),
        "engines": probe.engines,
        "board": machine.get("model"),
        "libc": machine.get("libc"),
        "sensors": machine.get("sensors") or (),
    }
    profile = from_json(found, DeviceProfile, what, MeasurementError)
    if offers is None:
        offers = engines.here(profile.engines, _text(machine.get("tensorrt")))
    problems = (
        *_engine_problems(profile, config, scheme),
        *_machine_problems(profile, config, state.load_average),
    )
    return replace(profile, offers=offers, problems=problems)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _in_words(flags: list[str] | None) -> str | None:
    """From "throttled now" and "throttled before" to "now: throttled; since boot: throttled"."""
    if flags is None:
        return None
    times = {"now": "now", "before": "since boot"}
    said = {
        shown: [flag.removesuffix(f" {word}") for flag in flags if flag.endswith(f" {word}")]
        for word, shown in times.items()
    }
    return "; ".join(f"{when}: {', '.join(what)}" for when, what in said.items() if what) or "none"


def _engine_problems(profile: DeviceProfile, config: TargetConfig, scheme: str) -> Iterator[str]:
    if config.engine not in profile.engines:
        yield (
            f"The engine {config.engine} cannot be imported: "
            f"{engines.install_command(config.engine)}"
        )
    if config.engine != "onnxruntime" or default_scheme(profile.machine, config.engine) != "u8s8":
        return
    vnni = _VNNI & set(profile.cpu_features)
    if scheme == "u8s8" and not vnni:
        yield (
            "U8S8 without VNNI saturates 16-bit sums, so exact and slower kernels are used on this "
            "CPU: a search without --engine compares it with LiteRT."
        )
    if scheme == "s8s8" and vnni:
        yield 'S8S8 is 2 to 3 times slower than U8S8 on this CPU: set scheme = "u8s8".'


def _machine_problems(
    profile: DeviceProfile, config: TargetConfig, load: float | None
) -> Iterator[str]:
    if profile.governor not in (None, "performance"):
        yield (
            f"The CPU governor is {profile.governor}, so the clock changes while measuring: "
            f"{_PERFORMANCE}"
        )
    if load is not None and load > 0.75 * profile.cores:
        yield (
            f"The machine is busy (load {load:g} on {counted(profile.cores, 'core')}): "
            "see which programs (top) and stop them."
        )
    if config.threads > profile.cores:
        cores = counted(profile.cores, "core")
        yield f"{config.threads} threads on {cores}: set threads = {profile.cores}."
    if any(core >= profile.cores for core in config.affinity):
        yield f"affinity names a core that is not there: use 0 to {profile.cores - 1}."
    if profile.throttle_flags not in (None, "none"):
        yield f"The board was slowed down ({profile.throttle_flags}): {_steadier(profile)}"
    if profile.temperature_celsius is not None and profile.temperature_celsius > _HOT_CELSIUS:
        yield f"The CPU is at {profile.temperature_celsius:g} °C: cool it before measuring."
    if profile.free_disk_bytes is not None and profile.free_disk_bytes < _LOW_DISK_BYTES:
        yield (
            f"Only {profile.free_disk_bytes // 2**20} MiB of disk are free: make room, for "
            "example: sudo apt clean"
        )


def _steadier(profile: DeviceProfile) -> str:
    said = profile.throttle_flags or ""
    power = "under-voltage" in said
    heat = any(word in said for word in ("throttled", "capped", "temperature", "slowed"))
    helps = ["use its official power supply"] * power + ["give it a cooler"] * heat
    return f"{' and '.join(helps)}, then: sudo reboot"
