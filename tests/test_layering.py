"""Imports point downwards only, so that a change above can never break what lies below."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for package in ("edgenas", "device_runtime") for path in (ROOT / package).rglob("*.py")
)

# Lowest first: the floors of folders. A file imports from its own folder and from lower floors;
# folders of one floor do not import each other, but for what stands beside them in SIDEWAYS.
FLOORS: list[set[str]] = [
    {"device_runtime"},
    {"core"},
    {"spaces", "data", "tasks", "int8", "predictors", "reporting", "hardware"},
    {"supernet", "targets", "challenges"},
    {"optimize"},
    {"explain"},
    {"runs"},
    {"cli", "testing"},
]
# A supernet is cut into int8 networks of a space and scored on images; targets run int8 files.
ONLY = {
    "supernet": {"int8", "data", "spaces"},
    "targets": {"int8", "hardware"},
    "challenges": {"int8"},
}
# Figures are worked out again from a bundle's files alone, by none of the code that made them.
EVIDENCE = "edgenas.runs.evidence"
# What the command line is made of, and what it calls: the names of `edgenas`, and commands.
CLI_MAY_IMPORT = ("edgenas.cli", "edgenas.core", "edgenas.reporting.words", "edgenas.runs.commands")
RUNTIME_SEAM = {
    "device_runtime.board_files",
    "device_runtime.inputs",
    "device_runtime.interpreter",
    "device_runtime.json_text",
    "device_runtime.machine",
    "device_runtime.protocol",
    "device_runtime.summary",
    "device_runtime.tflite_session",
}
# What runs without edgenas: on boards, and in the folders that `edgenas deploy` makes.
APPLICATION = "edgenas.runs.deploy.application."
APPLICATION_MAY_IMPORT = {"PIL", "cv2", "pixels"}
RUNTIME_MAY_IMPORT = {"numpy", "onnxruntime", "ai_edge_litert", "tflite_runtime"}


def folder(module: str) -> str:
    """Return the folder of a module: "spaces" of edgenas.spaces.base."""
    parts = module.split(".")
    return parts[0] if parts[0] == "device_runtime" else (*parts, "__init__")[1]


def floor(name: str) -> int:
    return next(index for index, names in enumerate(FLOORS) if name in names)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports(path: Path) -> tuple[str, ...]:
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    return _imports_of(ast.walk(ast.parse(path.read_text("utf-8"))), path)


def _imports_of(nodes: Iterable[ast.AST], path: Path) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            inside = (ROOT / node.module.replace(".", "/")).is_dir()
            yield from (f"{node.module}.{a.name}" if inside else node.module for a in node.names)


def test_every_folder_has_a_floor_and_no_module_stands_outside() -> None:
    entries = {path.name for path in (ROOT / "edgenas").iterdir() if path.name != "__pycache__"}
    assert entries - {"__init__.py", "__main__.py", "py.typed"} == set.union(*FLOORS) - {
        "device_runtime"
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    module = module_name(path)
    own = folder(module)
    if own in ("__init__", "__main__"):
        return
    for imported in imports(path):
        if imported.split(".")[0] not in ("edgenas", "device_runtime"):
            continue
        other = folder(imported)
        if other in ("__init__", "__version__"):
            continue
        if other == own:
            steps = ".steps." in module and ".steps." in imported
            same_step = steps and not imported.startswith(module)
            assert not same_step, f"{module} imports another step: {imported}"
            alone = module.startswith(EVIDENCE) and not imported.startswith(EVIDENCE)
            assert not alone, f"{module} works figures out again without a run: {imported}"
            continue
        below = floor(other) < floor(own)
        allowed = own not in ONLY or floor(other) != floor(own) - 1 or other in ONLY[own]
        assert below and allowed, f"{module} imports {imported}, which is not below it"


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.parent.name == "cli"], ids=lambda path: path.name
)
def test_the_command_line_calls_the_api_and_commands_alone(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    of_types = [
        ast.dump(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in node.body
    ]
    called = [node for node in ast.walk(tree) if ast.dump(node) not in of_types]
    for imported in _imports_of(called, path):
        if imported.split(".")[0] == "edgenas" and imported not in (
            "edgenas",
            "edgenas.__version__",
        ):
            said = f"{path} imports {imported}: call it by a function of edgenas/runs/commands.py"
            assert imported.startswith(CLI_MAY_IMPORT), said


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_runtime_seam_is_imported(path: Path) -> None:
    if module_name(path).startswith(("device_runtime", APPLICATION)):
        more = APPLICATION_MAY_IMPORT if module_name(path).startswith(APPLICATION) else set()
        for imported in imports(path):
            top = imported.split(".")[0]
            allowed = top in sys.stdlib_module_names or top in RUNTIME_MAY_IMPORT | more
            assert allowed or top == "device_runtime", f"{path} imports {imported}"
    else:
        used = {name for name in imports(path) if name.startswith("device_runtime")}
        seam = {".".join(name.split(".")[:2]) for name in used}
        assert seam <= RUNTIME_SEAM, f"{path} imports {used - RUNTIME_SEAM}"


def test_the_runtime_is_python_3_8_syntax() -> None:
    for path in SOURCES:
        if module_name(path).startswith(("device_runtime", APPLICATION)):
            ast.parse(path.read_text("utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 450


def test_only_the_command_line_prints_or_exits() -> None:
    for path in SOURCES:
        if module_name(path).startswith(("edgenas.cli", "device_runtime.__main__", APPLICATION)):
            continue  # all are commands
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "exit", "quit"), f"{path}:{node.lineno}"


def test_no_test_module_imports_another() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        for imported in imports(path):
            assert not any(part.startswith("test_") for part in imported.split(".")), path
