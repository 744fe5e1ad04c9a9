"""Plug-ins: one file each; the file's name, with '-' for '_', is its name on the command line."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from edgenas.errors import PluginError, nearest

# family -> its folder, and the function that every member defines (contract: the folder's base.py)
FAMILIES = {
    "targets": ("targets", "create"),
    "spaces": ("spaces", "create"),
    "data": ("data", "load"),
    "predictors": ("predictors", "fit"),
    "published predictors": ("predictors", "published"),
    "optimizers": ("optimizers", "optimize"),
    "exporters": ("exporters", "emit"),
    "challenges": ("challenges", "lint"),
}


def names(family: str) -> list[str]:
    """Return the command-line names of the members of `family`, sorted, without importing them."""
    folder, entry_point = FAMILIES[family]
    return sorted(
        path.stem.replace("_", "-")
        for path in (Path(__file__).parent / folder).glob("*.py")
        if not path.stem.startswith("_")
        and path.stem != "base"
        and f"\ndef {entry_point}(" in path.read_text("utf-8")
    )


def load(family: str, name: str) -> ModuleType:
    """Import the member of `family` that is called `name` on the command line.

    Raises
    ------
    PluginError : no such member; the message names the nearest one.
    """
    known = names(family)
    if name not in known:
        raise PluginError(f"There is no '{name}' among the {family}.", nearest(name, known))
    return importlib.import_module(f"edgenas.{FAMILIES[family][0]}.{name.replace('-', '_')}")
