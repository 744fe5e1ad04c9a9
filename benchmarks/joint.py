"""Bits, folding and architecture chosen together, and one after the other.

Run: OMP_NUM_THREADS=1 python benchmarks/joint.py --data digits --work FOLDER
     [--seed 0 --seed 1] [--luts 8000 --luts 14000] [--images-per-s 1000 --images-per-s 10000]
     python benchmarks/joint.py --work FOLDER --summary

The first trains and chooses, and keeps in the work folder each result as it comes: one that was
stopped goes on there, and other seeds and limits are added to what is there. The second prints the
table of all that is there.

For each seed a supernet with elastic bits is trained, some subnets are evaluated, and a predictor
of accuracy is fitted. Under each limit on LUTs and each throughput it then chooses

  joint              architecture and the bits of every stage together, proved best
  architecture first the best architecture at 8 bits whatever it takes, then the bits of its stages
  half the MACs      the best architecture at 8 bits of half the MACs, then the bits of its stages
  uniform B          architecture under one number of bits for all weights and activations, proved

and trains each network that was chosen for the same epochs. Folding is exact in all. LUTs, block
RAMs and images/s are estimated by formulas; accuracies are of the int8 files on test images. The
standard error beside a difference is that over seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.cli.progress_bars import Bars
from edgenas.core import plugins
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.goals import Objective
from edgenas.core.metrics import REGISTRY
from edgenas.core.records import Architecture, Limit, StageChoice
from edgenas.core.records.networks import ACTIVATION_BITS, WEIGHT_BITS
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.hardware.devices import DEVICES
from edgenas.hardware.pipeline import Pipeline
from edgenas.int8.engines.facts import find_engine
from edgenas.int8.graph.quantize import DATAFLOW
from edgenas.optimize.front import lay_out_front
from edgenas.optimize.layout import Predictors
from edgenas.optimize.optimizers.problem import NoneFeasibleError
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import FittedPredictor, TrainingData
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.bits import elastic_bits
from edgenas.supernet import files
from edgenas.supernet.deploy import deployable, of_subnet
from edgenas.supernet.finetune import fine_tuning
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import TrainSettings, default_settings
from edgenas.supernet.train import train

DEVICE = DEVICES["pynq-z2"]
ENGINE = find_engine("onnxruntime")


@dataclass(frozen=True)
class Limited:
    """The most of each response, of pipelines that keep up with a throughput."""

    pipeline: Pipeline
    limits: dict[str, float]

    @classmethod
    def to(cls, luts: float, images_per_s: float) -> Limited:
        """Return the limits of the device, with fewer LUTs."""
        pipeline = Pipeline(DEVICE, 100.0, images_per_s)
        return cls(pipeline, {**pipeline.limits(), "luts": luts})


@dataclass(frozen=True)
class Chosen:
    """What one method chose under one pair of limits; None where nothing keeps them."""

    luts_limit: float
    images_per_s_limit: float
    method: str
    network: Architecture | None
    luts: float | None = None
    bram18: float | None = None
    images_per_s: float | None = None
    before: float | None = None
    after: float | None = None


@dataclass(frozen=True)
class Part:
    """What is trained and chosen with one seed. work : the folder of its results."""

    data: Dataset
    seed: int
    work: Path
    arguments: argparse.Namespace

    def settings(self, epochs: int, qat_epochs: int = 0) -> TrainSettings:
        """Return the recipe of a training."""
        return default_settings(self.data, epochs=epochs, qat_epochs=qat_epochs, seed=self.seed)


def main() -> None:
    arguments = _arguments()
    if arguments.summary:
        _print_summary(arguments.work)
        return
    _keep_recipe(arguments)
    data = _data(arguments)
    for seed in arguments.seed:
        part = Part(data, seed, arguments.work / f"seed-{seed}", arguments)
        part.work.mkdir(exist_ok=True)
        _of_seed(_space(data), part)
    _print_summary(arguments.work)


def _of_seed(plain: MobileSpace, part: Part) -> None:
    """Choose and train under every limit that has no result of this seed yet."""
    bits = part.arguments.bits
    cells = [
        (part.work / f"{luts:.0f}-luts.{images_per_s:.0f}-images-per-s.json", luts, images_per_s)
        for luts in part.arguments.luts
        for images_per_s in part.arguments.images_per_s
    ]
    cells = [cell for cell in cells if not cell[0].exists()]
    if not cells:
        return
    space = elastic_bits(plain, bits, bits)
    supernet = _supernet(space, part)
    predictors = _predictors(space, supernet, part)
    for path, luts, images_per_s in cells:
        limited = Limited.to(luts, images_per_s)
        _print_largest(space, limited.pipeline, bits)
        rows = []
        for row in _chosen(plain, predictors, limited, bits):
            if row.network is None:
                rows.append(row)
                continue
            before, after = _trained(space, supernet, row.network, part)
            rows.append(replace(row, before=before, after=after))
        document = [{**asdict(row), "network": row.network and str(row.network)} for row in rows]
        _write(path, document)
        print(f"seed {part.seed}: {path.name}", flush=True)


def _print_largest(space: MobileSpace, pipeline: Pipeline, bits: Sequence[int]) -> None:
    """Print what the largest network takes, which says what is short under the limits."""
    for of in bits:
        estimate = pipeline.estimate(space.layers(_all_bits(space, space.largest(), of)))
        print(
            f"largest network, {of} bits, {pipeline.images_per_s:,.0f} images/s: "
            f"{estimate.luts:,.0f} LUTs, {estimate.bram18} block RAMs"
        )


def _data(arguments: argparse.Namespace) -> Dataset:
    """Return the images; of training and validation images no more than are asked for."""
    data = base.load(arguments.data, seed=0, progress=Bars())
    rng = np.random.default_rng(0)
    for split, most in (("train", arguments.images), ("val", arguments.validate)):
        images = getattr(data, split)
        data = replace(data, **{split: images.take(rng.permutation(len(images))[:most])})
    return data


def _space(data: Dataset) -> MobileSpace:
    colour = len(data.mean) == 3
    return MobileSpace(
        name="joint",
        stem_width=8,
        stem_stride=2,
        stages=tuple(
            StageSpec(width, stride, (1, 2), (3,), (1, 2, 4))
            for width, stride in (((8, 1), (16, 2), (24, 2)) if colour else ((8, 1), (16, 2)))
        ),
        head_width=32,
        resolutions=(data.image_size,),
        num_classes=len(data.class_names),
        in_channels=len(data.mean),
    )


def _supernet(space: MobileSpace, part: Part) -> Supernet:
    """Return the supernet in the work folder; trained there if it is not: half of it rounded."""
    path, epochs = part.work / "supernet.safetensors", part.arguments.epochs
    if not path.exists():
        settings = part.settings(epochs, epochs // 2)
        train(space, part.data, settings, part.work / "checkpoint", path, Bars())
    return files.load(path, space)


def _predictors(space: MobileSpace, supernet: Supernet, part: Part) -> Predictors:
    """Return the predictors, the accuracy's fitted on what is evaluated on validation images."""
    data, arguments = part.data, part.arguments
    networks = list(itertools.islice(space.distinct(np.random.default_rng(5)), arguments.evaluate))
    networks += [_all_bits(space, space.largest(), bits) for bits in arguments.bits]
    networks = list(dict.fromkeys(networks))
    path = part.work / "evaluations.json"
    known: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    started = time.monotonic()
    for one in networks:
        if one.key not in known:
            network = deployable(supernet, one, space.layers(one), data, ENGINE)
            known[one.key] = network.accuracy(DATAFLOW, data, data.val)
            _write(path, known)
    print(f"{len(networks)} subnets evaluated, {time.monotonic() - started:.0f} s")
    macs = np.array([sum(layer.macs for layer in space.layers(one)) for one in networks]) / 1e6
    accuracy = np.array([known[one.key] for one in networks])
    fitted = {
        name: _fitted(space, name, networks, values)
        for name, values in (("latency_ms", macs), ("accuracy", accuracy))
    }
    errors = fitted["accuracy"].heldout
    if errors is not None:
        print(f"accuracy held out: R2 {errors.r2:.2f}, Kendall tau {errors.kendall_tau:.2f}")
    for bits in arguments.bits:
        one = _all_bits(space, space.largest(), bits)
        print(f"largest network, {bits} bits everywhere inside: {known[one.key]:.1%} (validation)")
    return Predictors(space, fitted["latency_ms"], fitted["accuracy"], 0.9)


def _fitted(
    space: MobileSpace, name: str, networks: Sequence[Architecture], values: np.ndarray
) -> FittedPredictor:
    rows = TermRows(space, REGISTRY[name].source)
    data = TrainingData(name, "", rows.terms.names, rows.matrix(networks), values)
    predictor: FittedPredictor = plugins.load("predictors", "regression").fit(data, 0)
    return predictor


def _all_bits(space: MobileSpace, network: Architecture, *bits: int) -> Architecture:
    """Return the network with these bits; one for all stages, or one pair a stage in order."""
    of_stages = bits * (2 * len(space.stages)) if len(bits) == 1 else bits
    stages = [
        StageChoice.of({**stage.choices, WEIGHT_BITS: (w,) * stage.depth,
                        ACTIVATION_BITS: (a,) * stage.depth})
        for stage, w, a in zip(network.stages, of_stages[::2], of_stages[1::2], strict=True)
    ]  # fmt: skip
    return Architecture.of(space.name, network.resolution, tuple(stages))


def _chosen(
    plain: MobileSpace, predictors: Predictors, limited: Limited, bits: Sequence[int]
) -> Iterator[Chosen]:
    space, pipeline = predictors.space, limited.pipeline
    limits = (limited.limits["luts"], pipeline.images_per_s)

    def row(method: str, network: Architecture | None) -> Chosen:
        if network is None:
            return Chosen(*limits, method, None)
        estimate = pipeline.estimate(space.layers(network))
        about = (estimate.luts, float(estimate.bram18), estimate.images_per_s)
        return Chosen(*limits, method, network, *about)

    yield row("joint", _best(space, predictors, limited))
    most_macs = sum(layer.macs for layer in space.layers(space.largest()))
    for method, share in (("architecture first", 1.0), ("half the MACs", 0.5)):
        of_8 = elastic_bits(plain, (8,), (8,))
        first = _best(of_8, predictors, Limited(pipeline, {"macs": share * most_macs}))
        assert first is not None
        yield row(method, _best_bits(predictors, limited, first, bits))
    for one in bits:
        uniform = elastic_bits(plain, (one,), (one,))
        yield row(f"uniform {one}", _best(uniform, predictors, limited))


def _best(space: MobileSpace, predictors: Predictors, limited: Limited) -> Architecture | None:
    """Return the most accurate network within the limits, by the exact search; None without."""
    over = replace(predictors, space=space, of_hardware=limited.pipeline.counts())
    asked = {name: Limit(name, at_most=most) for name, most in limited.limits.items()}
    layout = lay_out_front(over, (Objective("accuracy", "max"),), asked)
    try:
        archive = plugins.load("optimizers", "exact").optimize(layout.problem, seed=0, budget=10**9)
    except NoneFeasibleError:
        return None
    assert archive.optimal
    feasible = np.flatnonzero(layout.problem.feasible(archive.values))
    best = archive.points[feasible[np.argmax(archive.values[feasible, 0])]]
    return layout.architecture(tuple(best.tolist()))


def _best_bits(
    predictors: Predictors, limited: Limited, network: Architecture, bits: Sequence[int]
) -> Architecture | None:
    """Return the architecture with the best bits of its stages within the limits, all tried."""
    space, counts = predictors.space, limited.pipeline.counts()
    every = [
        _all_bits(space, network, *chosen)
        for chosen in itertools.product(bits, repeat=2 * len(space.stages))
    ]
    within = [
        one
        for one in every
        if all(counts[name](space.layers(one)) <= most for name, most in limited.limits.items())
    ]
    if not within:
        return None
    predicted = predictors.accuracy.predict(predictors.rows("choices").matrix(within))
    return within[int(np.argmax(predicted))]


def _trained(
    space: MobileSpace, supernet: Supernet, network: Architecture, part: Part
) -> tuple[float, float]:
    """Return its accuracy on the test images as it was inherited, and after training alone."""
    layers, data = space.layers(network), part.data
    key = hashlib.sha256(network.key.encode()).hexdigest()[:12]
    path = part.work / f"network-{key}.json"
    if not path.exists():
        inherited = deployable(supernet, network, layers, data, ENGINE)
        tuning = fine_tuning(supernet, network, data, part.settings(part.arguments.finetune))
        for _ in tuning.steps():
            pass
        tuned = of_subnet(tuning.subnet, layers, data, ENGINE)
        found = [one.accuracy(DATAFLOW, data, data.test) for one in (inherited, tuned)]
        _write(path, found)
    before, after = json.loads(path.read_text())
    return before, after


def _write(path: Path, document: object) -> None:
    write_bytes(path, json.dumps(document, indent=1).encode())


def _keep_recipe(arguments: argparse.Namespace) -> None:
    """Write how the results of a work folder come about; end if it has those of another recipe."""
    names = ("data", "images", "validate", "epochs", "finetune", "evaluate", "bits")
    recipe = {name: getattr(arguments, name) for name in names}
    arguments.work.mkdir(parents=True, exist_ok=True)
    path = arguments.work / "recipe.json"
    if not path.exists():
        _write(path, recipe)
    elif (there := json.loads(path.read_text("utf-8"))) != recipe:
        raise SystemExit(f"{path} has {there}, asked for is {recipe}: take another --work.")


def _print_summary(work: Path) -> None:
    """Print a row a method and pair of limits: accuracy by seed, and how far behind joint."""
    recipe = json.loads((work / "recipe.json").read_text("utf-8"))
    about = ", ".join(f"{name} {value}" for name, value in recipe.items())
    print(f"\n{about}\naccuracy on test images by seed, in brackets before training alone\n")
    cells: dict[tuple[float, float], dict[int, dict[str, dict[str, Any]]]] = {}
    for path in sorted(work.glob("seed-*/*-luts.*.json")):
        rows = json.loads(path.read_text("utf-8"))
        limits = (rows[0]["images_per_s_limit"], rows[0]["luts_limit"])
        seed = int(path.parent.name.removeprefix("seed-"))
        cells.setdefault(limits, {})[seed] = {row["method"]: row for row in rows}
    print("| images/s | LUTs at most | method | accuracy, % | mean, % | joint ahead by "
          "| LUTs | block RAMs |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for (images_per_s, luts), seeds in sorted(cells.items()):
        for method in next(iter(seeds.values())):
            rows = [of[method] for of in seeds.values()]
            print(f"| {images_per_s:,.0f} | {luts:,.0f} | {method} {_cell(rows, seeds)}")


def _cell(rows: Sequence[Mapping[str, Any]], seeds: Mapping[int, Mapping[str, Any]]) -> str:
    """Return the columns of one method: `rows` are its results, a seed each in order."""
    each = [
        "none fits" if row["after"] is None
        else f"{100 * row['after']:.1f} ({100 * row['before']:.1f})"
        for row in rows
    ]  # fmt: skip
    fitting = [row for row in rows if row["after"] is not None]
    if not fitting:
        return f"| {', '.join(each)} | | | | |"
    mean = f"{100 * np.mean([row['after'] for row in fitting]):.1f}"
    ahead = [
        100 * (of["joint"]["after"] - row["after"])
        for of, row in zip(seeds.values(), rows, strict=True)
        if row["after"] is not None and of["joint"]["after"] is not None
    ]
    error = f" ± {np.std(ahead, ddof=1) / len(ahead) ** 0.5:.1f}" if len(ahead) > 1 else ""
    by = f"{np.mean(ahead):+.1f}{error}" if rows[0]["method"] != "joint" else ""
    luts, blocks = (", ".join(f"{row[key]:,.0f}" for row in fitting) for key in ("luts", "bram18"))
    return f"| {', '.join(each)} | {mean} | {by} | {luts} | {blocks} |"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--summary", action="store_true", help="only print what is in the folder")
    parser.add_argument("--images", type=int, help="to train on; all by default")
    parser.add_argument("--validate", type=int, help="images to validate on; all by default")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--finetune", type=int, default=6)
    parser.add_argument("--evaluate", type=int, default=60)
    parser.add_argument("--bits", type=int, action="append")
    parser.add_argument("--luts", type=float, action="append")
    parser.add_argument("--images-per-s", type=float, action="append")
    parser.add_argument("--seed", type=int, action="append")
    arguments = parser.parse_args()
    arguments.bits = sorted(arguments.bits or [2, 3, 4, 8])
    arguments.luts = sorted(arguments.luts or [8_000, 10_000, 14_000])
    arguments.images_per_s = sorted(arguments.images_per_s or [1_000, 10_000])
    arguments.seed = arguments.seed or [0]
    return arguments


if __name__ == "__main__":
    main()
