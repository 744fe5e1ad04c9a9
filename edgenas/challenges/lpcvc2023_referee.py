"""The referee of LPCVC 2023: run a package against the clock, and compare its maps with the truth.

Mean Dice as in the organisers' evaluation/accuracy.py (the version with the corrected denominator):
per image the mean over the classes that the image or its map has, then the mean over images.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edgenas.challenges import package_process
from edgenas.challenges.base import DisqualifiedError
from edgenas.core.errors import InputError

_SUFFIXES = (".png", ".jpg", ".jpeg")
_CLOCKS_DIFFER = 1.25  # loading takes time, but not this much of it


@dataclass(frozen=True)
class Limits:
    """seconds for all images; size : height and width of a map; classes : numbers below it."""

    seconds: float
    size: int
    classes: int


@dataclass(frozen=True)
class Verdict:
    """seconds : as the package printed them; wall_seconds : by the clock on the wall."""

    mean_dice: float
    seconds: float
    wall_seconds: float
    n_images: int
    notes: tuple[str, ...]


def judge(
    package: Path,
    images: Path,
    truth: Path,
    python: str,
    limits: Limits,
    *,
    sandbox: package_process.Sandbox = "auto",
) -> Verdict:
    """Run `package` on all images and judge its maps.

    sandbox : "auto" shuts it in where bubblewrap is there and works, and hides the truth from it;
        "off" does not. The verdict's notes say which it was.

    Raises
    ------
    InputError, DisqualifiedError : see `lpcvc2023.score`.
    """
    interpreter = shutil.which(python)
    if interpreter is None:
        raise InputError(
            f"There is no interpreter '{python}' to run {package.name} with.",
            "Give --set python=PATH; the organisers used Python 3.6.",
        )
    _require_start(interpreter)
    names = _names(images)
    truths = {name: _truth(truth, name, limits) for name in names}
    with tempfile.TemporaryDirectory(prefix="edgenas-referee-") as folder:
        out = Path(folder)
        words = [Path(interpreter).absolute(), package.absolute(), "-i", images.absolute()]
        plain, confined = [*map(str, words), "-o", folder], None
        if sandbox == "auto":
            seen = [Path(plain[0]).parent.parent, package, images]
            confined = package_process.confine(plain, seen, out, hidden=[truth])
        seconds, wall_seconds = _run(confined or plain, out, limits.seconds)
        dices = [mean_dice(truths[name], _map(out, name, limits), limits.classes) for name in names]
    notes = [package_process.CONFINED if confined else package_process.UNCONFINED]
    if wall_seconds > _CLOCKS_DIFFER * seconds:
        notes.append(
            f"The package says {seconds:g} s, the clock {wall_seconds:.1f} s (with loading)."
        )
    return Verdict(float(np.mean(dices)), seconds, wall_seconds, len(names), tuple(notes))


def _require_start(interpreter: str) -> None:
    """Raise `InputError` unless the interpreter is a program: in a sandbox that would not be told.

    What it answers does not matter.
    """
    try:
        subprocess.run(
            [interpreter, "--version"], cwd="/", capture_output=True, timeout=30, check=False
        )
    except OSError as problem:
        raise _no_start(interpreter, problem) from problem
    except subprocess.TimeoutExpired:
        return


def _no_start(interpreter: str, problem: OSError) -> InputError:
    return InputError(
        f"The interpreter {interpreter} does not start: {problem.strerror}.",
        "Give --set python=PATH; the organisers used Python 3.6.",
    )


def mean_dice(truth: np.ndarray, found: np.ndarray, classes: int) -> float:
    """Return the mean over classes of 2 |A and B| / (|A| + |B|); absent classes do not count.

    truth, found : class numbers, integer [height, width].
    """
    pairs = classes * truth.astype(np.int64).ravel() + found.astype(np.int64).ravel()
    counts = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    both = counts.sum(0) + counts.sum(1)
    there = both > 0
    return float((2 * np.diag(counts)[there] / both[there]).mean())


def _names(images: Path) -> list[str]:
    if not images.is_dir():
        raise InputError(f"There is no folder {images}.", "Give --set images=FOLDER.")
    names = sorted(path.name for path in images.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not names:
        raise InputError(f"{images} has no PNG or JPEG images.", "Give --set images=FOLDER.")
    return names


def _run(command: list[str], out: Path, limit_s: float) -> tuple[float, float]:
    """Return the seconds that the package printed last, and those that really passed."""
    start = time.monotonic()
    try:
        ended = package_process.finished(command, out, limit_s)
    except OSError as problem:
        raise _no_start(command[0], problem) from problem
    except subprocess.TimeoutExpired as problem:
        raise DisqualifiedError(
            "time",
            f"The package was not ready after {limit_s:g} s: it would be disqualified.",
            "Make it faster, or give it fewer images to see how far it is.",
        ) from problem
    wall_seconds = time.monotonic() - start
    if ended.status:
        tail = ended.errors.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise DisqualifiedError(
            "task",
            f"The package ended with exit status {ended.status}: {' '.join(tail)[:300]}",
            "Run it by hand with -i IMAGES -o FOLDER.",
        )
    return _printed_seconds(ended.output), wall_seconds


def _printed_seconds(output: bytes) -> float:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    last = lines[-1][:100] if lines else ""
    try:
        seconds = float(last)
    except ValueError:
        seconds = math.nan
    if not (seconds > 0 and math.isfinite(seconds)):
        raise DisqualifiedError(
            "time",
            f"The last line that the package printed is no time: '{last}'.",
            "Print the seconds that all images took, as a number, and nothing after it.",
        )
    return seconds


def _truth(folder: Path, name: str, limits: Limits) -> np.ndarray:
    path = (folder / name).with_suffix(".png")
    if not path.is_file():
        raise InputError(f"There is no class map {path} for {name}.", "Give --set truth=FOLDER.")
    try:
        return _classes(path, limits)
    except _NoMapError as problem:
        raise InputError(f"The truth {path.name} {problem}.", problem.remedy) from problem


def _map(folder: Path, name: str, limits: Limits) -> np.ndarray:
    path = (folder / name).with_suffix(".png")
    if path.is_symlink() or not path.is_file():
        raise DisqualifiedError(
            "output",
            f"The package wrote no {path.name}: it would be disqualified.",
            "Write one PNG for each image, with the image's name.",
        )
    try:
        return _classes(path, limits)
    except _NoMapError as problem:
        said = f"The package's map {path.name} {problem}."
        raise DisqualifiedError("output", said, problem.remedy) from problem


class _NoMapError(Exception):
    """What is wrong with a file of class numbers, and what mends it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


def _classes(path: Path, limits: Limits) -> np.ndarray:
    try:
        with Image.open(path) as image:
            values = np.asarray(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        raise _NoMapError(f"is no image: {problem}", "Write PNGs.") from problem
    if values.ndim == 3:
        values = values[..., 0]  # as the organisers read it
    if values.shape != (limits.size, limits.size):
        raise _NoMapError(
            f"is {values.shape[1]} x {values.shape[0]} pixels",
            f"Write {limits.size} x {limits.size}.",
        )
    if values.dtype.kind not in "ui" or int(values.max()) >= limits.classes:
        raise _NoMapError(
            f"has values up to {values.max()}",
            f"Write class numbers from 0 to {limits.classes - 1}.",
        )
    return values
