"""The runtime's package as the host sees it: files to send or to start, and its backends."""

from __future__ import annotations

from pathlib import Path

from device_runtime import protocol
from edgenas.core.errors import InputError, nearest
from edgenas.targets.config import TargetConfig

RUNTIME = Path(protocol.__file__).resolve().parent


def require_backend(config: TargetConfig, runtime: Path) -> None:
    """Raise `InputError` unless the runtime in the folder `runtime` has the file's engine."""
    files = (runtime / "backends").glob("*.py")
    engines = [path.stem for path in files if path.stem not in ("__init__", "base")]
    if config.engine not in engines:
        raise InputError(
            f"The target file {config.source} asks for the engine '{config.engine}'.",
            nearest(config.engine, engines),
        )
