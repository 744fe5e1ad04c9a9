"""Files that users write, as TOML."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edgenas.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]


def read_toml(path: Path) -> dict[str, Any]:
    """Return what a file says, unchecked; `InputError` if it is not there or not TOML."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"Cannot read {path}: {problem}.") from problem
    except tomllib.TOMLDecodeError as problem:
        raise InputError(f"{path} is not TOML: {problem}.") from problem
