"""Target files: what is read, what is refused, and what the doctor says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from device_runtime import protocol
from edgenas.core.errors import InputError, MeasurementError, PluginError
from edgenas.int8.engines.scheme import default_scheme
from edgenas.targets import config, doctor
from edgenas.targets.base import MeasureSettings
from edgenas.targets.config import TargetConfig

FULL = """
kind = "local"
engine = "onnxruntime"
threads = 2
affinity = [0, 1]
scheme = "s8s8"

[measuring]
run_ms = 50
min_passes = 8

[limits]
budget_s = 60.0
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "board.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_every_table(tmp_path: Path) -> None:
    read = config.read(write(tmp_path, FULL))
    assert (read.name, read.kind, read.threads, read.affinity) == ("board", "local", 2, (0, 1))
    assert read.scheme == "s8s8"
    assert read.measuring.run_ms == 50.0 and read.limits.budget_s == 60.0
    assert config.open_target(read).scheme == "s8s8"


def test_file_fills_in_where_the_caller_left_the_default(tmp_path: Path) -> None:
    read = config.read(write(tmp_path, FULL))
    settings = read.settings(MeasureSettings(budget_s=7.0, anchor="a"))
    assert (settings.run_ms, settings.min_passes) == (50.0, 8)
    assert settings.budget_s == 7.0  # asked for on the command line: wins over the file
    assert settings.anchor == "a" and settings.max_passes == MeasureSettings().max_passes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kind = "local"\nthread = 1', "unknown key 'thread'.*Did you mean 'threads'"),
        ('kind = "local"\n[measuring]\nrunms = 1', r"\[measuring\].*'runms'.*'run_ms'"),
        ('kind = "local"\n[limits]\nbudget = 1', r"\[limits\].*'budget'.*'budget_s'"),
        ('kind = "ssh"\n[connection]\npassword = "x"', r"\[connection\].*'password'"),
        ('kind = "local"\nsource = "x"', "unknown key 'source'"),
        ('kind = "local"\nthreads = "many"', "int"),
        ('kind = "local"\nscheme = "u4"', "u4"),
        ('kind = "local"\nmeasuring = 3', "measuring"),
        ('engine = "onnxruntime"', "kind"),
        ("kind = ", "is not TOML"),
        ("kind = 'local'\n\x00", "is not TOML"),
    ],
)
def test_wrong_file_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        config.read(write(tmp_path, text))
    assert "board.toml" in str(caught.value)


def test_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"board\.toml"):
        config.read(path)
    with pytest.raises(InputError, match="missing"):
        config.read(tmp_path / "missing.toml")


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'local'"):
        config.resolve("locla")


def test_unknown_kind_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="Did you mean 'local'"):
        config.resolve(str(write(tmp_path, 'kind = "locale"')))


def test_path_makes_a_target_named_after_the_file(tmp_path: Path) -> None:
    assert config.resolve(str(write(tmp_path, FULL))).name == "board"


@pytest.mark.parametrize(
    ("machine", "engine", "scheme"),
    [
        ("x86_64", "onnxruntime", "u8s8"),
        ("aarch64", "onnxruntime", "s8s8"),
        ("x86_64", "litert", "s8s8"),
        ("x86_64", "tflite_runtime", "s8s8"),
        ("aarch64", "tensorrt", "s8s8-symmetric"),
    ],
)
def test_scheme_that_suits_engine_and_machine(machine: str, engine: str, scheme: str) -> None:
    assert default_scheme(machine, engine) == scheme


def test_scheme_of_a_board_that_was_probed_needs_no_board(tmp_path: Path) -> None:
    nobody = '[connection]\nhost = "192.0.2.1"'  # an address that is nobody's (RFC 5737)
    path = str(write(tmp_path, f'kind = "ssh"\n{nobody}'))
    assert config.resolve(path, machine="aarch64").scheme == "s8s8"
    assert config.resolve(path, machine="x86_64").scheme == "u8s8"
    said = str(write(tmp_path, f'kind = "ssh"\nscheme = "s8s8"\n{nobody}'))
    assert config.resolve(said, machine="x86_64").scheme == "s8s8"


# ---------------------------------------------------------------- the doctor


PROBE: dict = {
    "version": protocol.VERSION,
    "machine": {
        "machine": "x86_64",
        "system": "Linux 6.1",
        "cpu": "Some CPU",
        "cpu_features": ["avx2", "avx512_vnni"],
        "cores": 4,
        "python": "3.11.2",
        "memory_bytes": 8 * 2**30,
    },
    "state": {"governor": "performance", "load_average": 0.1, "frequency_mhz": [1000.0, 2000.0]},
    "engines": {"onnxruntime": "1.20"},
}
HERE = TargetConfig(name="here", kind="local", source="test")


def problems(probe: dict, scheme: str = "u8s8", target: TargetConfig = HERE) -> tuple[str, ...]:
    return doctor.diagnose(json.dumps(probe), target, scheme).problems


def test_healthy_machine_has_no_problems() -> None:
    profile = doctor.diagnose(json.dumps(PROBE), HERE, "u8s8")
    assert profile.problems == ()
    assert profile.frequency_mhz == 2000.0 and profile.cpu == "Some CPU"
    assert profile.temperature_celsius is None and profile.throttle_flags is None


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("machine", {"cpu_features": ["avx2"]}, "exact and slower kernels"),
        ("state", {"governor": "powersave"}, "echo performance | sudo tee"),
        ("state", {"load_average": 3.9}, "busy"),
        ("state", {"temperature_celsius": 82.5}, "82.5 °C"),
        ("state", {"throttle_flags": ["under-voltage before"]}, "power supply"),
        ("state", {"free_disk_bytes": 2**20}, "1 MiB of disk"),
    ],
)
def test_problem_comes_with_its_remedy(part: str, change: dict, words: str) -> None:
    found = problems({**PROBE, part: {**PROBE[part], **change}})
    assert len(found) == 1 and words in found[0]


def test_problems_of_the_target_file() -> None:
    assert "slower than U8S8" in problems(PROBE, "s8s8")[0]
    assert "threads = 4" in problems(PROBE, target=replace(HERE, threads=8))[0]
    assert "use 0 to 3" in problems(PROBE, target=replace(HERE, affinity=(4,)))[0]
    assert "pip install onnxruntime" in problems({**PROBE, "engines": {}})[0]
    litert = replace(HERE, engine="litert")
    assert "pip install ai-edge-litert" in problems(PROBE, "s8s8", litert)[0]


@pytest.mark.parametrize(
    "probe",
    [
        {**PROBE, "version": 1},
        {**PROBE, "machine": {**PROBE["machine"], "cores": "many"}},
        {**PROBE, "machine": {}},
        {**PROBE, "state": {"frequency_mhz": "fast"}},
        {**PROBE, "state": {"throttle_flags": 7}},
        {**PROBE, "state": {"load_average": "high"}},
        {**PROBE, "engines": {"onnxruntime": 3}},
        [],
    ],
)
def test_profile_that_cannot_be_trusted(probe: object) -> None:
    with pytest.raises(MeasurementError, match="here"):
        doctor.diagnose(json.dumps(probe), HERE, "u8s8")
