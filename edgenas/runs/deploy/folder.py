"""A folder that classifies images without edgenas: what is in it, and its self-test."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from device_runtime import interpreter
from edgenas.core.errors import InputError, RunFolderError
from edgenas.core.files.outputs import claim_folder
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.records import ImageInput, to_json
from edgenas.targets.jobs.runtime import RUNTIME
from edgenas.targets.remote.wheels import DISTRIBUTIONS

APPLICATION = Path(__file__).parent / "application"
_CPP_EXAMPLE = "classify.cpp"  # of ONNX Runtime's API
SELF_TEST_IMAGES = 3
SELF_TEST_S = 120.0
_MOST_IMAGE_BYTES = 4 << 20  # of a file that is packed as it is


@dataclass(frozen=True)
class Deployed:
    """An application's folder. self_test : a record an image, as its own self-test printed them."""

    folder: str
    model: str
    engine: str
    self_test: tuple[dict[str, Any], ...]
    ok: bool
    reservations: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SelfTest:
    """Images, by the suffix of their file and its content, and the logits that they must give.

    logits : float [n, classes]. step : of an int8 output's scale. most_mean_steps : that an engine
    on another processor may be off, and why.
    """

    images: tuple[tuple[str, bytes], ...]
    logits: np.ndarray
    step: float
    most_mean_steps: float
    why: str


@dataclass(frozen=True, eq=False)
class Application:
    """A network as an application has it.

    format : of its file. input : how an image file becomes its input. verified : what was found of
    it on a target, for the card; None where nothing was verified.
    """

    format: str
    content: bytes
    engine: str
    engine_version: str
    threads: int
    input: ImageInput
    network: str
    class_names: Sequence[str]
    verified: Mapping[str, Any] | None
    self_test: SelfTest
    reservations: tuple[str, ...] = ()

    @property
    def model_name(self) -> str:
        return f"model.{self.format}"

    def files(self) -> dict[str, bytes]:
        """Return the content of every file of the application, by its path in the folder."""
        distribution = DISTRIBUTIONS.get(self.engine, (self.engine,))[0]
        # other versions of Pillow may round a pixel otherwise
        pillow = f"pillow=={importlib.metadata.version('pillow')}"
        required = ["numpy", f"{distribution}=={self.engine_version}", pillow]
        own = {
            path.name: path.read_bytes()
            for path in sorted(APPLICATION.iterdir())
            if path.is_file() and (path.name != _CPP_EXAMPLE or self.format == "onnx")
        }
        if _CPP_EXAMPLE in own:
            own["input.h"] = self._input_header().encode()
        runtime = {
            f"{RUNTIME.name}/{path.relative_to(RUNTIME).as_posix()}": path.read_bytes()
            for path in sorted(RUNTIME.rglob("*.py"))
        }
        images = {
            f"self-test/{number}{suffix}": content
            for number, (suffix, content) in enumerate(self.self_test.images, 1)
        }
        card = self._card(list(images))
        return {
            **own,
            **runtime,
            **images,
            self.model_name: self.content,
            "labels.txt": "".join(
                f"{' '.join(name.split()) or '?'}\n" for name in self.class_names
            ).encode("utf-8", "backslashreplace"),
            "requirements.txt": "".join(f"{line}\n" for line in required).encode(),
            "card.json": (json.dumps(card, indent=1, allow_nan=False) + "\n").encode(),
        }

    def _input_header(self) -> str:
        """Return the input as constants for the example in C++."""
        made = self.input
        numbers = {"MEAN": made.mean, "STD": made.std}
        constants = {
            "CHANNELS": str(len(made.mean)),
            "HEIGHT": str(made.size),
            "WIDTH": str(made.size),
            **{
                name: "{" + ", ".join(f"{float(one)!r}f" for one in values) + "}"
                for name, values in numbers.items()
            },
            "THREADS": str(self.threads),
        }
        return "".join(f"#define EDGENAS_{name} {value}\n" for name, value in constants.items())

    def _card(self, images: list[str]) -> dict[str, Any]:
        test = self.self_test
        return {
            "kind": "edgenas-application",
            "model": self.model_name,
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "engine": self.engine,
            "install": "python3 -m pip install -r requirements.txt",
            "threads": self.threads,
            "input": to_json(self.input),
            "network": self.network,
            "verified": self.verified,
            "self_test": {
                "images": images,
                "logits": [[float(value) for value in row] for row in test.logits],
                "step": test.step,
                "most_mean_steps": test.most_mean_steps,
                "why": test.why,
            },
        }


def require_free(to: Path) -> None:
    """Raise `InputError` unless `to` is an empty folder, or nothing, and can be written."""
    if to.is_symlink() or (to.exists() and (not to.is_dir() or any(to.iterdir()))):
        raise InputError(
            f"{to} is there already, and an application replaces nothing.",
            "Name a folder that is empty or does not exist.",
        )
    claim_folder(to, "--to")


def write_application(application: Application, to: Path) -> Deployed:
    """Write an application into the folder `to`, and test it here.

    Raises
    ------
    InputError : something is there. RunFolderError : the folder cannot be written.
    """
    require_free(to)
    try:
        for name, content in application.files().items():
            write_bytes(to / name, content)
        (to / "classify.py").chmod(0o755)
    except OSError as problem:
        raise RunFolderError(
            f"Cannot write {to}: {problem.strerror}.", "Free some space, or name another folder."
        ) from problem
    return deployed(application, str(to), *self_test(to))


def deployed(
    application: Application, folder: str, reports: tuple[dict[str, Any], ...], ok: bool
) -> Deployed:
    """Return what is told of an application in a folder, here or on a board."""
    return Deployed(
        folder,
        application.model_name,
        application.engine,
        reports,
        ok,
        application.reservations,
    )


def self_test(folder: Path) -> tuple[tuple[dict[str, Any], ...], bool]:
    """Run the self-test of an application in a process of its own; return what it said."""
    command = [sys.executable, "-IB", str(folder.resolve() / "classify.py"), "--self-test"]
    try:
        done = subprocess.run(
            command,
            cwd=interpreter.NEUTRAL_FOLDER,
            capture_output=True,
            timeout=SELF_TEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ({"ok": False, "error": f"no answer within {SELF_TEST_S:g} s"},), False
    out, errors = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    return self_test_reports(done.returncode, out, errors), done.returncode == 0


def self_test_reports(status: int, out: str, errors: str) -> tuple[dict[str, Any], ...]:
    """Return what a self-test printed, and why it ended early, if it did."""
    reports: list[dict[str, Any]] = []
    for line in out.splitlines():
        try:
            report = json.loads(line)
        except ValueError:
            continue
        if isinstance(report, dict):
            reports.append(report)
    if status not in (0, 1):
        said = errors.strip().splitlines()
        reports.append({"ok": False, "error": said[-1] if said else f"status {status}"})
    return tuple(reports)


def packed_images(images: np.ndarray, files: Sequence[Path] = ()) -> tuple[tuple[str, bytes], ...]:
    """Return the suffix and content of each image, uint8 [n, height, width, channels].

    They are the user's files where there are files, so that decoding is tested too.
    """
    return tuple(
        _image_file(pixels, files[number] if files else None)
        for number, pixels in enumerate(images)
    )


def _image_file(pixels: np.ndarray, file: Path | None) -> tuple[str, bytes]:
    """Return an image's suffix and content: the user's file, or a PNG of what it became."""
    suffix = "" if file is None else file.suffix.lower()
    if file is not None and suffix.isascii() and file.stat().st_size <= _MOST_IMAGE_BYTES:
        return suffix, file.read_bytes()
    stream = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG")
    return ".png", stream.getvalue()
