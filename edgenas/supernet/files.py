"""Supernet and checkpoint files: safetensors, with what they are made of in the metadata."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors_torch
from torch import Tensor

from device_runtime.json_text import read_json_text
from edgenas.core.errors import InputError
from edgenas.core.files.regular import utf8_name
from edgenas.core.files.run_folder import require_readable, write_bytes
from edgenas.core.interfaces import Data, Space
from edgenas.spaces.base import space_document
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import TrainSettings

FORMAT_VERSION = 2  # 1 had no statistics; without them a file is written as 1
STATISTICS = ("running_mean", "running_var")


def save(supernet: Supernet, path: Path, data: Data, settings: TrainSettings) -> None:
    """Write the weights, and the space, the data and the recipe that they come from."""
    about = metadata("supernet", supernet.space, data, settings)
    if supernet.keeps_statistics:
        about |= {"format_version": FORMAT_VERSION, "origin": supernet.origin}
    write_tensors(path, weights(supernet), about)


def load(path: Path, space: Space) -> Supernet:
    """Return the supernet of `space` in `path`.

    Raises
    ------
    InputError : the file is missing, damaged, of a newer version, or of another space.
    """
    tensors, about = read_tensors(path, "supernet")
    require_same(path, "space", space_document(space), about["space"])
    supernet = Supernet(space)
    copy_tensors(path, tensors, _tensors(supernet, tensors, about))
    return supernet


def load_for(path: Path, space: Space, seed: int = 0) -> Supernet:
    """Return a supernet of `space` with the weights in `path`, all but those of its classifier.

    Raises
    ------
    InputError : as for `load`, but the number of classes may differ; of weights that are for images
        of any size, the resolutions too.
    """
    tensors, about = read_tensors(path, "supernet")
    wanted = space_document(space)
    free = ("num_classes", *(("resolutions",) if for_any_size(about) else ()))
    require_same(path, "space", wanted, {**about["space"], **{name: wanted[name] for name in free}})
    supernet = Supernet(space, seed)
    parameters = _tensors(supernet, tensors, about)
    own = {name: value for name, value in parameters.items() if name.startswith("classifier.")}
    copy_tensors(path, {**tensors, **own}, parameters)
    return supernet


def for_any_size(about: dict[str, Any]) -> bool:
    """Whether a supernet's weights are not tied to the resolutions that its metadata name."""
    return bool(about.get("any_size", False))


def _tensors(
    supernet: Supernet, tensors: dict[str, Tensor], about: dict[str, Any]
) -> dict[str, Tensor]:
    """Return the tensors of `supernet` that a file fills; it keeps statistics if the file does."""
    if any(name.endswith(STATISTICS) for name in tensors):
        supernet.keep_statistics()
        origin = about.get("origin")
        supernet.origin = origin if isinstance(origin, dict) else {}
    return trained_tensors(supernet)


def trained_tensors(supernet: Supernet) -> dict[str, Tensor]:
    """Return what a supernet's file holds: the parameters, and statistics where they are kept.

    Others are each subnet's own.
    """
    kept = dict(supernet.named_buffers()) if supernet.keeps_statistics else {}
    return {**dict(supernet.named_parameters()), **kept}


def weights(supernet: Supernet) -> dict[str, Tensor]:
    """Return the trained tensors, as `trained_tensors`, each contiguous."""
    return {name: t.detach().contiguous() for name, t in trained_tensors(supernet).items()}


def copy_tensors(path: Path, tensors: dict[str, Tensor], into: dict[str, Tensor]) -> None:
    """Copy `tensors`, read from `path`; `InputError` if a name or a shape is not that of `into`."""
    shapes = {name: value.shape for name, value in into.items()}
    if {name: value.shape for name, value in tensors.items()} != shapes:
        raise InputError(
            f"{path} does not hold this supernet's tensors.", "Remove it and train again."
        )
    with torch.no_grad():
        for name, value in into.items():
            value.copy_(tensors[name])


def metadata(kind: str, space: Space, data: Data, settings: TrainSettings) -> dict[str, Any]:
    """Return what is written beside the tensors, as JSON values."""
    return {
        "edgenas": kind,
        "format_version": 1,
        "space": space_document(space),
        "data": {"name": data.name, "identity": data.identity},
        "class_names": list(data.class_names),
        "mean": list(data.mean),
        "std": list(data.std),
        "fit": data.fit,
        "image_size": int(data.train.images.shape[1]),
        "settings": dataclasses.asdict(settings),
    }


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write a safetensors file atomically; every metadata value is JSON text."""
    text = {key: json.dumps(value) for key, value in about.items()}
    write_bytes(path, safetensors_torch.save(tensors, text))


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file; `InputError` if it cannot be read."""
    try:
        return dict(safetensors_torch.load(path.read_bytes()))
    except (OSError, SafetensorError, ValueError) as problem:
        raise InputError(f"Cannot read {path}: {problem}.", "Remove it and run again.") from problem


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and metadata of an edgenas file of `kind`; `InputError` if it is not one."""
    require_readable(path)
    try:
        with utf8_name(path) as name, safe_open(name, "pt") as stream:
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
            about = {key: read_json_text(text) for key, text in (stream.metadata() or {}).items()}
    except (OSError, SafetensorError, ValueError) as problem:
        raise InputError(
            f"Cannot read the {kind} {path}: {problem}.", "Remove it and train again."
        ) from problem
    if about.get("edgenas") != kind or not isinstance(about.get("format_version"), int):
        raise InputError(f"{path} is not a {kind} of edgenas.", "Choose another file.")
    if about["format_version"] > FORMAT_VERSION:
        raise InputError(f"{path} is of a newer edgenas.", "Upgrade edgenas, or train again.")
    return tensors, about


def require_same(path: Path, what: str, wanted: dict[str, Any], found: Any) -> None:
    """Raise `InputError` that names the first field in which a file differs from what is wanted."""
    found = found if isinstance(found, dict) else {}
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            raise InputError(
                f"{path} belongs to another {what}: its {key} is {json.dumps(found.get(key))}, "
                f"here it is {json.dumps(wanted.get(key))}.",
                "Choose another file, or remove it and train again.",
            )
