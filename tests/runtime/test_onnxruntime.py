"""The ONNX Runtime backend computes u8 x s8 exactly on every CPU, and says so where it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from device_runtime import machine
from device_runtime.backends import onnxruntime as backend
from helpers.tiny_onnx import write_convolution


@pytest.mark.parametrize(
    ("cpu", "features", "exact"),
    [
        ("x86_64", ["avx2"], True),
        ("x86_64", [], True),  # unknown: rather slow than wrong
        ("AMD64", ["avx2", "avx512f"], True),
        ("x86_64", ["avx2", "avx512f", "avx512_vnni"], False),
        ("x86_64", ["avx2", "avx_vnni"], False),
        ("aarch64", ["asimd"], False),
        ("armv7l", ["neon"], False),
    ],
)
def test_u8s8_is_widened_only_where_it_would_saturate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cpu: str, features: list, exact: bool
) -> None:
    about: dict[str, Any] = {"machine": cpu, "cpu_features": features}
    monkeypatch.setattr(machine, "describe", lambda: about)
    path = tmp_path / "model.onnx"
    write_convolution(path)
    session = backend.open_model(str(path), 1)
    options = session._session.get_session_options()
    if exact:
        assert options.get_session_config_entry("session.x64quantprecision") == "1"
        expected = "CPUExecutionProvider; exact u8s8, as the CPU has no VNNI"
        assert session.provider == expected
    else:
        assert session.provider == "CPUExecutionProvider"
        with pytest.raises(RuntimeError, match="x64quantprecision"):
            options.get_session_config_entry("session.x64quantprecision")
