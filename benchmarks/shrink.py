"""A network of one's own shrunk, against uniform scalings of it; print a table.

Run: OMP_NUM_THREADS=1 python benchmarks/shrink.py FOLDER WORK [--size 96] [--seconds 120]
     [--epochs 6] [--finetune 6] [--limits 0.35,0.55,0.8]
     [--parts network shrink untrained alone]

FOLDER is an image folder as `edgenas search --data imagefolder:FOLDER` takes it. What each part
finds is kept in WORK, so parts can be run one after the other, and a part that was stopped goes on;
the table shows what is there, and times all files in turns.

network: EfficientNet-Lite0 from ImageNet's weights, trained on the images for so many CPU seconds
and exported by torch; it stands in the table as int8. shrink: `edgenas shrink` trains its supernet
for so many epochs and searches within the first limit; a search within each other limit goes on in
the same run. Winners are trained alone for --finetune epochs, as a search with --time does it.
untrained: what parts of the network get right before any training. alone: against each winner
stands the network of full depth with one share of hidden channels in all blocks, and one
resolution: of those that are no slower than the winner the one with the most
multiply-accumulates, cut out of the same sorted weights and trained alone for the CPU seconds of
the whole supernet, and for --finetune epochs more. Measuring and evaluating count for nothing.
Accuracy is of int8 files on the test images. Latency is thread time on one thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from photographs import ENGINE, SCHEME, begun, epoch_s, fixed, images_at, keep, known, training
from photographs_searches import Spoken, context_of, row_of
from photographs_timing import thread_ms

import edgenas
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.progress import Silent
from edgenas.core.records import Architecture, StageChoice
from edgenas.core.records.intervals import wilson
from edgenas.core.records.networks import KERNEL_SIZE
from edgenas.data.base import Dataset
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.ranges import calibrate
from edgenas.runs.commands import shrink
from edgenas.spaces import files as space_files
from edgenas.spaces import lite
from edgenas.spaces.imported import EIGHTHS, HIDDEN_EIGHTHS, ImportedSpace
from edgenas.supernet.deploy import Deployable
from edgenas.supernet.imagenet.weights import MEAN, STD
from edgenas.supernet.imported.start import begin
from edgenas.supernet.network import Supernet
from edgenas.supernet.recalibrate import calibrated_subnet
from edgenas.supernet.scores import accuracy
from edgenas.supernet.settings import transfer_settings

PARTS = ("network", "shrink", "untrained", "alone")
MODEL = "lite0.onnx"
MOST_SLOWER = 1.02  # than the winner, of what it is held against


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", type=int, default=96, help="pixels a side")
    parser.add_argument("--seconds", type=float, default=120.0, help="CPU time of the network")
    parser.add_argument("--epochs", type=int, default=6, help="of the supernet")
    parser.add_argument("--finetune", type=int, default=6, help="epochs of each winner alone")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--limits", default="0.35,0.55,0.8", help="ms")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.work.mkdir(parents=True, exist_ok=True)
    asked.limits = asked.limits.split(",")
    parts = {"network": network, "shrink": shrunk, "untrained": untrained, "alone": alone}
    for name in asked.parts:
        parts[name](asked)
    kinds = [(f"shrunk-{limit}", f"uniform-{limit}") for limit in asked.limits]
    names = ["whole", *itertools.chain(*kinds)]
    show(asked.work, [name for name in names if known(asked.work, name)])


def network(asked: argparse.Namespace) -> None:
    """Train EfficientNet-Lite0 on the images alone, and write it as torch does."""
    path = asked.work / MODEL
    if path.exists():
        return
    data = images_at(asked.folder, asked.size)
    start, _ = begun(data)
    space = lite.create(len(data.class_names), 3, data.image_size)
    largest = space.largest()
    one = fixed(space, largest)
    initial = cut_out(start, one, largest)
    recipe = replace(transfer_settings(data), random_subnets=0)
    trained, _, _ = training(one, data, recipe, asked.seconds, initial)
    subnet = calibrated_subnet(trained, one.largest(), data).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = torch.zeros(1, 3, data.image_size, data.image_size)
        torch.onnx.export(subnet, (image,), str(path), dynamo=False, opset_version=17)


def shrunk(asked: argparse.Namespace) -> None:
    """Shrink within each limit over one supernet, and keep the winners as they were verified."""
    run = asked.work / "run"
    for limit in asked.limits:
        kept = asked.work / f"shrunk-{limit}.json"
        if kept.exists():
            continue
        asked_of_it = {"max_latency_ms": float(limit), "finetune": asked.finetune, "top": 1}
        if (run / "run.json").exists():
            edgenas.search(out=run, resume=True, progress=Spoken(), **asked_of_it)
        else:
            asked_of_it |= {"engine": "onnxruntime", "epochs": asked.epochs}
            asked_of_it |= {"samples": 24, "evaluate": 32, "data": f"imagefolder:{asked.folder}"}
            fed = {"mean": (MEAN,) * 3, "std": (STD,) * 3}
            shrink(asked.work / MODEL, run, asked_of_it, Spoken(), preprocessing=fed)
        row = row_of(context_of(run))
        row |= {"title": f"shrunk for {limit} ms", "epochs": asked.epochs, "seconds": None}
        shutil.copyfile(run / "models" / row["file"], kept.with_suffix(".onnx"))
        kept.write_text(json.dumps(row, indent=1))


def started(asked: argparse.Namespace) -> tuple[Supernet, Dataset]:
    """Return what the supernet began with, its hidden channels sorted, and the images."""
    data, folder = images_at(asked.folder, asked.size), RunFolder(asked.work / "run")
    member = space_files.find(str(next(folder.space.glob("*.json"))))
    space = member.create(len(data.class_names), 3, asked.size)
    start, _ = begin(folder.imported, space, data, Silent())
    return start, data


def alone(asked: argparse.Namespace) -> None:
    """Keep what the winners are held against: the network itself, and uniform scalings of it."""
    start, data = started(asked)
    space = start.space
    assert isinstance(space, ImportedSpace)
    if not known(asked.work, "whole"):
        keep(asked.work, "whole", ("the network itself", 0.0, 0), start, space.largest(), data)
    recipe = transfer_settings(data)
    seconds = asked.epochs * epoch_s(space, data, recipe, start, asked.work / "timed")
    print(f"{asked.epochs} epochs of the supernet take {seconds:.0f} CPU s", flush=True)
    for limit in asked.limits:
        name, winner = f"uniform-{limit}", asked.work / f"shrunk-{limit}.onnx"
        if known(asked.work, name) or not winner.exists():
            continue
        rival = uniform_within(winner, start, data)
        one = only(space, rival)
        initial, recipe = cut_out(start, one, rival), replace(recipe, random_subnets=0)
        more = asked.finetune * epoch_s(one, data, recipe, initial, asked.work / "timed")
        trained, spent, epochs = training(one, data, recipe, seconds + more, initial)
        about = f"uniform alone, {eighths(rival)}/8 hidden", spent, epochs
        keep(asked.work, name, about, trained, rival, data)


def untrained(asked: argparse.Namespace) -> None:
    """Print what parts get right of the test images before any training, as float."""
    start, data = started(asked)
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


def only(space: ImportedSpace, architecture: Architecture) -> ImportedSpace:
    """Return the space of one uniform scaling."""
    stages = []
    for spec, choice in zip(space.stages, architecture.stages, strict=True):
        others = tuple((name, options[:1]) for name, options in choice.others)
        kernel_sizes = choice.kernel_sizes[:1]
        stages.append(
            replace(spec, depths=spec.depths[-1:], kernel_sizes=kernel_sizes, others=others)
        )
    return replace(space, stages=tuple(stages), resolutions=(architecture.resolution,))


def show(work: Path, names: list[str]) -> None:
    models = [(work / f"{name}.onnx").read_bytes() for name in names]
    print("| network | px | MMAC | int8 test % | 95 % interval | ms | CPU s | epochs |")
    print("|---|---|---|---|---|---|---|---|")
    for name, ms in zip(names, thread_ms(models), strict=True):
        row = json.loads((work / f"{name}.json").read_text())
        right, n = row["answers"]["right"], row["answers"]["n_images"]
        trained = "" if row["seconds"] is None else f"{row['seconds']:.0f}"
        low, high = wilson(right, n)
        print(
            f"| {row['title']} | {row['resolution']} | {row['mmac']:.0f} | {100 * right / n:.1f} | "
            f"{100 * low:.1f} to {100 * high:.1f} | {ms:.2f} | {trained} | "
            f"{row['epochs']} |"
        )


if __name__ == "__main__":
    main()
