"""The distribution in tests/plugin, found by this process as if it were installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgenas.core import plugins
from edgenas.core.files.toml import read_toml

PLUGIN = Path(__file__).parents[1] / "plugin"


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Let this process find the members of tests/plugin; what installs them is in `folder`."""
    project = read_toml(PLUGIN / "pyproject.toml")["project"]
    about = folder / "edgenas_example-0.1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", "utf-8"
    )
    groups = [
        "\n".join((f"[{group}]", *(f"{name} = {module}" for name, module in members.items())))
        for group, members in project["entry-points"].items()
    ]
    (about / "entry_points.txt").write_text("\n".join(groups), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for path in (folder, PLUGIN):
            patch.syspath_prepend(path)
        _forget()
        yield
    _forget()


def _forget() -> None:
    for cached in (plugins._outside, plugins._loaded):
        cached.cache_clear()
