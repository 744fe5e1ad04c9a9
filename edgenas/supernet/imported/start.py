"""A supernet from a network that somebody else trained: its file, and the start of its training.

The largest network of the space computes what the imported one does. Before training its hidden
channels are sorted by energy on the user's images, and the statistics of those layers whose inputs
a subnet may have fewer of are made those of the images, with what they changed taken into gamma and
beta. A subnet's own are then recalibrated: what was left out changes neither mean nor spread of
what a layer makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from edgenas.core.interfaces import Data, Space
from edgenas.core.progress import Progress
from edgenas.core.records import ImageInput
from edgenas.spaces.base import space_document
from edgenas.spaces.imported import ImportedSpace
from edgenas.supernet.blocks import Subnet
from edgenas.supernet.files import FORMAT_VERSION, load, write_tensors
from edgenas.supernet.imagenet import projections, sorting
from edgenas.supernet.imagenet.linear import Floor
from edgenas.supernet.imported.space import ImportedSupernet
from edgenas.supernet.network import Supernet
from edgenas.supernet.scores import accuracy

CHANCE = 1.5  # times the accuracy of guessing, below which the preprocessing is doubted


def write(
    path: Path, imported: ImportedSupernet, made: ImageInput, class_names: Sequence[str]
) -> None:
    """Write the supernet's file. made : how images become the network's input.

    class_names : in the order of its scores; () where only the images know them.
    """
    title, sha256 = imported.space.source
    about = {
        "edgenas": "supernet",
        "format_version": FORMAT_VERSION,
        "space": space_document(imported.space),
        "data": {"name": title, "identity": ""},
        "class_names": list(class_names),
        "mean": list(made.mean),
        "std": list(made.std),
        "fit": made.fit,
        "image_size": made.size,
        "imported": True,
        "settings": {},
        "origin": {"network": title, "source": "a file of the user's", "sha256": sha256},
    }
    tensors = {name: torch.from_numpy(value) for name, value in imported.tensors.items()}
    write_tensors(path, tensors, about)


def begin(weights: Path, space: Space, data: Data, progress: Progress) -> tuple[Supernet, Floor]:
    """Return the supernet to train on from, and what the imported network gets right; says it.

    weights : a file of `write`, of this space.

    Raises
    ------
    InputError : the file is damaged, or of another space.
    """
    supernet = load(weights, space)
    largest = space.largest()
    subnet = supernet.subnet(largest).eval()
    right = accuracy(subnet, data.val, data)
    floor = Floor(right, largest.resolution, len(data.val.labels), 0, "the network")
    progress.message(
        f"{supernet.origin['network']} itself gets {floor.accuracy:.1%} of {floor.n_images} "
        "validation images right, as float. Its supernet is trained on from there."
    )
    if floor.accuracy < CHANCE / space.num_classes:
        progress.warning(
            "That is no better than guessing: mean, std, the fit or the order of the classes "
            "(--mean, --std, --fit, --labels) is not the network's."
        )
    _prepare(supernet, data)
    return supernet, floor


def own_network(weights: Path, space: ImportedSpace, data: Data) -> Subnet:
    """Return the imported network as it is, of a space that widens it; ready to be trained on.

    Raises
    ------
    InputError : the file is damaged, or of another space.
    """
    supernet = load(weights, space)
    _prepare(supernet, data)
    return supernet.subnet(space.smallest()).eval()


def _prepare(supernet: Supernet, data: Data) -> None:
    """Sort hidden channels and take the images' statistics; what is computed stays."""
    resolution = supernet.space.largest().resolution
    for change, count in (
        (sorting.sort_channels, sorting.IMAGES),
        (projections.take_statistics, projections.IMAGES),
    ):
        change(supernet, data.calibration(count).resized(resolution).images, data)
