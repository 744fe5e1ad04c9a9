"""The card of a board: what a probe finds in /proc and /sys, and which engines can be had."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from device_runtime import inventory, protocol
from edgenas.core.errors import TargetError
from edgenas.core.records import DeviceProfile, EngineOffer, from_json, to_json
from edgenas.targets import doctor
from edgenas.targets import offers as engines
from edgenas.targets.config import TargetConfig
from edgenas.targets.remote import wheels
from edgenas.targets.remote.wheels import Platform
from helpers.wheel_files import make_wheel

PI = Platform("aarch64", (3, 11), 36)
PROBE: dict = {
    "version": protocol.VERSION,
    "machine": {
        "machine": "aarch64",
        "model": "Raspberry Pi 4 Model B Rev 1.4",
        "cpu": "Cortex-A72",
        "cpu_features": ["asimd"],
        "system": "Linux 6.6",
        "libc": "glibc 2.36",
        "cores": 4,
        "python": "3.11.2",
        "sensors": ["temperature cpu-thermal 51.1 °C"],
    },
    "state": {"throttle_flags": []},
    "engines": {"onnxruntime": "1.31.1"},
}
HERE = TargetConfig("pi", "ssh", "test")


def make_files(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def card(**state: object) -> DeviceProfile:
    return doctor.diagnose(json.dumps({**PROBE, "state": state}), HERE, "s8s8")


def test_sensors_of_a_jetson(tmp_path: Path) -> None:
    root = make_files(
        tmp_path,
        {
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "48812\n",
            "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",  # its temp cannot be read
            "sys/class/hwmon/hwmon1/name": "ina3221\n",
            "sys/class/hwmon/hwmon1/in1_label": "VDD_IN\n",
            "sys/class/hwmon/hwmon1/in1_input": "4976\n",
            "sys/class/hwmon/hwmon1/curr1_input": "912\n",
            "usr/lib/aarch64-linux-gnu/libnvinfer.so.8": "",
            "usr/lib/aarch64-linux-gnu/libnvinfer.so.8.6.2": "",
            "proc/cpuinfo": "processor : 0\nCPU part\t: 0xd42\nprocessor : 1\nCPU part\t: 0xd42\n",
        },
    )
    assert inventory.describe(root) == {
        "sensors": ["temperature cpu-thermal 48.8 °C", "power VDD_IN"],
        "tensorrt": "8.6.2",
        "cpu": "Cortex-A78AE",
    }


def test_cores_of_two_kinds_and_of_an_unknown_one(tmp_path: Path) -> None:
    cores = "CPU part\t: 0xd05\nCPU part\t: 0xd0b\n"
    assert inventory.arm_cores(make_files(tmp_path, {"proc/cpuinfo": cores})) == (
        "Cortex-A55 + Cortex-A76"
    )
    make_files(tmp_path, {"proc/cpuinfo": cores + "CPU part\t: 0xfff\n"})
    assert inventory.arm_cores(tmp_path) == ""


def test_machine_without_sensors(tmp_path: Path) -> None:
    assert inventory.describe(tmp_path) == {"sensors": [], "tensorrt": None}


def test_card_has_the_boards_model_and_its_processor() -> None:
    profile = card(throttle_flags=[])
    assert profile.board == "Raspberry Pi 4 Model B Rev 1.4" and profile.cpu == "Cortex-A72"
    assert profile.libc == "glibc 2.36" and profile.throttle_flags == "none"
    assert profile.sensors == ("temperature cpu-thermal 51.1 °C",)
    assert from_json(to_json(profile), DeviceProfile, "The card") == profile


def test_card_of_an_older_edgenas_is_read() -> None:
    old = to_json(card())
    for name in ("board", "libc", "sensors", "offers"):
        del old[name]
    assert from_json(old, DeviceProfile, "The card").offers == {}


@pytest.mark.parametrize(
    ("flags", "words", "helps"),
    [
        (
            ["under-voltage now", "under-voltage before"],
            "now: under-voltage; since boot: under-voltage",
            "use its official power supply, then: sudo reboot",
        ),
        (
            ["throttled before", "soft temperature limit before"],
            "since boot: throttled, soft temperature limit",
            "give it a cooler, then: sudo reboot",
        ),
        (
            ["under-voltage before", "frequency capped before"],
            "since boot: under-voltage, frequency capped",
            "use its official power supply and give it a cooler, then: sudo reboot",
        ),
    ],
)
def test_throttling_is_told_in_words(flags: list[str], words: str, helps: str) -> None:
    profile = card(throttle_flags=flags)
    assert profile.throttle_flags == words
    assert any(words in problem and helps in problem for problem in profile.problems)


# ---------------------------------------------------------------- engines


def test_engines_of_a_board_that_gets_nothing_sent() -> None:
    offers = engines.here({"onnxruntime": "1.20"}, tensorrt=None)
    assert offers["onnxruntime"] == EngineOffer(installed="1.20")
    assert "pip install ai-edge-litert" in offers["litert"].why_not
    assert "pip install tflite-runtime" in offers["tflite_runtime"].why_not
    assert "nvidia-jetpack" in offers["tensorrt"].why_not
    assert "onnxruntime-gpu" in engines.here({}, tensorrt="8.6.2")["tensorrt"].why_not


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index in a folder, and an empty cache of the host."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "simple"


def publish(index: Path, project: str, tag: str, version: str = "1.0") -> None:
    folder = index / project
    folder.mkdir(parents=True, exist_ok=True)
    make_wheel(folder, project.replace("-", "_"), version, tag, {"x.py": ""})
    links = "".join(f'<a href="{path.name}">{path.name}</a>' for path in folder.glob("*.whl"))
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")


def test_engines_that_can_be_sent(index: Path) -> None:
    publish(index, "onnxruntime", "cp311-cp311-manylinux_2_28_aarch64", "1.31.1")
    publish(index, "onnxruntime", "cp311-cp311-manylinux_2_39_aarch64", "1.32.0")  # a newer glibc
    publish(index, "ai-edge-litert", "cp312-cp312-manylinux_2_27_aarch64")
    offers = engines.to_send({"tflite_runtime": "2.14.0"}, None, PI, offline=False)
    assert offers["onnxruntime"] == EngineOffer(can_be_sent="1.31.1")
    assert "no wheels for Python 3.11, aarch64, glibc 2.36" in offers["litert"].why_not
    assert offers["tflite_runtime"].installed == "2.14.0"
    assert "NVIDIA" in offers["tensorrt"].why_not


def test_answers_of_the_index_are_kept(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(index, "onnxruntime", "cp311-cp311-manylinux_2_28_aarch64", "1.31.1")
    assert wheels.available("onnxruntime", PI, offline=False) == "1.31.1"
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    assert wheels.available("onnxruntime", PI, offline=False) == "1.31.1"
    with pytest.raises(TargetError, match="cannot be asked"):  # and that is not kept
        wheels.available("litert", PI, offline=False)
    assert not list((index.parent / "cache").rglob("litert*"))


def test_engines_that_can_be_sent_without_internet(index: Path) -> None:
    with pytest.raises(TargetError, match="not among the wheels of this host"):
        wheels.available("onnxruntime", PI, offline=True)
    musl = replace(PI, glibc=None)
    with pytest.raises(TargetError, match="no glibc"):
        wheels.available("onnxruntime", musl, offline=False)
