"""A board whose truth is known: nothing is trained, timed or run, and every answer is exact.

`scripted` puts it in the place of every board that a run asks. Latency is linear in the work of a
network, accuracy grows with its logarithm, and all steps but those that make or time a file are the
product's own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgenas.core.files.run_folder import write_bytes, write_json
from edgenas.core.records import (
    Answers,
    Architecture,
    DataCard,
    DeviceProfile,
    EngineParity,
    Evaluation,
    ExportedModel,
    Interval,
    Latency,
    Measurement,
    Outcome,
    ParityRecord,
    SearchResult,
    VerifiedModel,
    to_json,
)
from edgenas.core.records.intervals import wilson
from edgenas.optimize.limits import judged
from edgenas.runs import sources
from edgenas.runs.run import RunContext
from edgenas.runs.sources import board_check, board_machine
from edgenas.runs.sources.board import Board

N_IMAGES = 1000
CLASSES = tuple("0123456789")


@dataclass(frozen=True)
class Truth:
    """What a board does with a network, exactly.

    ms_per_mac, ms : latency is ms + ms_per_mac * MACs. slower : a factor on what is verified, as of
    a board that got busy after it was measured.
    """

    ms: float = 0.05
    ms_per_mac: float = 1e-6
    slower: float = 1.0

    def latency_ms(self, run: RunContext, network: Architecture) -> float:
        return self.ms + self.ms_per_mac * sum(one.macs for one in run.space.layers(network))

    def right(self, run: RunContext, network: Architecture) -> int:
        """Return how many of `N_IMAGES` images a network has right."""
        params = sum(one.params for one in run.space.layers(network))
        return round(N_IMAGES * (1 - 1 / math.log10(params + 10.0)))


class ScriptedTarget:
    """The machine that a scripted board says it is; it is never asked to measure."""

    def __init__(self, name: str, engine: str = "onnxruntime", scheme: str = "u8s8") -> None:
        self.name = name
        self.engine = engine
        self.scheme = scheme

    def probe(self) -> DeviceProfile:
        return DeviceProfile(
            target=self.name,
            machine="x86_64",
            system="Linux",
            cpu="scripted",
            cores=2,
            python="3.11",
            engines={self.engine: "1.0"},
        )


class ScriptedBoard(Board):
    """A board that answers from its `truth`."""

    def __init__(self, run: RunContext, truth: Truth) -> None:
        super().__init__(run)
        self.truth = truth
        name = Path(run.config.target).stem
        run.target = ScriptedTarget(name, run.config.engine or "onnxruntime")  # type: ignore[assignment]
        if not run.folder.data.exists():
            card = DataCard(
                "scripted", "0" * 64, CLASSES, 8, (0.5,), (0.5,), 700, N_IMAGES, N_IMAGES
            )
            write_json(run.folder.data, to_json(card))

    def check_start(self) -> None:
        """Accept: there is no engine of this computer to look for."""

    def check_unchanged(self) -> None:
        """Accept: there are no images."""

    def probe(self) -> DeviceProfile:
        profile = self.run.target.probe()
        write_json(self.run.folder.profile, to_json(profile))
        return profile

    def train(self) -> None:
        if not self.run.folder.supernet.exists():
            write_bytes(self.run.folder.supernet, b"scripted supernet")

    def measure(self, networks: Sequence[Architecture]) -> None:
        for network in networks:
            self.run.store.add_measurement(self._measurement(network, "random", 1.0))

    def evaluate(self, networks: Sequence[Architecture] | None = None) -> int:
        run = self.run
        known = {one.architecture for one in run.evaluations()}
        asked = run.sampled(run.config.evaluate) if networks is None else networks
        missing = [one for one in asked if one not in known]
        if networks is None and len(missing) < len(asked):
            run.reuse(f"{len(asked) - len(missing)} of {len(asked)} evaluations")
        for network in missing:
            answers = self._answers(network)
            run.store.add_evaluation(
                Evaluation(
                    network,
                    run.supernet_sha256(),
                    answers.accuracy,
                    answers.accuracy,
                    N_IMAGES,
                    answers,
                )
            )
        return len(missing)

    def export(self, *, alone: bool) -> list[ExportedModel]:
        models = []
        for candidate in self.run.search_result().candidates:
            name = candidate.architecture.short_name
            for kind in ("int8.onnx", "fp32.onnx", "graph.safetensors"):
                write_bytes(self.run.folder.models / f"{name}.{kind}", f"{name} {kind}".encode())
            content = f"{name} int8.onnx".encode()
            answers = self._answers(candidate.architecture)
            model = ExportedModel(
                candidate=candidate,
                int8_file=f"{name}.int8.onnx",
                fp32_file=f"{name}.fp32.onnx",
                sha256=hashlib.sha256(content).hexdigest(),
                int8_bytes=len(content),
                scheme="u8s8",
                mean=(0.5,),
                std=(0.5,),
                class_names=CLASSES,
                val_int8_accuracy=answers.accuracy,
                val_fp32_accuracy=answers.accuracy,
                n_val=N_IMAGES,
                supernet_sha256=self.run.supernet_sha256(),
                val_answers=answers,
            )
            write_json(self.run.folder.models / f"{name}.json", to_json(model))
            models.append(model)
        return models

    def check(self, result: SearchResult) -> Sequence[VerifiedModel]:
        limits, verified = board_check.limits(self.run, result), []
        for model in self.run.exported_models():
            network = model.candidate.architecture
            measurement = self._measurement(network, "trained", self.truth.slower)
            self.run.store.add_measurement(measurement)
            answers = self._answers(network)
            one = VerifiedModel(
                model=model,
                passed=True,
                reasons=(),
                outcome=measurement.outcome,
                fp32_accuracy=answers.accuracy,
                int8_accuracy=answers.accuracy,
                device_accuracy=answers.accuracy,
                agreement=1.0,
                n_images=N_IMAGES,
                parity=_parity(answers),
                fp32_latency_ms=2 * self.truth.latency_ms(self.run, network),
                predicted_by=result.predicted_by,
                device_answers=answers,
            )
            verified.append(judged(one, measurement, self.run.space.layers(network), limits))
        return verified

    def judged(self, verification: Any) -> Any:
        """Return it as it is: there is nothing to time beside, and no baseline."""
        return verification

    def explain_models(self) -> None:
        """Do nothing: the files hold no layers."""

    def plan(self) -> tuple[list[Architecture], int]:
        return board_machine.plan(self.run)

    def _answers(self, network: Architecture) -> Answers:
        right = self.truth.right(self.run, network)
        return Answers.of([index < right for index in range(N_IMAGES)])

    def _measurement(self, network: Architecture, weights: Any, factor: float) -> Measurement:
        ms = factor * self.truth.latency_ms(self.run, network)
        passes = tuple((round(ms * 1e6),) * 3 for _ in range(3))
        latency = Latency(ms, ms, (ms, ms), passes, (1.0,) * 3, converged=True)
        target = self.run.target
        size = 1000 + sum(one.params for one in self.run.space.layers(network))
        ran = (target.engine, "1.0", "CPUExecutionProvider")
        outcome = Outcome("ok", "", *ran, {}, latency, peak_rss_bytes=(1 << 20) + size)
        anchor_ms = self.truth.latency_ms(self.run, self.run.anchor())
        return Measurement(network, target.name, "0" * 64, size, weights, outcome, anchor_ms)


def _parity(answers: Answers) -> ParityRecord:
    accuracy = Interval(answers.accuracy, *wilson(answers.right, answers.n_images))
    rows = tuple(
        EngineParity(place, "scripted", accuracy, 1.0, 0.0, 0.0)
        for place in ("reference", "host", "target")
    )
    return ParityRecord(rows, N_IMAGES, 0.1, 0.99, 0.5, "Exact.")


def scripted(monkeypatch: pytest.MonkeyPatch, **truths: Truth) -> None:
    """Let boards of a run be scripted ones; truths : by the target's name, else the usual one."""

    def source_of(run: RunContext) -> ScriptedBoard:
        return ScriptedBoard(run, truths.get(Path(run.config.target).stem, Truth()))

    monkeypatch.setattr(sources, "source_of", source_of)
