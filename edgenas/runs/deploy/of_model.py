"""A model file that the user brings as an application."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from edgenas.core.errors import InputError
from edgenas.core.progress import Progress
from edgenas.core.records import ImageInput
from edgenas.int8.checks.parity import find_tolerance
from edgenas.int8.engines.facts import find_engine
from edgenas.int8.engines.host import logits, version
from edgenas.runs.deploy.deliver import place_of, put
from edgenas.runs.deploy.folder import (
    SELF_TEST_IMAGES,
    Application,
    Deployed,
    SelfTest,
    packed_images,
)
from edgenas.runs.own_models.data import Given, input_of, names_of, read_examples
from edgenas.runs.own_models.file import ENGINES, open_models
from edgenas.runs.own_models.network import OwnNetwork, read_network
from edgenas.targets.config import Access


def deploy_model(
    path: Path, to: str, given: Given, access: Access, progress: Progress, *, engine: str | None
) -> Deployed:
    """Write the model file at `path` as an application to `to`, and test it there.

    to : see `deliver.place_of`. engine : see `_application`.

    Raises
    ------
    InputError, RunFolderError, TargetError : see `deliver`. Others : see `_application`.
    """
    place = place_of(to)
    return put(_application(path, given, engine, progress), place, access, progress)


def _application(path: Path, given: Given, engine: str | None, progress: Progress) -> Application:
    """Return the model file at `path` as an application; its self-test has images of --data.

    Without images it has made-up ones: noise, of which the logits are known all the same.
    engine : that the application loads; None for the usual one of the format.

    Raises
    ------
    InputError : the file is no model that classifies images, its classes have no names, the engine
        does not take it, or the images do not fit.
    """
    with tempfile.TemporaryDirectory() as scratch:
        (model,) = open_models([path], {}, Path(scratch))
        network = read_network(model.path, model.label)
    engine = engine or ENGINES[path.suffix.lower()][0]
    if not model.runs_on(engine):
        names = " or ".join(ENGINES[path.suffix.lower()])
        raise InputError(f"{engine} does not take {model.label}.", f"Use --engine {names}.")
    made, class_names, pixels, notes = _images(network, given, progress)
    host = find_engine(engine).host_engine
    scores = logits(network.content, _normalised(pixels, made), host).reshape(len(pixels), -1)
    tolerance = find_tolerance(engine)
    test = SelfTest(
        packed_images(pixels),
        scores,
        network.step_of(scores),
        tolerance.mean_steps,
        tolerance.reason,
    )
    unverified = f"Nothing was verified: edgenas verify {path} --target BOARD --data IMAGES"
    return Application(
        format=network.format,
        content=network.content,
        engine=engine,
        engine_version=version(host).split()[-1],
        threads=1,
        input=made,
        network=model.label,
        class_names=class_names,
        verified=None,
        self_test=test,
        reservations=(*notes, unverified),
    )


def _images(
    network: OwnNetwork, given: Given, progress: Progress
) -> tuple[ImageInput, tuple[str, ...], np.ndarray, tuple[str, ...]]:
    """Return the input, the classes, a few images at its size, and what is assumed."""
    if given.data is not None:
        examples = read_examples(given, network.wanted, progress, calibrate=1)
        assert examples.made is not None and examples.pixels is not None  # they are images
        n = min(SELF_TEST_IMAGES, len(examples.pixels))
        few = examples.pixels[np.arange(n) * len(examples.pixels) // n]  # of several classes
        made = replace(examples.made, image_size=examples.made.size)
        return _as_file(made, network), examples.class_names, few, examples.notes
    made, notes = input_of(network.wanted, given.how)
    names = names_of(network.wanted, given.how)
    if not names:
        raise InputError(
            f"The model has {network.classes} classes without names.",
            "Name them, a line each in the order of its scores: --labels FILE",
        )
    channels, size, _ = network.shape
    noise = np.random.default_rng(0).integers(0, 256, (SELF_TEST_IMAGES, size, size, channels))
    return _as_file(made, network), names, noise.astype(np.uint8), notes


def _as_file(made: ImageInput, network: OwnNetwork) -> ImageInput:
    """Return the input with the layout and type of the file."""
    layout: Literal["nchw", "nhwc"] = "nhwc" if network.format == "tflite" else "nchw"
    return replace(made, layout=layout, dtype=network.dtype)  # type: ignore[arg-type]


def _normalised(pixels: np.ndarray, made: ImageInput) -> np.ndarray:
    """Return float32 [n, channels, height, width], computed as an application computes it."""
    mean, std = np.array(made.mean, np.float32), np.array(made.std, np.float32)
    values = (pixels.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
