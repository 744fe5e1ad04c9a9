"""The searches of `photographs.py`: winners over one supernet, what int8 costs, and promises."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import edgenas
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.progress import Progress, Silent
from edgenas.core.records import Answers
from edgenas.int8.graph.ir import Graph, WeightedNode
from edgenas.runs.config import read_config
from edgenas.runs.run import RunContext
from edgenas.supernet.deploy import deployable

SUBNETS = 20  # whose float and int8 accuracies are compared
SAMPLES, EVALUATE = 16, 32
SEEDS = (1, 2, 3, 4, 5)  # of searches whose promises are held against test images
VALIDATING = 0.3  # of the test images, in these searches
SHARES = (0.3, 0.45, 0.65, 0.9)  # their limits: of the way from the fastest network to the slowest
CONFIDENCE = 0.9  # of their intervals


class Spoken(Silent):
    """Messages and warnings on stderr."""

    def message(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def warning(self, text: str) -> None:
        print(f"warning: {text}", file=sys.stderr, flush=True)


def searched(asked: argparse.Namespace, limits_ms: Mapping[str, float]) -> None:
    """Search within each limit over one supernet; the first search trains it."""
    for index, (scaling, limit_ms) in enumerate(limits_ms.items()):
        kept = asked.work / f"searched-{index}.json"
        if kept.exists():
            continue
        started = time.process_time()
        context = _search(
            asked.folder,
            asked.work / "search",
            limit_ms,
            supernet="imagenet",
            image_size=asked.size,
            epochs=asked.epochs,
            finetune=asked.finetune,
        )
        row = row_of(context) | {"seconds": time.process_time() - started, "epochs": asked.epochs}
        row |= {"title": f"searched within {limit_ms:.2f} ms", "within": scaling}
        source = context.folder.models / row["file"]
        shutil.copyfile(source, kept.with_suffix(".onnx"))
        kept.write_text(json.dumps(row, indent=1))


def rounding(asked: argparse.Namespace) -> None:
    """Compare float with int8 on the test images, of random subnets of the searches' supernet.

    "plain" is int8 with the biases of the float network: nothing makes up for rounded weights.
    """
    kept = asked.work / "rounding.json"
    if kept.exists():
        return
    context = context_of(asked.work / "search")
    supernet, data, scheme = context.supernet(), context.dataset, context.target.scheme
    rng, rows = np.random.default_rng(0), []
    for _ in range(SUBNETS):
        architecture = context.space.sample(rng)
        layers = context.space.layers(architecture)
        network = deployable(supernet, architecture, layers, data, context.engine)
        forms = {
            "fp32": (network, None),
            "int8": (network, scheme),
            "plain": (replace(network, graph=uncorrected(network.graph)), scheme),
        }
        row: dict[str, Any] = {"architecture": str(architecture)}
        for name, (form, stored) in forms.items():
            right = form.right(stored, data, data.test)
            row[name] = vars(Answers.of(right.tolist()))
        rows.append(row)
    kept.write_text(json.dumps(rows, indent=1))


def uncorrected(graph: Graph) -> Graph:
    """Return the graph whose int8 files have the biases of the float network."""
    nodes = (
        replace(node, bias_correction=None) if isinstance(node, WeightedNode) else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def promises(asked: argparse.Namespace, reach_ms: tuple[float, float]) -> None:
    """Search from the trained supernet with other seeds and limits; keep promise and outcome.

    A seed draws other subnets to measure and to evaluate, and other images to validate: a part of
    the test images of each class, so that both are of one kind. The weights have seen none of them.
    reach_ms : the latencies of the space's smallest and largest networks, between which limits are.
    """
    supernet = asked.supernet or asked.work / "search" / "supernet.safetensors"
    fastest, slowest = reach_ms
    for seed in SEEDS:
        folder = asked.work / f"images-{seed}"
        _divide(asked.folder, folder, seed)
        for share in SHARES:
            kept = asked.work / f"promise-{seed}-{share}.json"
            if kept.exists():
                continue
            context = _search(
                folder,
                asked.work / f"promises-{seed}",
                fastest + share * (slowest - fastest),
                supernet=str(supernet),
                seed=seed,
                confidence=CONFIDENCE,
            )
            kept.write_text(json.dumps(row_of(context), indent=1))


def _divide(source: Path, folder: Path, seed: int) -> None:
    """Write an image folder whose validation images are some of the test images of `source`."""
    if folder.exists():
        return
    rng = np.random.default_rng(seed)
    for path in sorted((source / "train").glob("*/*")):
        _copy(path, folder / "train" / path.parent.name)
    for name in sorted((source / "test").iterdir()):
        files = rng.permutation(sorted(map(str, name.iterdir())))
        validating = round(VALIDATING * len(files))
        for number, path in enumerate(map(Path, files)):
            _copy(path, folder / ("val" if number < validating else "test") / name.name)


def _copy(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, folder / path.name)


def _search(folder: Path, out: Path, limit_ms: float, **options: Any) -> RunContext:
    progress: Progress = Spoken()
    edgenas.search(
        None,
        f"imagefolder:{folder}",
        out=out,
        resume=(out / "run.json").exists(),
        progress=progress,
        max_latency_ms=limit_ms,
        **{
            "engine": "onnxruntime",
            "samples": SAMPLES,
            "evaluate": EVALUATE,
            "top": 1,
            **options,
        },
    )
    return context_of(out)


def context_of(out: Path) -> RunContext:
    folder = RunFolder(out)
    return RunContext(folder, read_config(folder), Silent())


def row_of(context: RunContext) -> dict[str, Any]:
    """Return what is known of the winner; of the first candidate where none passed."""
    winner = context.winner() or context.verified().models[0]
    architecture, promise = winner.candidate.architecture, winner.candidate.accuracy
    answers, latency = winner.device_answers, winner.outcome.latency
    assert answers is not None
    assert latency is not None
    layers = context.space.layers(architecture)
    tuned = winner.model.finetuned
    return {
        "architecture": str(architecture),
        "resolution": architecture.resolution,
        "mmac": sum(layer.macs for layer in layers) / 1e6,
        "answers": vars(answers),
        "file": winner.model.int8_file,
        "passed": winner.passed,
        "weights": winner.model.weights,
        "finetuned": None if tuned is None else vars(tuned),
        "promise": None if promise is None else vars(promise),
        "confidence": context.config.confidence,
        "val": winner.model.val_int8_accuracy,
        "n_val": winner.model.n_val,
        "board_ms": latency.median_ms,
        "n_train": context.data_card.n_train,
    }
