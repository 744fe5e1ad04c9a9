"""A trained supernet with what a search needs beside it: its card, evaluations and some images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from edgenas.errors import InputError, RunFolderError, nearest
from edgenas.records import Evaluation, from_json
from edgenas.run_folder import read_json, require_readable

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class EvaluationTable:
    """Subnets evaluated on one validation split, as int8 in one engine of the host.

    data_identity : SHA-256 of the whole data set.
    """

    data_identity: str
    host_engine: str
    rows: tuple[Evaluation, ...]


@dataclass(frozen=True)
class SyntheticLoss:
    """Int8 accuracy (fraction) lost by calibrating on synthetic images: of `subnets` networks, on
    `n_images` test images, the mean and the most.
    """

    mean: float
    worst: float
    subnets: int
    n_images: int


@dataclass(frozen=True)
class Package:
    """The files of one supernet: NAME.safetensors, and beside it what NAME begins."""

    weights: Path

    @property
    def images(self) -> Path:
        """An excerpt of the images, or synthetic ones: what calibrates, and checks results."""
        return self._beside(".images.safetensors")

    @property
    def evaluations(self) -> Path:
        return self._beside(".evaluations.json")

    @property
    def card(self) -> Path:
        return self._beside(".json")

    @property
    def card_text(self) -> Path:
        return self._beside(".md")

    def _beside(self, suffix: str) -> Path:
        return self.weights.with_name(self.weights.name.removesuffix(SUFFIX) + suffix)

    def metadata(self) -> dict[str, Any]:
        """Return what the supernet says of its space, data and recipe; `InputError` if nothing."""
        about = metadata(self.weights)
        if about.get("edgenas") != "supernet":
            raise InputError(
                f"{self.weights} is not a supernet of edgenas.", "Choose another file."
            )
        return about

    def synthetic_loss(self) -> SyntheticLoss | None:
        """Return what the card says of synthetic images, None if nothing."""
        about = read_json(self.card) if self.card.exists() else {}
        found = about.get("synthetic_loss")
        kind, where = SyntheticLoss, f"What {self.card} says of synthetic images"
        return None if found is None else from_json(found, kind, where, RunFolderError)

    def table(self) -> EvaluationTable | None:
        """Return the evaluated subnets, None if there is no table; `RunFolderError` if damaged."""
        if not self.evaluations.exists():
            return None
        document = read_json(self.evaluations)
        return from_json(document, EvaluationTable, str(self.evaluations), RunFolderError)


def find(name: str) -> Package:
    """Return the supernet that comes with edgenas as `name`, or that of the file `name`.

    Raises
    ------
    InputError : there is none; names the nearest.
    """
    if name in shipped():
        return Package(Path(__file__).with_name(name + SUFFIX))
    path = Path(name).expanduser()
    if path.suffix == SUFFIX and path.is_file():
        return Package(path)
    if path.suffix == SUFFIX:
        raise InputError(f"There is no supernet {path}.", "Train one: edgenas train … -o FILE")
    raise InputError(f"There is no pretrained supernet '{name}'.", nearest(name, shipped()))


def shipped() -> list[str]:
    """Return the names of the supernets that come with edgenas, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.json") if _is_card(path))


def _is_card(path: Path) -> bool:
    return "." not in path.stem


def metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a safetensors file, each value as JSON has it."""
    require_readable(path)
    try:
        with safe_open(path, "np") as stream:
            return {key: json.loads(text) for key, text in (stream.metadata() or {}).items()}
    except (OSError, SafetensorError, ValueError) as problem:
        raise InputError(f"Cannot read {path}: {problem}.", "Choose another file.") from problem
