"""Which versions of what matters made a result."""

from __future__ import annotations

import importlib.metadata
import platform

PACKAGES = ("edgenas", "torch", "onnx", "onnxruntime", "numpy", "statsmodels")


def installed() -> dict[str, str]:
    """Return the versions of Python and the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed as a package"
    return found
