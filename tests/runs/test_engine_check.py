"""What an engine will not compute in int8 is refused before the target is asked for anything."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgenas.core.errors import ExportError
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.progress import Silent
from edgenas.core.records import Outcome
from edgenas.runs.config import RunConfig
from edgenas.runs.models import engine_check
from edgenas.runs.run import RunContext
from edgenas.runs.steps import measure
from edgenas.spaces import mbv3_tiny


@dataclass
class NeverAsked:
    """A target whose every use is an error."""

    engine: str
    scheme: str
    name: str = "kitchen"
    asked: list[str] = field(default_factory=list)

    def measure(self, *arguments: object) -> None:
        raise AssertionError("the target was asked to measure")


def context(folder: Path, engine: str, scheme: str, machine: str = "aarch64") -> RunContext:
    made = RunContext(RunFolder(folder), RunConfig(samples=8), Silent())
    made.__dict__.update(target=NeverAsked(engine, scheme), space=mbv3_tiny.create(10, 1, 16))
    made.probed_machine = lambda: machine  # type: ignore[method-assign]
    return made


def test_a_scheme_that_the_engine_refuses_is_refused_before_the_target_is_touched(
    tmp_path: Path,
) -> None:
    with pytest.raises(ExportError, match=r"mbv3-tiny.* on 'kitchen' \(tensorrt, u8s8\)") as error:
        measure.run(context(tmp_path, "tensorrt", "u8s8"))
    assert "s8s8-symmetric" in error.value.hint


def test_float_layers_are_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"at stem, .* and \d+ more: .*in float") as error:
        engine_check.check_engine(context(tmp_path, "onnxruntime", "s8s8-symmetric"))
    assert "s8s8 (Arm)" in error.value.hint


def test_what_only_costs_time_is_a_warning(tmp_path: Path) -> None:
    made = context(tmp_path, "tflite_runtime", "s8s8")
    engine_check.check_engine(made)
    (warning,) = made.progress.warnings
    assert "built-in kernels, without a word" in warning
    assert "litert" in warning


def test_the_engines_own_optimized_graph_is_looked_at_where_it_is_of_the_targets_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = "u8s8" if platform.machine() in ("x86_64", "AMD64") else "s8s8"
    made = context(tmp_path, "onnxruntime", scheme, platform.machine())
    engine_check.check_engine(made)
    assert made.progress.warnings == []
    monkeypatch.setattr(engine_check, "float_islands", lambda model: ("stage0.0.depthwise",))
    with pytest.raises(
        ExportError, match=r"at stage0\.0\.depthwise: onnxruntime leaves it in float"
    ):
        engine_check.check_engine(made)


def test_a_silent_fallback_is_found_in_what_the_engine_says(tmp_path: Path) -> None:
    made = context(tmp_path, "litert", "s8s8")
    as_it_should = Outcome("ok", "", "litert", "2.3.0", "XNNPACK", {})
    engine_check.warn_of_fallback(made, [as_it_should])
    assert made.progress.warnings == []
    fell_back = Outcome(
        "ok", "", "litert", "2.3.0", "XNNPACK; built-in kernels for 2 of 9: PAD", {}
    )
    engine_check.warn_of_fallback(made, [as_it_should, fell_back, fell_back])
    (warning,) = made.progress.warnings
    assert "built-in kernels for 2 of 9: PAD" in warning
