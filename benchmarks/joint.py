"""Bits, folding and architecture chosen together, and one after the other.

Run: OMP_NUM_THREADS=1 python benchmarks/joint.py --data digits --work FOLDER
     [--seed 0 --seed 1] [--luts 8000 --luts 14000] [--images-per-s 1000 --images-per-s 10000]
     python benchmarks/joint.py --work FOLDER --summary

The first trains and chooses, and keeps in the work folder each result as it comes: one that was
stopped goes on there, and other seeds and limits are added to what is there. The second prints the
table of all that is there.

For each seed a supernet with elastic bits is trained, some subnets are evaluated (half of them with
one number of bits throughout), and a predictor of accuracy is fitted. Under each limit on LUTs and
each throughput it then chooses

  joint              architecture and the bits of every stage together
  joint, one search  the same as predicted before any winner is evaluated
  architecture first the best architecture at 8 bits whatever it takes, then the bits of its stages
  half the MACs      the best architecture at 8 bits of half the MACs, then the bits of its stages
  uniform B          architecture under one number of bits for all weights and activations

as `edgenas search` does: of each way the three best, proved, are evaluated on validation images,
the predictor is fitted anew with them, and all search again, up to four times; of what a way may
choose and was evaluated, it takes the network that is expected to be the most accurate. Joint may
choose all. Each network that was chosen is trained for the same epochs. Folding is exact in all.
LUTs, block RAMs and images/s are estimated by formulas; accuracies are of the int8 files on test
images. The standard error beside a difference is that over seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from joint_table import print_table

from edgenas.cli.progress_bars import Bars
from edgenas.core import plugins
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.metrics import REGISTRY
from edgenas.core.records import Answers, Architecture, Limit
from edgenas.core.records.weighing import expected_accuracies
from edgenas.data import base
from edgenas.data.base import Dataset
from edgenas.hardware.devices import DEVICES
from edgenas.hardware.pipeline import Pipeline
from edgenas.int8.engines.facts import find_engine
from edgenas.int8.graph.quantize import DATAFLOW
from edgenas.optimize import plan
from edgenas.optimize.layout import Grid, Predictors
from edgenas.optimize.most_accurate import most_accurate, of_each_uniform_bits, uniform_grid
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import FittedPredictor, TrainingData
from edgenas.runs.search import MOST_SEARCHES
from edgenas.spaces.base import MobileSpace, StageSpec
from edgenas.spaces.bits import elastic_bits, of_bits, of_uniform_bits, uniform_bits
from edgenas.supernet import files
from edgenas.supernet.deploy import deployable, of_subnet
from edgenas.supernet.finetune import fine_tuning
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import TrainSettings, default_settings
from edgenas.supernet.train import train

DEVICE = DEVICES["pynq-z2"]
ENGINE = find_engine("onnxruntime")
TOP = 3  # networks of each way that are evaluated in a round, as `edgenas search --top` has them
SEPARATE = {"architecture first": 1.0, "half the MACs": 0.5}  # shares of the largest one's MACs


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

    def keeps(self, space: MobileSpace, network: Architecture) -> bool:
        """Return whether a network of the space is within the limits."""
        counts = self.pipeline.counts()
        return all(
            counts[name](space.layers(network)) <= most for name, most in self.limits.items()
        )


@dataclass(frozen=True)
class Chosen:
    """What one method chose under one pair of limits; None where nothing keeps them.

    validated : accuracy on the validation images as it was inherited. before, after : on the test
        images, as inherited and trained.
    """

    luts_limit: float
    images_per_s_limit: float
    method: str
    network: Architecture | None
    luts: float | None = None
    bram18: float | None = None
    images_per_s: float | None = None
    validated: float | None = None
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
        print_table(arguments.work)
        return
    _keep_recipe(arguments)
    data = _data(arguments)
    for seed in arguments.seed:
        part = Part(data, seed, arguments.work / f"seed-{seed}", arguments)
        part.work.mkdir(exist_ok=True)
        _of_seed(_space(data), part)
    print_table(arguments.work)


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
    evaluated = Evaluated(space, _supernet(space, part), part)
    for path, luts, images_per_s in cells:
        limited = Limited.to(luts, images_per_s)
        _print_largest(space, limited.pipeline, bits)
        rows = []
        for method, network in _chosen(evaluated, limited).items():
            row = _row(space, limited, method, network)
            if network is not None:
                before, after = _trained(space, evaluated.supernet, network, part)
                validated = evaluated.answers(network).accuracy
                row = replace(row, validated=validated, before=before, after=after)
            rows.append(row)
        document = [{**asdict(row), "network": row.network and str(row.network)} for row in rows]
        _write(path, document)
        print(f"seed {part.seed}: {path.name}", flush=True)


def _print_largest(space: MobileSpace, pipeline: Pipeline, bits: Sequence[int]) -> None:
    """Print what the largest network takes, which says what is short under the limits."""
    for of in bits:
        estimate = pipeline.estimate(space.layers(of_uniform_bits(space.largest(), of)))
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


class Evaluated:
    """Subnets evaluated on validation images, which a seed keeps in its folder, and predictors."""

    def __init__(self, space: MobileSpace, supernet: Supernet, part: Part) -> None:
        self.space, self.supernet, self._part = space, supernet, part
        self._path = part.work / "evaluations.json"
        known = json.loads(self._path.read_text("utf-8")) if self._path.exists() else {}
        self._known = {key: Answers(**answers) for key, answers in known.items()}

    def first(self) -> list[Architecture]:
        """Return the subnets that are evaluated before any search."""
        count = self._part.arguments.evaluate
        drawn = list(itertools.islice(self.space.distinct(np.random.default_rng(5)), count))
        return plan.to_evaluate(self.space, (), drawn, count)

    def answers(self, network: Architecture) -> Answers:
        """Return what a subnet gets right of the validation images."""
        if network.key not in self._known:
            data = self._part.data
            layers = self.space.layers(network)
            cut = deployable(self.supernet, network, layers, data, ENGINE)
            self._known[network.key] = Answers.of(cut.right(DATAFLOW, data, data.val).tolist())
            _write(self._path, {key: asdict(one) for key, one in self._known.items()})
        return self._known[network.key]

    def predictors(self, networks: Sequence[Architecture], limited: Limited) -> Predictors:
        """Return the predictors, the accuracy's fitted on these subnets."""
        layers = [self.space.layers(one) for one in networks]
        macs = np.array([sum(layer.macs for layer in of) for of in layers]) / 1e6
        accuracy = np.array([self.answers(one).accuracy for one in networks])
        fitted = {
            name: _fitted(self.space, name, networks, values)
            for name, values in (("latency_ms", macs), ("accuracy", accuracy))
        }
        errors = fitted["accuracy"].heldout
        if errors is not None:
            print(
                f"{len(networks)} subnets evaluated, accuracy held out: R2 {errors.r2:.2f}, "
                f"Kendall tau {errors.kendall_tau:.2f}",
                flush=True,
            )
        of_hardware = limited.pipeline.counts()
        latency, accuracy_of = fitted["latency_ms"], fitted["accuracy"]
        return Predictors(self.space, latency, accuracy_of, 0.9, of_hardware=of_hardware)


def _fitted(
    space: MobileSpace, name: str, networks: Sequence[Architecture], values: np.ndarray
) -> FittedPredictor:
    rows = TermRows(space, REGISTRY[name].source)
    data = TrainingData(name, "", rows.terms.names, rows.matrix(networks), values)
    predictor: FittedPredictor = plugins.load("predictors", "regression").fit(data, 0)
    return predictor


def _row(space: MobileSpace, limited: Limited, method: str, network: Architecture | None) -> Chosen:
    limits = (limited.limits["luts"], limited.pipeline.images_per_s)
    if network is None:
        return Chosen(*limits, method, None)
    estimate = limited.pipeline.estimate(space.layers(network))
    about = (estimate.luts, float(estimate.bram18), estimate.images_per_s)
    return Chosen(*limits, method, network, *about)


def _chosen(evaluated: Evaluated, limited: Limited) -> dict[str, Architecture | None]:
    """Return what each way chooses after its rounds of search and evaluation."""
    networks = evaluated.first()
    proposed: dict[str, dict[Architecture, None]] = {}
    once: Architecture | None = None
    for number in range(MOST_SEARCHES):
        predictors = evaluated.predictors(networks, limited)
        proposals = _proposals(predictors, limited, evaluated.space)
        if not number:
            once = next(iter(proposals["joint"]), None)
        for method, of in proposals.items():
            proposed.setdefault(method, {}).update(dict.fromkeys(of))
        new = dict.fromkeys(one for of in proposals.values() for one in of)
        missing = [one for one in new if one not in networks]
        if not missing:
            break
        networks += missing
    predictors = evaluated.predictors(networks, limited)
    expected = _expected(evaluated, predictors, limited, networks)

    def best(among: Iterable[Architecture]) -> Architecture | None:
        return max(
            (one for one in among if one in expected), key=expected.__getitem__, default=None
        )

    return {
        "joint": best(expected),
        "joint, one search": once,
        **{method: best(proposed[method]) for method in SEPARATE},
        **{
            f"uniform {bits}": best(one for one in expected if one == of_uniform_bits(one, bits))
            for bits in uniform_bits(evaluated.space)
        },
    }


def _proposals(
    predictors: Predictors, limited: Limited, space: MobileSpace
) -> dict[str, Sequence[Architecture]]:
    """Return the networks that each way of choosing would evaluate next, as predicted."""
    limits = {name: Limit(name, at_most=most) for name, most in limited.limits.items()}
    proposals: dict[str, Sequence[Architecture]] = {
        "joint": most_accurate(predictors, limits, count=TOP)
    }
    most_macs = sum(layer.macs for layer in space.layers(space.largest()))
    for method, share in SEPARATE.items():
        of_8 = {"macs": Limit("macs", at_most=share * most_macs)}
        (first,) = most_accurate(predictors, of_8, uniform_grid(space, 8))
        proposals[method] = most_accurate(predictors, limits, _bits_of(space, first), TOP)
    of_each = of_each_uniform_bits(predictors, limits, TOP)
    return proposals | {f"uniform {bits}": of for bits, of in of_each.items()}


def _expected(
    evaluated: Evaluated,
    predictors: Predictors,
    limited: Limited,
    networks: Sequence[Architecture],
) -> dict[Architecture, float]:
    """Return the accuracy that is to be expected of each evaluated network within the limits."""
    within = [one for one in networks if limited.keeps(evaluated.space, one)]
    predicted = [one["accuracy"] for one in predictors.candidates(within)]
    answers = [evaluated.answers(one) for one in within]
    expected = expected_accuracies(answers, predicted, predictors.confidence)
    return dict(zip(within, expected, strict=True))


def _bits_of(space: MobileSpace, network: Architecture) -> Grid:
    """Return the choices that differ from those of a network in nothing but bits."""
    every = Grid.of(space)
    kept = (
        tuple(one for one in of if of_bits(one, 8, 8) == of_bits(stage, 8, 8))
        for of, stage in zip(every.choices, network.stages, strict=True)
    )
    return replace(every, choices=tuple(kept))


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
