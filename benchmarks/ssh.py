"""Measure what a board over SSH costs beyond the inference itself; print JSON.

Run: python benchmarks/ssh.py overhead        60 subnets on a loopback board (needs sshd)
     python benchmarks/ssh.py cuts            20 cuts of the link at random moments
     python benchmarks/ssh.py emulated        30 subnets fitted, 30 predicted (needs .ci/boards.sh)
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from boards.at_work import PASSES, AtWork, passes
from boards.emulated import IMAGE, EmulatedBoard
from boards.loopback import LoopbackBoard
from scripted_runtime import model_file

from edgenas import plugins
from edgenas.graph.lower import lower
from edgenas.graph.random_state import random_state
from edgenas.graph.ranges import random_ranges
from edgenas.predictors.base import TrainingData
from edgenas.progress import Silent
from edgenas.records import Architecture, Outcome
from edgenas.spaces.base import MobileSpace
from edgenas.targets.base import MeasureSettings, ModelFile
from edgenas.targets.config import open_target, read
from edgenas.targets.transport import LinkLostError
from edgenas.term_rows import TermRows


def subnets(space: MobileSpace, count: int, scheme: str, folder: Path) -> dict[str, Architecture]:
    """Write int8 models of `count` subnets with random weights; return key -> architecture."""
    rng = np.random.default_rng(0)
    drawn: dict[Architecture, None] = {}
    while len(drawn) < count:
        drawn.setdefault(space.sample(rng))
    for architecture in drawn:
        layers = space.layers(architecture)
        graph = lower(layers, random_state(layers, 0))
        emitted = plugins.load("exporters", "onnx").emit(
            graph, random_ranges(graph, 0), scheme=scheme
        )
        (folder / f"{architecture.short_name}.onnx").write_bytes(emitted)
    return {architecture.short_name: architecture for architecture in drawn}


def files(folder: Path) -> list[ModelFile]:
    return [model_file(path) for path in sorted(folder.glob("*.onnx"))]


@contextmanager
def user_of(line: str) -> Iterator[Path]:
    """Give this process a home in which the board's host key is known."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / ".ssh").mkdir()
        (home / ".ssh" / "known_hosts").write_text(line)
        os.environ["HOME"] = str(home)
        yield home


def overhead() -> dict[str, Any]:
    """Time a whole measurement of 60 subnets against the time spent in inference."""
    board = LoopbackBoard().start()
    try:
        with user_of(board.known_hosts_line()) as home:
            models = home / "models"
            models.mkdir()
            space = plugins.load("spaces", "foxnas-cpu").create(10, 3, 192)
            keys = subnets(space, 60, "u8s8", models)
            target = open_target(board.target_config())
            settings = MeasureSettings(anchor=next(iter(keys)))
            began = time.perf_counter()
            outcomes = target.measure(files(models), settings, home / "jobs", Silent())
            whole_s = time.perf_counter() - began
            target.close()  # type: ignore[attr-defined]
            return {"whole_s": round(whole_s, 1), **_inference(home, outcomes, settings, whole_s)}
    finally:
        board.close()


def _inference(
    home: Path, outcomes: dict[str, Outcome], settings: MeasureSettings, whole_s: float
) -> dict[str, Any]:
    """Return what the journal says was spent in timed runs and warm-up."""
    (journal,) = home.glob("jobs/*/journal.jsonl")
    timed_s = warmup_s = checks_s = 0.0
    for line in journal.read_text().splitlines():
        record = json.loads(line)
        if record["type"] == "timed":
            timed_s += sum(record["samples_ns"]) / 1e9
            warmup_s += max(settings.warmup_ms / 1e3, record["samples_ns"][0] / 1e9)
        elif record["type"] == "checked":
            checks_s += record["seconds"]
    known = [o.latency for o in outcomes.values() if o.latency]
    return {
        "inference_and_warmup_s": round(timed_s + warmup_s, 1),
        "checks_s": round(checks_s, 1),
        "ratio": round(whole_s / (timed_s + warmup_s), 2),
        "latency_ms": [round(f(latency.median_ms for latency in known), 2) for f in (min, max)],
        "passes": [f(len(latency.samples_ns) for latency in known) for f in (min, max)],
        "converged": sum(latency.converged for latency in known),
    }


def cuts(repeats: int = 20) -> dict[str, Any]:
    """Cut the link at a random moment of a measurement, `repeats` times."""
    rng, lost, doubled = random.Random(0), 0, 0
    for _ in range(repeats):
        board = LoopbackBoard().start()
        try:
            with user_of(board.known_hosts_line()) as home:
                work = AtWork(board, home).start()
                time.sleep(rng.uniform(0, 5))
                seen = passes(work.journal())
                board.link.cut()
                board.link.mend()
                try:
                    work.join(120)
                except LinkLostError:  # cut before there was a first connection
                    work = AtWork(board, home).start()
                    work.join(120)
                finished = passes(work.journal())
                lost += finished[: len(seen)] != seen or len(finished) < PASSES
                doubled += len(finished) > PASSES
        finally:
            board.close()
    return {"cuts": repeats, "runs_that_lost_a_pass": lost, "runs_that_counted_one_twice": doubled}


def emulated(count: int = 30) -> dict[str, Any]:
    """Measure 2 x `count` subnets on the emulated board; fit one half, predict the other."""
    from scipy.stats import kendalltau

    os.environ["XDG_CACHE_HOME"] = str(IMAGE / "cache")
    board = EmulatedBoard().start()
    try:
        with user_of(board.known_hosts_line()) as home:
            models = home / "models"
            models.mkdir()
            space = plugins.load("spaces", "mbv3-tiny").create(10, 1, 16)
            keys = subnets(space, 2 * count, "s8s8", models)
            target_file = home / "emulated.toml"
            target_file.write_text(board.target_file())
            target = open_target(read(target_file))
            began = time.perf_counter()
            outcomes = target.measure(
                files(models), MeasureSettings(budget_s=1e5), home / "jobs", Silent()
            )
            seconds = time.perf_counter() - began
            target.close()  # type: ignore[attr-defined]
    finally:
        board.stop()
    architectures = list(keys.values())
    measured = np.array([outcomes[key].latency.median_ms for key in keys])  # type: ignore[union-attr]
    rows = TermRows(space, "physical")
    matrix, terms = rows.matrix(architectures), rows.terms
    data = TrainingData(
        "latency_ms", "ms", terms.names, matrix[:count], measured[:count], cost=terms.cost
    )
    model = plugins.load("predictors", "regression").fit(data, 0)
    predicted = model.predict(matrix[count:])
    truth = measured[count:]
    return {
        "mape_percent": round(100 * float(np.mean(np.abs(predicted / truth - 1))), 2),
        "kendall_tau": round(float(kendalltau(predicted, truth).statistic), 3),
        "latency_ms": [round(float(f(measured)), 3) for f in (np.min, np.max)],
        "seconds": round(seconds),
    }


if __name__ == "__main__":
    print(json.dumps({"overhead": overhead, "cuts": cuts, "emulated": emulated}[sys.argv[1]]()))
