"""A network that the user trained, as the start of a run: its space and its weights."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.errors import InputError, RunFolderError
from edgenas.core.files.outputs import claim_folder
from edgenas.core.files.run_folder import RunFolder, write_json
from edgenas.core.progress import Progress
from edgenas.core.run_options import LARGEST_SIZE, SMALLEST_SIZE
from edgenas.int8.graph.ir import OUTPUT
from edgenas.int8.importer.read import Imported, import_onnx
from edgenas.runs.open import require_new
from edgenas.runs.own_models.data import Preprocessing, Wanted, input_of, names_of
from edgenas.runs.own_models.file import open_models
from edgenas.runs.own_models.quantize import compare_import

if TYPE_CHECKING:
    from edgenas.supernet.imported.space import ImportedSupernet, Purpose

_COMPARED_IMAGES = 4
_MOST_OFF = 1e-4  # of the greatest score


def begin(
    path: Path,
    run: Path,
    how: Preprocessing,
    shape: tuple[int, ...] | None,
    progress: Progress,
    *,
    purpose: Purpose = "shrunk",
) -> dict[str, Any]:
    """Import the float ONNX file at `path` into the folder of a run to be.

    how, shape : of its input, as far as the file does not say it. purpose : whether it is the
        largest network of the run's space, or the smallest.

    Returns
    -------
    The options of a search that begins with it: space, supernet and fit.

    Raises
    ------
    InputError : the file cannot be used. RunFolderError : the folder holds something already.
    """
    from edgenas.spaces.base import space_document
    from edgenas.supernet.imported import start

    if path.suffix.lower() != ".onnx":
        raise InputError(
            f"{path} is no .onnx file.", "Export the float network as ONNX: torch.onnx.export"
        )
    folder = RunFolder(run)
    if folder.config.exists():
        raise RunFolderError(
            f"{run} holds a run already.", f"Go on with: edgenas search --out {run} --resume"
        )
    require_new(folder)
    claim_folder(run, "--out")
    with tempfile.TemporaryDirectory() as scratch:
        (own,) = open_models([path], {"": (1, *shape)} if shape else {}, Path(scratch))
        content = own.path.read_bytes()
    progress.message(f"importing {path.name}")
    model = import_onnx(content, str(path), shape)
    if model.graph.ends is not None:
        raise InputError(
            f"{path} takes {' x '.join(map(str, model.graph.takes))}, no image, and networks of "
            f"images alone can be {purpose}.",
            "Make it int8: edgenas quantize",
        )
    if len(model.graph.shapes[OUTPUT]) != 2:
        raise InputError(f"{path} gives images, no score a class, so that it cannot be {purpose}.")
    wanted = Wanted(model.graph.input_shape[1:], model.graph.shapes[OUTPUT][1], model.metadata)
    made, notes = input_of(wanted, how)
    for note in notes:
        progress.warning(note)
    if not SMALLEST_SIZE <= made.size <= LARGEST_SIZE:
        raise InputError(
            f"{path} takes images of {made.size} px, and a search reads {SMALLEST_SIZE} to "
            f"{LARGEST_SIZE}.",
        )
    imported = _imported(model, path, own.sha256, purpose)
    space = folder.space_file(f"{imported.space.name}.json")
    write_json(space, space_document(imported.space))
    start.write(folder.imported, imported, made, names_of(wanted, how))
    progress.message(_sentence(imported, model, purpose))
    return {"space": str(space), "supernet": str(folder.imported), "fit": made.fit}


def _imported(model: Imported, path: Path, sha256: str, purpose: Purpose) -> ImportedSupernet:
    """Return the space and the weights, whose largest network computes what the file computes."""
    import torch

    from edgenas.supernet.imported.space import supernet_of
    from edgenas.supernet.imported.widened import widened
    from edgenas.supernet.network import Supernet

    imported = supernet_of(model.graph, path.name, sha256, purpose)
    if purpose == "grown":
        imported = widened(imported)
    shape = (_COMPARED_IMAGES, *model.graph.input_shape[1:])
    images = np.random.default_rng(0).standard_normal(shape, np.float32)
    expected = compare_import(model, images, str(path))
    supernet = Supernet(imported.space)
    supernet.keep_statistics()
    supernet.load_state_dict({name: torch.from_numpy(v) for name, v in imported.tensors.items()})
    largest = imported.space.largest()
    with torch.no_grad():
        scores = supernet.subnet(largest).eval()(torch.from_numpy(images)).numpy()
    off = float(np.abs(scores - expected).max())
    if off > _MOST_OFF * max(1.0, float(np.abs(expected).max())):
        raise InputError(
            f"{path} was not taken apart rightly: the scores of its blocks are {off:.2g} off.",
            "This is a fault of edgenas: please report it with the file.",
        )
    return imported


def _sentence(imported: ImportedSupernet, model: Imported, purpose: Purpose) -> str:
    """Return what can be resized, and what stays as it is with its share of the work."""
    from edgenas.supernet.imported.space import share_that_stays

    space = imported.space
    if purpose == "grown":
        wide = sum(bool(stage.others) * stage.depths[-1] for stage in space.stages)
        return (
            f"{space.source[0]}: {model.macs / 1e6:.4g} M multiply-accumulates in "
            f"{counted(sum(stage.depths[-1] for stage in space.stages), 'block')}, of which {wide} "
            "may have up to twice their hidden channels."
        )
    stay = share_that_stays(space)
    named = ", ".join(f"{share:.1%} {where}" for where, share in stay.items() if share >= 0.0005)
    sizes = ", ".join(map(str, space.resolutions))
    blocks = sum(stage.depths[-1] for stage in space.stages)
    left_out = sum(len(stage.depths) - 1 for stage in space.stages)
    narrow = sum(bool(stage.others) * stage.depths[-1] for stage in space.stages)
    small = sum((len(stage.kernel_sizes) > 1) * stage.depths[-1] for stage in space.stages)
    return (
        f"{space.source[0]}: {model.macs / 1e6:.4g} M multiply-accumulates in "
        f"{counted(blocks, 'block')}, of which {left_out} may go, {narrow} may have fewer "
        f"hidden channels, and {small} smaller kernels; at {sizes} px. "
        f"{sum(stay.values()):.1%} of the work stays as it is" + (f": {named}." if named else ".")
    )
