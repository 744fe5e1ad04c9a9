"""LPCVC 2023: a zipapp that segments images; checked as a file, and judged by running it."""

from __future__ import annotations

import ast
import sys
import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePosixPath

from edgenas.challenges import lpcvc2023_referee
from edgenas.challenges.base import (
    Entry,
    Facts,
    Finding,
    Parameters,
    Score,
    load_rules,
    require_file,
)
from edgenas.core.errors import InputError
from edgenas.core.files.archive import open_archive

RULES = load_rules("lpcvc2023")
_MODEL_SUFFIXES = (".tflite", ".onnx", ".pt", ".pth", ".engine")
_LARGEST_SOURCE_BYTES = 4 * 2**20


def lint(path: Path) -> tuple[Finding, ...]:
    """Check a zipapp without running it: name, first line, entry point, syntax and imports."""
    require_file(path)
    if path.suffix in _MODEL_SUFFIXES:
        remedy = "Hand in a package that runs a segmentation network."
        return (RULES.broken("task", f"{path.name} is a model, not a package.", remedy),)
    remedy = f"Run: python3.6 -m zipapp solution -p='{RULES.value('file', 'shebang')[2:]}'"
    try:
        with open_archive(path) as package:
            damaged = package.testzip()
            if damaged:
                return (RULES.broken("file", f"{damaged} in it is damaged.", remedy),)
            inside = tuple(_inside(package))
    except (OSError, ValueError) as problem:
        found = f"{path.name} is no zip file that Python can run: {problem}."
        return (RULES.broken("file", found, remedy),)
    return (*_file(path, remedy), *inside, *RULES.remaining)


def build(entry: Entry, out: Path) -> Path:
    """Refuse: what a search finds classifies images, and this challenge segments them."""
    raise InputError(
        f"{entry.name} is a classifier: {RULES.name} is a segmentation challenge, "
        "and a classification backbone is no valid entry.",
        "Put a segmentation head on it, pack it, then: "
        f"edgenas submit --check solution.pyz --challenge {RULES.name}",
    )


def judging(path: Path, entry: Entry) -> None:
    """Return None: `score` runs the package on image files as the referee does."""


def score(path: Path, facts: Facts | None, given: Parameters) -> Score:
    """Run the package on images and judge what it writes: mean Dice / seconds per image.

    given : `images` and `truth`, folders of images and of their class maps with the same names;
        `python`, the interpreter (default python3.6); `limit_s`; `sandbox`, "auto" (default) or
        "off": see `referee2023.judge`.

    Raises
    ------
    InputError : a folder or the interpreter is missing.
    DisqualifiedError : the package fails, is late, or writes what cannot be judged; the message
        says which.
    """
    RULES.check_names(given, ("images", "truth", "python", "sandbox"))
    sandbox = given.get("sandbox", "auto")
    if sandbox not in ("auto", "off"):
        raise InputError(f"There is no sandbox '{sandbox}'.", "Give --sandbox auto or off.")
    missing = [name for name in ("images", "truth") if name not in given]
    if missing:
        raise InputError(
            f"{RULES.name} is judged by running the package, on {' and '.join(missing)}.",
            "Give --set images=FOLDER --set truth=FOLDER: images, and class maps of their names.",
        )
    limit_s = RULES.number("limit_s", given)
    if limit_s <= 0:
        raise InputError(f"A limit of {limit_s:g} s cannot be kept.", "Give --set limit_s=SECONDS.")
    limits = lpcvc2023_referee.Limits(
        limit_s,
        RULES.value("output", "size"),
        RULES.value("output", "classes"),
    )
    verdict = lpcvc2023_referee.judge(
        require_file(path),
        Path(given["images"]),
        Path(given["truth"]),
        given.get("python", "python3.6"),
        limits,
        sandbox="off" if sandbox == "off" else "auto",
    )
    seconds_per_image = verdict.seconds / verdict.n_images
    details = {
        "mean_dice": verdict.mean_dice,
        "seconds": verdict.seconds,
        "wall_seconds": verdict.wall_seconds,
        "n_images": float(verdict.n_images),
    }
    formula = "mean Dice / (printed seconds / images)"
    return Score(verdict.mean_dice / seconds_per_image, formula, details, verdict.notes)


def _file(path: Path, remedy: str) -> Iterator[Finding]:
    name, shebang = RULES.value("file", "name"), RULES.value("file", "shebang")
    if path.name != name:
        found = f"The file is called {path.name}."
        yield RULES.broken("file", found, f"Rename it to {name}.")
    with path.open("rb") as stream:
        first = stream.readline(200).decode("utf-8", "replace").strip()
    if first != shebang:
        shown = first if first.startswith("#!") else "missing"
        yield RULES.broken("file", f"Its first line is {shown}.", remedy)


def _inside(package: zipfile.ZipFile) -> Iterator[Finding]:
    names = package.namelist()
    entry = RULES.value("file", "entry")
    if entry not in names:
        found = f"There is no {entry} at the top of the package."
        nested = [name for name in names if name.endswith(f"/{entry}")]
        where = f": pack the folder {PurePosixPath(nested[0]).parent} itself" if nested else ""
        yield RULES.broken("file", found, f"Put it there{where}.")
    first = (PurePosixPath(name).parts[:1] for name in names)  # none of "./"
    own = {part.removesuffix(".py") for parts in first for part in parts}
    there = (RULES.value("packages", name) for name in ("modules", "with_python", "with_board"))
    known = {*sys.stdlib_module_names, *chain.from_iterable(there), *own}
    for info in package.infolist():
        if info.filename.endswith(".py") and info.file_size <= _LARGEST_SOURCE_BYTES:
            yield from _source(info.filename, package.read(info), known)


def _source(name: str, content: bytes, known: set[str]) -> Iterator[Finding]:
    """Check one module. The parser refuses most, not all, of what Python 3.6 does not know."""
    major, minor = RULES.value("python", "version")
    try:
        tree = ast.parse(content, feature_version=(major, minor))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        found = f"{name} is no Python {major}.{minor}: {str(problem) or 'nested too deeply'}."
        yield RULES.broken("python", found, "Write it for that version and test it there.")
        return
    imported = {
        module.split(".")[0]
        for node in ast.walk(tree)
        for module in _modules(node)
        if module.split(".")[0] not in known
    }
    for module in sorted(imported):
        found = f"{name} imports {module}, which is not installed there."
        yield RULES.broken("packages", found, f"Pack {module} too, or do without it.", "warning")


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return [node.module]
    return []
