"""edgenas: the most accurate int8 network that runs within a latency budget, and why.

    import edgenas

    run = edgenas.search(target="pi@raspberrypi.local", max_latency_ms=5.0)
    run.winner, run.frontier, run.pick(max_latency_ms=3.0), run.explain()

What `__all__` names is public; all else may change in any release. Nothing is loaded before it is
used.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgenas.core.errors import (
        EdgeNasError,
        ExportError,
        InfeasibleError,
        InputError,
        MeasurementError,
        TargetError,
        TrainingError,
    )
    from edgenas.core.progress import Progress
    from edgenas.core.records import Architecture, Interval
    from edgenas.core.records.goals import Limit, Objective
    from edgenas.predictors.tables.regression import TableRegression
    from edgenas.runs.api import (
        open_run,
        package_supernet,
        search,
        search_boards,
        train_supernet,
    )
    from edgenas.runs.loading import load_data, load_space, load_target, read_csv
    from edgenas.runs.networks import Network
    from edgenas.runs.results import Run

__version__ = "0.1.0"
__all__ = [
    "Architecture",
    "EdgeNasError",
    "ExportError",
    "InfeasibleError",
    "InputError",
    "Interval",
    "Limit",
    "MeasurementError",
    "Network",
    "Objective",
    "Progress",
    "Run",
    "TableRegression",
    "TargetError",
    "TrainingError",
    "__version__",
    "load_data",
    "load_space",
    "load_target",
    "open_run",
    "package_supernet",
    "read_csv",
    "search",
    "search_boards",
    "train_supernet",
]
_MODULES = {
    **dict.fromkeys((name for name in __all__ if name.endswith("Error")), "core.errors"),
    "Architecture": "core.records",
    "Interval": "core.records",
    "Limit": "core.records.goals",
    "Objective": "core.records.goals",
    "Progress": "core.progress",
    "TableRegression": "predictors.tables.regression",
    "Network": "runs.networks",
    "Run": "runs.results",
    **dict.fromkeys(("load_data", "load_space", "load_target", "read_csv"), "runs.loading"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'edgenas' has no attribute '{name}'")
    if sys.platform == "win32":
        raise ImportError(importlib.import_module("edgenas.core.errors").ON_WINDOWS)
    value = getattr(importlib.import_module(f"edgenas.{_MODULES.get(name, 'runs.api')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
