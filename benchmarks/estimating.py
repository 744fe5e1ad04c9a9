"""Which figure of few validation images ranks subnets as test images do: estimators of accuracy.

usage: python benchmarks/estimating.py DATA SUPERNET [--images test] [--validating 105]
       [--subnets 36] [--draws 200] [--kept FILE.npz]

DATA is as for `edgenas search --data`, SUPERNET a supernet's name or file, such as that of a run.
Random subnets answer as int8 files on this computer: the images of each split, and the same seen
otherwise (mirrored in colour and cropped by a sixteenth, moved by a pixel in grey). Each draw takes
two thirds of the subnets, and of the images of --images (splits that are of one kind) some that
validate; the rest judge. An estimator chooses the subnet it holds for the most accurate within each
of five limits of MACs. Printed are its rank correlation with the judged accuracy, the accuracy of
what it chooses behind that of the best, in points, and what is gained of both over plain validation
accuracy, with the standard deviation of the gains over draws. What subnets answer
is kept in FILE. With --images val,test a last table has the data set's own split, drawn by subnets
alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from choosing import left_out

from edgenas.core import plugins
from edgenas.core.progress import Silent
from edgenas.core.records import Architecture
from edgenas.data import base
from edgenas.data.base import Dataset, Split
from edgenas.int8.engines.facts import find_engine
from edgenas.int8.engines.host import logits
from edgenas.spaces.base import MobileSpace
from edgenas.supernet import files
from edgenas.supernet.deploy import deployable
from edgenas.supernet.packages.package import find
from edgenas.supernet.packages.trained_size import normalised_as, trained_size

SCHEME, ENGINE = "u8s8", find_engine("onnxruntime")
SPLITS = ("train", "val", "test")
SHARES = (0.2, 0.35, 0.5, 0.7, 1.0)  # of the subnets, that are within a limit
TEMPERATURES = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
FEW = 256  # training images, of which the loss is looked at
NOW = "validation accuracy"
BEST = "(best of the judging images)"


@dataclass(frozen=True)
class Answered:
    """What subnets answer.

    scores : by split, float32 [subnets, images, classes], the images as they are and, after them,
    as they are seen otherwise. labels : by split, int64 [images]. terms : float64 [subnets, p], of
    their architectures. macs : millions.
    """

    scores: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    terms: np.ndarray
    macs: np.ndarray

    def of(self, subnets: np.ndarray) -> Answered:
        """Return what some subnets answer."""
        scores = {name: of[subnets] for name, of in self.scores.items()}
        return Answered(scores, self.labels, self.terms[subnets], self.macs[subnets])


def otherwise(split: Split) -> np.ndarray:
    """Return the images mirrored and cropped, or moved where a mirror image is another thing."""
    images = np.asarray(split.images)
    if images.shape[3] == 1:
        return np.roll(images, 1, axis=2)
    cut = images.shape[1] // 16
    inner = np.ascontiguousarray(images[:, cut:-cut, cut:-cut][:, :, ::-1])
    return base.resize(inner, images.shape[1])


def random_networks(space: MobileSpace, count: int) -> list[Architecture]:
    """Return so many networks of a space, the smallest and the largest first; always the same."""
    rng, networks = np.random.default_rng(0), [space.smallest(), space.largest()]
    while len(networks) < count:
        network = space.sample(rng)
        networks += [network] if network not in networks else []
    return networks


def answered(data_name: str, supernet_name: str, subnets: int) -> Answered:
    """Return what random subnets answer, the smallest and the largest among them."""
    package = find(supernet_name)
    about = package.metadata()
    create = plugins.load("spaces", about["space"]["name"]).create
    size = trained_size(package, create)
    assert size is not None
    data: Dataset = normalised_as(
        base.load(data_name, seed=0, progress=Silent(), image_size=size), about
    )
    space = create(len(data.class_names), len(data.mean), size)
    supernet = files.load(package.weights, space)
    networks = random_networks(space, subnets)
    images = {
        name: np.concatenate((np.asarray(getattr(data, name).images), otherwise(split)))
        for name in SPLITS
        for split in [getattr(data, name)]
    }
    scores: dict[str, list[np.ndarray]] = {name: [] for name in SPLITS}
    terms, macs = [], []
    for number, network in enumerate(networks):
        layers = space.layers(network)
        model = deployable(supernet, network, layers, data, ENGINE).emit(SCHEME, None)
        for name in SPLITS:
            inputs = data.inputs(base.resize(images[name], network.resolution))
            scores[name].append(logits(model, inputs, ENGINE.host_engine))
        stages = network.expand_ratios
        terms.append([network.resolution, *map(len, stages), *map(sum, stages)])
        terms[-1] += [sum(kernels) for kernels in network.kernel_sizes]
        macs.append(sum(layer.macs for layer in layers) / 1e6)
        if number % 6 == 0:
            print(f"{number} subnets", file=sys.stderr, flush=True)
    labels = {name: getattr(data, name).labels for name in SPLITS}
    stacked = {name: np.array(of, np.float32) for name, of in scores.items()}
    return Answered(stacked, labels, np.array(terms, float), np.array(macs))


def write(path: Path, answers: Answered) -> None:
    """Write what subnets answer."""
    arrays = {f"scores_{name}": of for name, of in answers.scores.items()}
    arrays |= {f"labels_{name}": of for name, of in answers.labels.items()}
    np.savez(path, **arrays, terms=answers.terms, macs=answers.macs)


def read(path: Path) -> Answered:
    """Return what subnets answered when the file was written."""
    with np.load(path) as kept:
        scores = {name: kept[f"scores_{name}"] for name in SPLITS}
        labels = {name: kept[f"labels_{name}"] for name in SPLITS}
        return Answered(scores, labels, kept["terms"], kept["macs"])


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Return the logarithms of probabilities over the last axis."""
    shifted = scores - scores.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def of_labels(logs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return each image's logarithm of the probability of its label, [subnets, images]."""
    return np.asarray(logs[:, np.arange(len(labels)), labels])


def nearness(logs: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """Return minus the mean divergence of a teacher's answers [images, classes], [subnets]."""
    return -np.asarray((np.exp(teacher) * (teacher - logs)).sum(2).mean(1))


def standard(values: np.ndarray) -> np.ndarray:
    """Return values of mean 0 and, unless they are equal, deviation 1."""
    spread = values.std()
    return np.asarray((values - values.mean()) / (spread or 1.0))


def shrunk(accuracy: np.ndarray, right: np.ndarray, *covariates: np.ndarray) -> np.ndarray:
    """Return accuracies drawn to what covariates say of them, as far as their noise is (Fay &
    Herriot 1979): fitted by least squares, and of each residual the share that is no noise.

    right : bool [subnets, images]. Noise is what differs between subnets on the same images.
    """
    n_subnets, n_images = right.shape
    shares = right.mean(0)
    noise = (shares * (1 - shares)).mean() * n_subnets / (n_subnets - 1) / n_images
    matrix = np.column_stack([np.ones(n_subnets), *map(standard, covariates)])
    fitted = matrix @ np.linalg.lstsq(matrix, accuracy, rcond=None)[0]
    residual = accuracy - fitted
    free = n_subnets - matrix.shape[1]
    spread = max(0.0, float((residual**2).sum()) / free - noise)
    return np.asarray(fitted + spread / (spread + noise) * residual)


def estimators(logs: np.ndarray, labels: np.ndarray, answers: Answered) -> dict[str, np.ndarray]:
    """Return estimates by their names, [subnets] each; of each only the order counts.

    logs : scores of the validating images, as they are and otherwise, [subnets, 2, images,
    classes]. answers : of the same subnets.
    """
    right = logs[:, 0].argmax(2) == labels
    accuracy = right.mean(1)
    temperature = min(
        TEMPERATURES, key=lambda t: -of_labels(log_softmax(logs[:, 0] / t), labels).mean()
    )
    plain, other = (log_softmax(logs[:, view] / temperature) for view in (0, 1))
    raw = log_softmax(logs[:, 0])
    both = np.concatenate((plain, other), axis=1)
    true, both_true = of_labels(plain, labels), of_labels(both, np.tile(labels, 2))
    trained = log_softmax(answers.scores["train"] / temperature)
    largest, terms = int(np.argmax(answers.macs)), answers.terms
    soft, both_soft = np.exp(true).mean(1), np.exp(both_true).mean(1)
    mean_answer = np.log(np.exp(both).mean(0))
    confidence, both_confidence = (np.exp(of).max(2).mean(1) for of in (plain, both))
    agreed = (both.argmax(2) == both[largest].argmax(1)).mean(1)
    near = nearness(both, both[largest])
    near_trained = nearness(trained, trained[largest])
    on_train = of_labels(trained, np.tile(answers.labels["train"], 2)).mean(1)
    few = log_softmax(answers.scores["train"][:, : min(FEW, len(answers.labels["train"]))])
    on_few = of_labels(few, answers.labels["train"][: few.shape[1]]).mean(1)
    drawn = shrunk(accuracy, right, on_train)
    drawn_few = shrunk(accuracy, right, on_few)
    predicted, error = left_out(terms, accuracy)
    best = right[int(np.argmax(accuracy))]
    noise = (right != best).mean() / right.shape[1] / 2
    residual = accuracy - predicted
    covariates = [soft, true.mean(1), both_soft, near, near_trained, on_train]
    helped = np.column_stack([terms, *(3 * standard(one) for one in covariates)])
    smooth_soft = left_out(terms, both_soft)[0]
    return {
        NOW: accuracy,
        "mean probability of the true class": soft,
        "mean probability, temperature 1": np.exp(of_labels(raw, labels)).mean(1),
        "- log loss": true.mean(1),
        "accuracy, two views": (both.argmax(2) == np.tile(labels, 2)).mean(1),
        "mean probability, two views": both_soft,
        "- log loss, two views": both_true.mean(1),
        "agreement with the largest, two views": agreed,
        "- divergence from the largest, two views": near,
        "- divergence from the mean answer, two views": nearness(both, mean_answer),
        "- divergence from the largest, training images": near_trained,
        "- log loss of training images": on_train,
        f"- log loss of {FEW} training images, temperature 1": on_few,
        "accuracy shrunk to - log loss of training images": drawn,
        "accuracy shrunk to - log loss of few training images": drawn_few,
        "accuracy shrunk to - log loss and to mean probability": shrunk(
            accuracy, right, on_train, soft
        ),
        "accuracy shrunk to mean probability": shrunk(accuracy, right, soft),
        "accuracy shrunk to what is predicted": shrunk(accuracy, right, predicted),
        "accuracy shrunk to - log loss and to what is predicted": shrunk(
            accuracy, right, on_train, predicted
        ),
        "predicted from the shrunk accuracy": left_out(terms, drawn)[0],
        "mean confidence": confidence,
        "accuracy, confidence as control variate": accuracy - confidence + both_confidence,
        "predicted from accuracy": predicted,
        "predicted from mean probability": left_out(terms, soft)[0],
        "predicted from mean probability, two views": smooth_soft,
        "predicted from - log loss": left_out(terms, true.mean(1))[0],
        "predicted and answered (edgenas)": predicted + error**2 / (error**2 + noise) * residual,
        "predicted and answered, mean probability": standard(smooth_soft) + standard(both_soft),
        "predicted, all of these as terms": left_out(helped, accuracy)[0],
        "mean of accuracy, probability, divergence": standard(accuracy)
        + standard(both_soft) + standard(near_trained) + standard(predicted),
        "MACs": answers.macs,
    }  # fmt: skip


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's correlation, 0 where all are equal; equal values share their mean rank."""
    from scipy.stats import rankdata

    first, second = rankdata(one), rankdata(other)
    if not first.std() or not second.std():
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def chosen(estimate: np.ndarray, accuracy: np.ndarray, macs: np.ndarray) -> float:
    """Return the mean accuracy of what is chosen within the limits, in points."""
    found = []
    for share in SHARES:
        within = np.flatnonzero(macs <= np.quantile(macs, share))
        first = estimate[within] >= estimate[within].max() - 1e-12
        found.append(accuracy[within][first].mean())
    return 100 * float(np.mean(found))


def table(
    answers: Answered, splits: Sequence[str], draws: int, validating: int | None, seed: int = 0
) -> str:
    """Return the table of draws; validating : None for the data set's own validation images."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([answers.labels[name] for name in splits])
    parts = [np.split(answers.scores[name], 2, axis=1) for name in splits]
    logs = np.stack([np.concatenate(view, axis=1) for view in zip(*parts, strict=True)], axis=1)
    right = logs[:, 0].argmax(2) == labels
    correlations: dict[str, list[float]] = {}
    points: dict[str, list[float]] = {}
    for _ in range(draws):
        subnets = np.sort(rng.permutation(len(logs))[: 2 * len(logs) // 3])
        order = np.arange(len(labels)) if validating is None else rng.permutation(len(labels))
        some = len(answers.labels["val"]) if validating is None else validating
        seen, judging = order[:some], order[some:]
        accuracy = right[subnets][:, judging].mean(1)
        drawn = answers.of(subnets)
        found = estimators(logs[subnets][:, :, seen], labels[seen], drawn) | {BEST: accuracy}
        for name, estimate in found.items():
            correlations.setdefault(name, []).append(rank_correlation(estimate, accuracy))
            points.setdefault(name, []).append(chosen(estimate, accuracy, drawn.macs))
    rows = [
        "| estimator | rank correlation | gain | behind the best, points | gain |",
        "|---|---|---|---|---|",
    ]
    for name, of in sorted(points.items(), key=lambda one: -float(np.mean(one[1]))):
        behind, gain = np.array(points[BEST]) - of, np.array(of) - points[NOW]
        rank = np.array(correlations[name])
        more = rank - correlations[NOW]
        rows.append(
            f"| {name} | {rank.mean():+.2f} | {more.mean():+.2f} +- {more.std():.2f} | "
            f"{behind.mean():.2f} | {gain.mean():+.2f} +- {gain.std():.2f} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("supernet")
    parser.add_argument("--images", default="test", help="splits of one kind, such as val,test")
    parser.add_argument("--validating", type=int, default=105)
    parser.add_argument("--subnets", type=int, default=36)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--kept", type=Path, help="file of what subnets answer")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.kept is not None and asked.kept.exists():
        answers = read(asked.kept)
    else:
        answers = answered(asked.data, asked.supernet, asked.subnets)
        if asked.kept is not None:
            write(asked.kept, answers)
    splits = asked.images.split(",")
    accuracy = (answers.scores["test"].argmax(2)[:, : len(answers.labels["test"])]
                == answers.labels["test"]).mean(1)  # fmt: skip
    print(
        f"{len(accuracy)} subnets, test accuracy {accuracy.mean():.1%} (standard deviation "
        f"{100 * accuracy.std():.1f} points); {asked.validating} of the images of {asked.images} "
        "validate"
    )
    print(table(answers, splits, asked.draws, asked.validating))
    print(f"\nthe data set's own {len(answers.labels['val'])} validation images")
    print(table(answers, ("val", "test"), asked.draws, None))


if __name__ == "__main__":
    main()
