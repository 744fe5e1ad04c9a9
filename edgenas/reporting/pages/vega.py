"""Vega as one script: bundled by vl-convert once, then kept, because bundling takes two seconds."""

from __future__ import annotations

import contextlib
import hashlib
from importlib import metadata
from pathlib import Path

from edgenas.core.errors import RunFolderError
from edgenas.core.files.cache import cache_folder
from edgenas.core.files.run_folder import write_bytes

_MOST_BYTES = 16 << 20  # of a script that is read back


def vega() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script, of the installed vl-convert.

    It is kept in the host's cache under its hash, and taken from there while it has that hash.
    """
    name = f"vega-{metadata.version('vl-convert-python')}-"
    for path in sorted(cache_folder().glob(f"{name}*.js")):
        content = _read(path)
        if path.name == _name(name, content):
            return content.decode()
    import vl_convert

    bundle: str = vl_convert.javascript_bundle(None)  # type: ignore[arg-type]  # of its stub
    assert "</script" not in bundle.lower() and "<!--" not in bundle
    content = bundle.encode()
    with contextlib.suppress(RunFolderError):  # without room for it, it is bundled each time
        write_bytes(cache_folder() / _name(name, content), content)
    return bundle


def _name(name: str, content: bytes) -> str:
    return f"{name}{hashlib.sha256(content).hexdigest()}.js"


def _read(path: Path) -> bytes:
    """Return a file's bytes; b"" where it cannot be read, or is too large to be the script."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return b""
        return path.read_bytes()
    except OSError:
        return b""
