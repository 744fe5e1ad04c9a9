"""A network of one's own shrunk, against uniform scalings of it; print a table.

Run: OMP_NUM_THREADS=1 python benchmarks/shrink.py FOLDER WORK [--size 96] [--seconds 120]
     [--epochs 3] [--limits 0.35,0.55,0.8] [--shrunk]

FOLDER is an image folder as `edgenas search --data imagefolder:FOLDER` takes it. The network is
EfficientNet-Lite0 from ImageNet's weights, trained on the images for so many CPU seconds and
exported by torch. `edgenas shrink` trains its supernet for so many epochs; then the network for
each limit is picked as `edgenas optimize --max-latency` does. Against each stands the network of
full depth with one share of hidden channels in all blocks, and one resolution: of those that are no
slower than the winner the one with the most multiply-accumulates, cut out of the same sorted
weights and trained alone for the CPU seconds of the whole supernet; and the same choice from the
supernet of the winner. Accuracy is of int8 files on
the test images. Latency is thread time on one thread, of all files in turns. What is in WORK is not
made again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from photographs import ENGINE, SCHEME, begun, epoch_s, fixed, images_at, keep, known, training
from photographs_timing import thread_ms

from edgenas.core.files.run_folder import RunFolder
from edgenas.core.progress import Silent
from edgenas.core.records import Architecture, SearchResult, StageChoice
from edgenas.core.records.intervals import wilson
from edgenas.core.records.networks import KERNEL_SIZE
from edgenas.data.base import Dataset
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.ranges import calibrate
from edgenas.runs import artifacts
from edgenas.runs.commands import run_step, shrink
from edgenas.spaces import files as space_files
from edgenas.spaces import lite
from edgenas.spaces.imported import EIGHTHS, HIDDEN_EIGHTHS, ImportedSpace
from edgenas.supernet import files
from edgenas.supernet.deploy import Deployable
from edgenas.supernet.imagenet.weights import MEAN, STD
from edgenas.supernet.imported.start import begin
from edgenas.supernet.network import Supernet
from edgenas.supernet.recalibrate import calibrated_subnet
from edgenas.supernet.scores import accuracy
from edgenas.supernet.settings import transfer_settings

MOST_SLOWER = 1.02  # than the winner, of what it is held against


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", type=int, default=96, help="pixels a side")
    parser.add_argument("--seconds", type=float, default=120.0, help="CPU time of the network")
    parser.add_argument("--epochs", type=int, default=3, help="of the supernet")
    parser.add_argument("--shrunk", action="store_true", help="only the shrunk networks")
    parser.add_argument("--limits", default="0.35,0.55,0.8", help="ms")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.work.mkdir(parents=True, exist_ok=True)
    data = images_at(asked.folder, asked.size)
    model = asked.work / "lite0.onnx"
    if not model.exists():
        export(model, data, asked.seconds)
    run = asked.work / "run"
    if not (run / "search.json").exists():
        options = {"engine": "onnxruntime", "epochs": asked.epochs, "samples": 24, "evaluate": 32}
        given = {**options, "data": f"imagefolder:{asked.folder}", "top": 2}
        fed = {"mean": (MEAN,) * 3, "std": (STD,) * 3}
        shrink(model, run, given, Silent(), preprocessing=fed)
    folder = RunFolder(run)
    member = space_files.find(str(next(folder.space.glob("*.json"))))
    space = member.create(len(data.class_names), 3, asked.size)
    assert isinstance(space, ImportedSpace)
    names, trained = ["whole"], files.load(folder.supernet, space)
    for limit in asked.limits.split(","):
        names += [f"shrunk-{limit}", f"part-{limit}", f"uniform-{limit}"]
        if not known(asked.work, f"shrunk-{limit}"):
            run_step("optimize", run, {"max_latency_ms": float(limit)}, Silent())
            winner = artifacts.read(folder, SearchResult).candidates[0].architecture
            about = f"shrunk for {limit} ms", 0.0, asked.epochs
            keep(asked.work, f"shrunk-{limit}", about, trained, winner, data)
        if not known(asked.work, f"part-{limit}"):
            rival = uniform_within(asked.work / f"shrunk-{limit}.onnx", trained, data)
            about = (
                f"uniform part of the same supernet, {eighths(rival)}/8 hidden",
                0.0,
                asked.epochs,
            )
            keep(asked.work, f"part-{limit}", about, trained, rival, data)
    if not asked.shrunk:
        against(asked.work, folder.imported, space, names, data, asked.epochs)
    show(asked.work, [name for name in names if known(asked.work, name)])


def against(  # noqa: PLR0917 - where to, from what weights, which, on which images
    work: Path, imported: Path, space: ImportedSpace, names: list[str], data: Dataset, epochs: int
) -> None:
    """Keep what the shrunk networks are held against: the network itself, and uniform scalings."""
    started, _ = begin(imported, space, data, Silent())
    untrained(started, data)
    if not known(work, "whole"):
        keep(work, "whole", ("the network itself", 0.0, 0), started, space.largest(), data)
    seconds = epochs * epoch_s(space, data, transfer_settings(data), started, work / "timed")
    print(f"{epochs} epochs of the supernet take {seconds:.0f} CPU s")
    for name in names:
        if name.startswith("uniform") and not known(work, name):
            winner = work / f"{name.replace('uniform', 'shrunk')}.onnx"
            rival = uniform_within(winner, started, data)
            alone(work, name, started, rival, data, seconds)


def untrained(start: Supernet, data: Dataset) -> None:
    """Print what parts get right of the test images before any training, as float."""
    space = start.space
    assert isinstance(space, ImportedSpace)
    whole, small = data.image_size, min(space.resolutions)
    parts = {
        "whole": uniform(space, 8, whole),
        "kernels of 3": uniform(space, 8, whole, kernel=0),
        "6/8 hidden": uniform(space, 6, whole),
        "4/8 hidden": uniform(space, 4, whole),
        "one block less a stage": uniform(space, 8, whole, less=1),
        f"{small} px": uniform(space, 8, small),
    }
    for name, part in parts.items():
        subnet = calibrated_subnet(start, part, data)
        print(f"{name}, untrained: {accuracy(subnet, data.test, data):.1%}", flush=True)


def export(path: Path, data: Dataset, seconds: float) -> None:
    """Train EfficientNet-Lite0 on the images alone, and write it as torch does."""
    start, _ = begun(data)
    space = lite.create(len(data.class_names), 3, data.image_size)
    largest = space.largest()
    one = fixed(space, largest)
    initial = cut_out(start, one, largest)
    recipe = replace(transfer_settings(data), random_subnets=0)
    trained, _, _ = training(one, data, recipe, seconds, initial)
    network = calibrated_subnet(trained, one.largest(), data).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = torch.zeros(1, 3, data.image_size, data.image_size)
        torch.onnx.export(network, (image,), str(path), dynamo=False, opset_version=17)


def cut_out(start: Supernet, one: object, architecture: Architecture) -> Supernet:
    """Return the supernet of a space of one network, with its part of the weights of `start`."""
    initial = Supernet(one)  # type: ignore[arg-type]
    initial.load_state_dict(start.subnet(architecture).state_dict())
    initial.keep_statistics()
    return initial


def uniform(
    space: ImportedSpace, share: int, resolution: int, *, kernel: int = -1, less: int = 0
) -> Architecture:
    """Return the network with one share of hidden channels, of full depth and kernels."""
    stages = []
    for spec in space.stages:
        block = {name: options[-1] for name, options in spec.choices.items()}
        block[KERNEL_SIZE] = spec.kernel_sizes[kernel]
        if HIDDEN_EIGHTHS in block:
            block[HIDDEN_EIGHTHS] = share
        stages.append(StageChoice.of_blocks((block,) * max(1, spec.depths[-1] - less)))
    return Architecture.of(space.name, resolution, tuple(stages))


def eighths(scaling: Architecture) -> int:
    """Return the share of hidden channels of a uniform scaling."""
    return max(int(options[0]) for stage in scaling.stages for _, options in stage.others)


def uniform_within(winner: Path, start: Supernet, data: Dataset) -> Architecture:
    """Return the uniform scaling with the most work that is no slower than the winner's file."""
    space = start.space
    assert isinstance(space, ImportedSpace)
    scalings = [uniform(space, *how) for how in itertools.product(EIGHTHS, space.resolutions)]
    models = [model_of(start, one) for one in scalings]
    limit, *taken = thread_ms([winner.read_bytes(), *models])
    work = {one: sum(layer.macs for layer in space.layers(one)) for one in scalings}
    timed = zip(scalings, taken, strict=True)
    fitting = [one for one, ms in timed if ms <= MOST_SLOWER * limit]
    return max(fitting or [scalings[0]], key=lambda one: work[one])


def model_of(start: Supernet, architecture: Architecture) -> bytes:
    """Return an int8 file whose latency alone means something: noise calibrates it."""
    graph = lower(start.space.layers(architecture), start.subnet(architecture).numpy_state())
    noise = np.random.default_rng(0).normal(size=(4, *graph.input_shape[1:])).astype(np.float32)
    return Deployable(graph, calibrate(graph, noise), ENGINE).emit(SCHEME, batch=1)


def alone(  # noqa: PLR0917 - where to, what, from what
    work: Path, name: str, start: Supernet, rival: Architecture, data: Dataset, seconds: float
) -> None:
    """Train one network alone for so many CPU seconds, and keep it."""
    space = start.space
    assert isinstance(space, ImportedSpace)
    stages = []
    for spec, choice in zip(space.stages, rival.stages, strict=True):
        others = tuple((one, options[:1]) for one, options in choice.others)
        kernel_sizes = choice.kernel_sizes[:1]
        stages.append(
            replace(spec, depths=spec.depths[-1:], kernel_sizes=kernel_sizes, others=others)
        )
    one = replace(space, stages=tuple(stages), resolutions=(rival.resolution,))
    recipe = replace(transfer_settings(data), random_subnets=0)
    initial = cut_out(start, one, rival)
    trained, spent, epochs = training(one, data, recipe, seconds, initial)
    about = f"uniform alone, {eighths(rival)}/8 hidden", spent, epochs
    keep(work, name, about, trained, rival, data)


def show(work: Path, names: list[str]) -> None:
    models = [(work / f"{name}.onnx").read_bytes() for name in names]
    print("| network | px | MMAC | int8 test % | 95 % interval | ms | CPU s | epochs |")
    print("|---|---|---|---|---|---|---|---|")
    for name, ms in zip(names, thread_ms(models), strict=True):
        row = json.loads((work / f"{name}.json").read_text())
        right, n = row["answers"]["right"], row["answers"]["n_images"]
        low, high = wilson(right, n)
        print(
            f"| {row['title']} | {row['resolution']} | {row['mmac']:.0f} | {100 * right / n:.1f} | "
            f"{100 * low:.1f} to {100 * high:.1f} | {ms:.2f} | {row['seconds']:.0f} | "
            f"{row['epochs']} |"
        )


if __name__ == "__main__":
    main()
