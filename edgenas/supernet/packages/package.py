"""A trained supernet with what a search needs beside it: its card, evaluations and some images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError, safe_open

from device_runtime.json_text import read_json_text
from edgenas.core.errors import InputError, RunFolderError, nearest
from edgenas.core.files.outputs import Written
from edgenas.core.files.regular import utf8_name
from edgenas.core.files.run_folder import read_json, require_readable
from edgenas.core.records import FITS, Evaluation, Fit, from_json
from edgenas.supernet.imagenet import weights as imagenet
from edgenas.supernet.packages.card import title

SUFFIX = ".safetensors"
_MOST_TITLE_BYTES = 4096


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

    def fit(self) -> Fit:
        """Return how the images that it was trained on became square; `InputError` if damaged."""
        return fit_in(self.metadata(), self.weights)

    def any_size(self) -> bool:
        """Whether its weights are a start for images of any size, and of any classes."""
        return bool(self.metadata().get("any_size", False))

    def imported(self) -> bool:
        """Whether its weights are a network of the user's, as `edgenas shrink` imports it."""
        return bool(self.metadata().get("imported", False))

    def is_start(self) -> bool:
        """Whether its weights are nothing but a start, to be trained on from."""
        return self.any_size() or self.imported()

    def note(self) -> str:
        """Return what the card says that a reader of its figures must know, "" if nothing.

        Raises
        ------
        RunFolderError : it is no text.
        """
        about = read_json(self.card) if self.card.exists() else {}
        return from_json(about.get("note", ""), str, f"The note of {self.card}", RunFolderError)

    def synthetic_loss(self) -> SyntheticLoss | None:
        """Return what the card says of synthetic images, None if nothing."""
        about = read_json(self.card) if self.card.exists() else {}
        found = about.get("synthetic_loss")
        kind, where = SyntheticLoss, f"What {self.card} says of synthetic images"
        return None if found is None else from_json(found, kind, where, RunFolderError)

    def written_by_edgenas(self) -> dict[Path, Written]:
        """Return the files beside the weights, each with what tells whether edgenas wrote it."""
        return {
            self.images: lambda path: "class_names" in metadata(path),
            self.evaluations: lambda path: self.table() is not None,
            self.card: lambda path: self._known_card() is not None,
            self.card_text: self._begins_as_card,
        }

    def _known_card(self) -> dict[str, Any] | None:
        about = read_json(self.card)
        return about if isinstance(about, dict) and about.get("edgenas") == "supernet" else None

    def _begins_as_card(self, path: Path) -> bool:
        """Return whether a text has the title of the card."""
        about = self._known_card()
        with path.open("rb") as stream:
            start = stream.readline(_MOST_TITLE_BYTES).decode("utf-8")
        return about is not None and start == title(about) + "\n"

    def table(self) -> EvaluationTable | None:
        """Return the evaluated subnets, None if there is no table; `RunFolderError` if damaged."""
        if not self.evaluations.exists():
            return None
        document = read_json(self.evaluations)
        return from_json(document, EvaluationTable, str(self.evaluations), RunFolderError)


def find(name: str) -> Package:
    """Return the supernet that comes with edgenas as `name`, or that of the file `name`.

    ImageNet's weights are converted when they are first asked for.

    Raises
    ------
    InputError : there is none; names the nearest. Or ImageNet's weights are not installed.
    """
    if name in imagenet.SOURCES:
        return Package(imagenet.converted(name))
    if name in shipped():
        return Package(Path(__file__).with_name(name + SUFFIX))
    path = Path(name).expanduser()
    if path.suffix == SUFFIX and path.is_file():
        return Package(path)
    if path.suffix == SUFFIX:
        raise InputError(f"There is no supernet {path}.", "Train one: edgenas train … -o FILE")
    raise InputError(
        f"There is no pretrained supernet '{name}'.", nearest(name, [*shipped(), *imagenet.SOURCES])
    )


def shipped() -> list[str]:
    """Return the names of the supernets that come with edgenas, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.json") if _is_card(path))


def _is_card(path: Path) -> bool:
    return "." not in path.stem


def fit_in(about: dict[str, Any], path: Path) -> Fit:
    """Return what the metadata of `path` say of the fit; older ones say nothing, and are "crop".

    Raises
    ------
    InputError : it is no fit.
    """
    fit = about.get("fit", "crop")
    if fit not in FITS:
        raise InputError(f"{path} was made with an unknown --fit, {fit!r}.", "Upgrade edgenas.")
    return cast(Fit, fit)


def metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a safetensors file, each value as JSON has it."""
    require_readable(path)
    try:
        with utf8_name(path) as name, safe_open(name, "np") as stream:
            return {key: read_json_text(text) for key, text in (stream.metadata() or {}).items()}
    except (OSError, SafetensorError, ValueError) as problem:
        raise InputError(f"Cannot read {path}: {problem}.", "Choose another file.") from problem
