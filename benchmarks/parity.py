"""Hold every engine against the references on a run's best network; print a markdown table.

Run: python benchmarks/parity.py RUN              the engines of this machine
     python benchmarks/parity.py RUN --userland   and of an emulated aarch64 board (.ci/boards.sh)

int8 logits are held against the int8 reference, float ones against the float graph, in steps of the
int8 output's scale; accuracy is on the run's test images, with its 95 % interval (Wilson). The last
column is the share of the logits that are the same bits as those of the host's engine for it, on
this machine. tflite-runtime, which needs another numpy than edgenas, is sent to a loopback board.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from subnets import user_of

from edgenas.core import plugins
from edgenas.core.errors import EdgeNasError
from edgenas.core.progress import Silent
from edgenas.int8.checks.parity import compare
from edgenas.int8.engines.facts import find_engine
from edgenas.int8.engines.host import logits
from edgenas.int8.graph import float_reference, integer_reference
from edgenas.int8.graph.ir import OUTPUT
from edgenas.int8.graph.quantize import quantize, stored_scheme
from edgenas.runs.models.exported import exported_graph
from edgenas.runs.open import open_run
from edgenas.runs.run import RunContext
from edgenas.targets.base import ModelFile, Preprocess, Target
from edgenas.targets.config import TargetConfig, open_target
from helpers.boards.loopback import LoopbackBoard
from helpers.boards.userland import userland_board

KINDS = {
    "onnxruntime": ("u8s8", "s8s8", "fp32"),
    "litert": ("s8s8", "u8s8", "fp32"),
    "litert_builtin": ("s8s8", "u8s8", "fp32"),
    "tflite_runtime": ("s8s8", "u8s8", "fp32"),
}
HERE = ("onnxruntime", "litert", "litert_builtin")
MOST_IMAGES = 360


def rows(context: RunContext, target: Target, machine: str) -> Iterator[str]:
    """Yield a line of the table for each kind of file that the target's engine takes."""
    model = context.exported_models()[0]
    graph, ranges = exported_graph(context, model)
    test = context.dataset.test.resized(model.candidate.architecture.resolution)
    test = test.take(np.arange(min(len(test), MOST_IMAGES)))
    images = context.dataset.normalize(test.images)
    pixels = np.ascontiguousarray(test.images.transpose(0, 3, 1, 2))
    exporter_name = find_engine(target.engine).exporter
    exporter = plugins.load("exporters", exporter_name)
    for kind in KINDS[target.engine]:
        scheme = "s8s8" if kind == "fp32" else kind
        quantization = quantize(graph, ranges, stored_scheme(scheme, exporter_name))
        if kind == "fp32":
            content, expected = exporter.emit(graph, None), float_reference.run(graph, images)
        else:
            content = exporter.emit(graph, ranges, scheme=kind)
            expected = integer_reference.run(graph, quantization, images)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"model{exporter.FILE_SUFFIX}"
            path.write_bytes(content)
            file = ModelFile("model", path, hashlib.sha256(content).hexdigest())
            how = Preprocess(model.mean, model.std)
            found = target.infer(file, pixels, how, Path(folder) / "jobs", Silent())
        begin = f"| {machine} | {target.engine} {found.outcome.engine_version} | {kind} |"
        if found.logits is None:
            yield f"{begin} {found.outcome.reason} | | | | | |"
            continue
        scale = float(quantization.tensors[OUTPUT].scale)
        host = logits(content, images, find_engine(target.engine).host_engine)
        seen = compare(expected, found.logits, test.labels, scale, target.engine)
        yield (
            f"{begin} {found.outcome.provider} | {seen.agreement:.2%} | {seen.mean_steps:.2g} | "
            f"{seen.max_steps:.2g} | {seen.device.fraction:.2%} "
            f"[{seen.device.lower:.1%}, {seen.device.upper:.1%}] | "
            f"{(found.logits == host).mean():.2%} |"
        )


def of_machine(
    context: RunContext, config: TargetConfig, machine: str, engines: tuple[str, ...]
) -> None:
    for engine in engines:
        target = open_target(replace(config, engine=engine, scheme=None))
        try:
            for row in rows(context, target, machine):
                print(row, flush=True)
        except EdgeNasError as problem:
            print(f"| {machine} | {engine} | - | {problem.message} | | | | | |", flush=True)


def of_board(
    context: RunContext, board: LoopbackBoard, machine: str, engines: tuple[str, ...]
) -> None:
    try:
        board.start()
        with user_of(board.known_hosts_line()):
            setup = {"python": "python3", "packages": "sent", "silence_s": 600}
            of_machine(context, board.target_config(setup=setup), machine, engines)
    finally:
        board.close()


def main() -> None:
    run = Path(sys.argv[1])
    with open_run(run, {}, Silent(), resume=True, create=False) as context:
        print("| machine | engine | file | ran on | same class | mean | max | accuracy | bits |")
        print("|---|---|---|---|---|---|---|---|---|")
        here = TargetConfig("local", "local", "the benchmark")
        of_machine(context, here, "x86-64", HERE)
        of_board(context, LoopbackBoard(), "x86-64", ("tflite_runtime",))
        if "--userland" in sys.argv:
            of_board(context, userland_board(), "aarch64, qemu-user", tuple(KINDS))


if __name__ == "__main__":
    main()
