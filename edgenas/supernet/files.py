"""Supernet and checkpoint files: safetensors, with what they are made of in the metadata."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors_torch
from torch import Tensor

from edgenas.errors import InputError
from edgenas.run_folder import require_readable, write_bytes
from edgenas.supernet.interfaces import Data, Space
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import TrainSettings

FORMAT_VERSION = 1


def save(supernet: Supernet, path: Path, data: Data, settings: TrainSettings) -> None:
    """Write the weights, and the space, the data and the recipe that they come from."""
    write_tensors(path, weights(supernet), metadata("supernet", supernet.space, data, settings))


def load(path: Path, space: Space) -> Supernet:
    """Return the supernet of `space` in `path`.

    Raises
    ------
    InputError : the file is missing, damaged, of a newer version, or of another space.
    """
    tensors, about = read_tensors(path, "supernet")
    require_same(path, "space", space_document(space), about["space"])
    supernet = Supernet(space)
    copy_tensors(path, tensors, dict(supernet.named_parameters()))
    return supernet


def load_for(path: Path, space: Space, seed: int = 0) -> Supernet:
    """Return a supernet of `space` with the weights in `path`, all but those of its classifier.

    Raises
    ------
    InputError : as for `load`, but the number of classes may differ.
    """
    tensors, about = read_tensors(path, "supernet")
    wanted = space_document(space)
    classes = {"num_classes": wanted["num_classes"]}
    require_same(path, "space", wanted, {**about["space"], **classes})
    supernet = Supernet(space, seed)
    parameters: dict[str, Tensor] = dict(supernet.named_parameters())
    own = {name: value for name, value in parameters.items() if name.startswith("classifier.")}
    copy_tensors(path, {**tensors, **own}, parameters)
    return supernet


def weights(supernet: Supernet) -> dict[str, Tensor]:
    """Return the trained tensors; running statistics are each subnet's own and not among them."""
    return {name: value.detach().contiguous() for name, value in supernet.named_parameters()}


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
        "format_version": FORMAT_VERSION,
        "space": space_document(space),
        "data": {"name": data.name, "identity": data.identity},
        "class_names": list(data.class_names),
        "mean": list(data.mean),
        "std": list(data.std),
        "settings": dataclasses.asdict(settings),
    }


def space_document(space: Space) -> dict[str, Any]:
    """Return the space's parameters as JSON values."""
    document: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(cast(Any, space))))
    return document


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
        with safe_open(path, "pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
            about = {key: json.loads(text) for key, text in (stream.metadata() or {}).items()}
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
