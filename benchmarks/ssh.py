"""Measure what a board over SSH costs beyond the inference itself; print JSON.

Run: python benchmarks/ssh.py overhead        60 subnets on a loopback board (needs sshd)
     python benchmarks/ssh.py second          what a second run sends, and when it is at work
     python benchmarks/ssh.py cuts            20 cuts of the link at random moments
     python benchmarks/ssh.py emulated [FOLDER]
                                              30 subnets fitted, 30 predicted, 10 searches (needs
                                              .ci/boards.sh); goes on where it was stopped
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from subnets import drawn, model_files, user_of

from edgenas.core import plugins
from edgenas.core.progress import Silent
from edgenas.core.records import Outcome
from edgenas.targets.base import MeasureSettings
from edgenas.targets.config import open_target
from edgenas.targets.remote.transport import LinkLostError
from edgenas.targets.remote.wheels import cache_folder
from helpers.boards.at_work import PASSES, AtWork, passes
from helpers.boards.emulated import IMAGE
from helpers.boards.loopback import LoopbackBoard


def overhead() -> dict[str, Any]:
    """Time a whole measurement of 60 subnets against the time spent in inference."""
    board = LoopbackBoard().start()
    try:
        with user_of(board.known_hosts_line()) as home:
            space = plugins.load("spaces", "foxnas-cpu").create(10, 3, 192)
            models = model_files(space, drawn(space, 60), "u8s8", home / "models")
            target = open_target(board.target_config())
            settings = MeasureSettings(anchor=models[0].key)
            began = time.perf_counter()
            outcomes = target.measure(models, settings, home / "jobs", Silent())
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


def second() -> dict[str, Any]:
    """Time a first and a second run on one board, from nothing until the runtime is at work."""
    board = LoopbackBoard().start()
    try:
        os.environ.setdefault("XDG_CACHE_HOME", str(cache_folder().parent))  # wheels known here
        with user_of(board.known_hosts_line()) as home:
            space = plugins.load("spaces", "mbv3-tiny").create(10, 1, 16)
            models = model_files(space, drawn(space, 1), "u8s8", home / "models")
            config = board.target_config(setup={"packages": "sent"})
            figures = {}
            for run in ("first", "second"):
                sent, began = board.link.sent_bytes, time.perf_counter()
                target = open_target(config)
                seen = threading.Thread(target=_until_at_work, args=(board, figures, run, began))
                seen.start()
                target.measure(models, MeasureSettings(), home / run, Silent())
                seen.join()
                target.close()  # type: ignore[attr-defined]
                figures[f"{run}_sent_bytes"] = board.link.sent_bytes - sent
            return figures
    finally:
        board.close()


def _until_at_work(board: LoopbackBoard, figures: dict[str, Any], run: str, began: float) -> None:
    while not list(board.cache.glob("jobs/*/journal.jsonl")):
        time.sleep(0.005)
    figures[f"{run}_s"] = round(time.perf_counter() - began, 2)


def emulated(folder: str = str(IMAGE / "benchmark")) -> dict[str, Any]:
    """Fit the latencies of 30 subnets, predict 30 others; measure the winners of 10 searches."""
    from emulated import figures

    return figures(Path(folder))


if __name__ == "__main__":
    figures = {"overhead": overhead, "second": second, "cuts": cuts, "emulated": emulated}
    print(json.dumps(figures[sys.argv[1]](*sys.argv[2:])))
