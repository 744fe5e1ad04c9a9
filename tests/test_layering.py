"""Imports point downwards only, so that a change above can never break what lies below."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for package in ("edgenas", "device_runtime") for path in (ROOT / package).rglob("*.py")
)

# Lowest first. A module may import from its own unit and from lower layers; units of one layer
# (the families, the steps) never import each other. `graph` is what exporters write down.
LAYERS: list[set[str]] = [
    {"device_runtime"},
    {
        "array_file",
        "errors",
        "progress",
        "run_folder",
        "records",
        "plugins",
        "goals",
        "readings",
        "responses",
        "toml_file",
        "versions",
        "pretrained",
    },
    {"graph", "table_target"},
    {
        "config",
        "store",
        "host_engine",
        "targets",
        "spaces",
        "data",
        "predictors",
        "optimizers",
        "supernet",
        "exporters",
        "challenges",
        "reporting",
    },
    {"term_rows", "deployable", "space_card", "predictor_report", "trained_size"},
    {"measured_table", "subnet_accuracy", "file_check"},
    {
        "table_problem",
        "table_predictors",
        "search_problem",
        "marginal",
        "measuring_plan",
        "ratio",
    },
    {"front_problem", "measured_limits", "advice", "table_run", "int8_warnings"},
    {"binding", "picking", "run_context", "published_search"},
    {
        "latency_model",
        "reproduction",
        "exported_graph",
        "finetuning",
        "warm_start",
        "open_run",
        "boards_file",
        "pathology",
        "kept_predictors",
    },
    {
        "replayed_limits",
        "replayed_predictions",
        "engine_check",
        "parity_gate",
        "profiling",
        "int8_layers",
        "packaged_images",
    },
    {"steps", "summary", "table_steps", "table_summary"},
    {"table_search"},
    {"pipeline", "supernet_training", "packaging", "comparison", "in_turn", "engine_choice"},
    {"several", "submission"},
    {"cli"},
]
# Units of the second layer are small and may use each other.
SHARED = LAYERS[1]
RUNTIME_SEAM = {
    "device_runtime.machine",
    "device_runtime.protocol",
    "device_runtime.summary",
    "device_runtime.tflite_session",
}
RUNTIME_MAY_IMPORT = {"numpy", "onnxruntime", "ai_edge_litert", "tflite_runtime"}


def unit(module: str) -> str:
    """Return the unit of a module: "spaces" for edgenas.spaces.base."""
    parts = module.split(".")
    return parts[0] if parts[0] == "device_runtime" else (*parts, "__init__")[1]


def level(name: str) -> int:
    return next(index for index, layer in enumerate(LAYERS) if name in layer)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            inside = (ROOT / node.module.replace(".", "/")).is_dir()
            yield from (f"{node.module}.{a.name}" if inside else node.module for a in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    module = module_name(path)
    own = unit(module)
    if own in ("__init__", "__main__"):
        return
    for imported in imports(path):
        if imported.split(".")[0] not in ("edgenas", "device_runtime"):
            continue
        other = unit(imported)
        if other in (own, "__version__", "__init__") or {own, other} <= SHARED:
            same_step = own == "steps" and ".".join(imported.split(".")[:3]) != module
            assert not same_step, f"{module} imports another step: {imported}"
            continue
        assert level(other) < level(own), f"{module} imports {imported}, which is not below it"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_runtime_seam_is_imported(path: Path) -> None:
    if module_name(path).startswith("device_runtime"):
        for imported in imports(path):
            top = imported.split(".")[0]
            allowed = top in sys.stdlib_module_names or top in RUNTIME_MAY_IMPORT
            assert allowed or top == "device_runtime", f"{path} imports {imported}"
    else:
        used = {name for name in imports(path) if name.startswith("device_runtime")}
        seam = {".".join(name.split(".")[:2]) for name in used}
        assert seam <= RUNTIME_SEAM, f"{path} imports {used - RUNTIME_SEAM}"


def test_the_runtime_is_python_3_8_syntax() -> None:
    for path in SOURCES:
        if module_name(path).startswith("device_runtime"):
            ast.parse(path.read_text("utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 350


def test_only_the_command_line_prints_or_exits() -> None:
    for path in SOURCES:
        if module_name(path).startswith(("edgenas.cli", "device_runtime.__main__")):
            continue  # both are commands
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "exit", "quit"), f"{path}:{node.lineno}"
