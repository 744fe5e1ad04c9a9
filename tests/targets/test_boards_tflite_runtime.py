"""tflite-runtime, which needs another numpy than edgenas: sent to a board, and run there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.core.errors import EdgeNasError
from edgenas.core.progress import Silent
from edgenas.int8.checks.parity import compare
from edgenas.int8.engines.facts import find_engine, what_ran
from edgenas.int8.engines.host import logits
from edgenas.int8.exporters import tflite
from edgenas.int8.graph import integer_reference
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.quantize import quantize, stored_scheme
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate
from edgenas.spaces import mbv3_tiny
from edgenas.targets.base import Preprocess
from edgenas.targets.config import open_target
from helpers.boards.emulated import IMAGE
from helpers.boards.loopback import MISSING, LoopbackBoard
from helpers.scripted_runtime import model_file

pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert: pip install 'edgenas[tflite]'")
pytestmark = [
    pytest.mark.emulated,  # it sends wheels from the package index
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]


def test_its_wheels_are_sent_and_its_logits_are_within_the_tolerance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(IMAGE / "cache"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    layers = mbv3_tiny.create(10, 1, 16).layers(mbv3_tiny.create(10, 1, 16).smallest())
    graph = lower(layers, random_state(layers, 0))
    pixels = np.random.default_rng(0).integers(0, 256, (40, *graph.input_shape[1:]), np.uint8)
    images = ((pixels / np.float32(255) - np.float32(0.3)) / np.float32(0.4)).astype(np.float32)
    ranges = calibrate(graph, images)
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite.emit(graph, ranges))
    board = LoopbackBoard().start()
    try:
        (tmp_path / ".ssh").mkdir()
        (tmp_path / ".ssh" / "known_hosts").write_text(board.known_hosts_line())
        setup = {"python": "python3", "packages": "sent", "silence_s": 120}
        config = replace(board.target_config(setup=setup), engine="tflite_runtime", scheme=None)
        target = open_target(config)
        how = Preprocess((0.3,), (0.4,))
        found = target.infer(model_file(path), pixels, how, tmp_path / "jobs", Silent())
    except EdgeNasError as problem:
        if "package index" in str(problem):
            pytest.skip(f"no wheels: {problem}")
        raise
    finally:
        board.close()
    assert found.outcome.engine_version.startswith("2.14") and found.logits is not None
    ran = what_ran(find_engine("tflite_runtime"), found.outcome.provider)
    assert ran.name == "tflite_runtime_builtin"  # its wheel gives XNNPACK no int8, and says so
    quantization = quantize(graph, ranges, stored_scheme("s8s8", "tflite"))
    reference = integer_reference.run(graph, quantization, images)
    scale = float(quantization.tensors["logits"].scale)
    seen = compare(reference, found.logits, reference.argmax(1), scale, ran.name)
    assert seen.mean_steps <= seen.tolerance.mean_steps, seen
    host = logits(path.read_bytes(), images, ran.host_engine)
    assert compare(host, found.logits, host.argmax(1), scale, ran.name).problems == ()
