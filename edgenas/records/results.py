"""What a search found, what was exported, and what it did on the target."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from edgenas.records.measuring import Outcome
from edgenas.records.networks import Architecture


@dataclass(frozen=True)
class Interval:
    """A predicted mean with the bounds of its prediction interval, in the response's unit."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Candidate:
    """One architecture that a search proposes. Accuracies are fractions, latencies milliseconds.

    responses : the others that are predicted, by name, each in its unit; counts are exact.
    """

    architecture: Architecture
    accuracy: Interval
    latency_ms: Interval
    responses: dict[str, Interval] = field(default_factory=dict, hash=False)

    def response(self, name: str) -> Interval | None:
        """Return the prediction of a response, by its name; None where there is none."""
        known = {"accuracy": self.accuracy, "latency_ms": self.latency_ms}
        return known.get(name) or self.responses.get(name)


@dataclass(frozen=True)
class PredictedBy:
    """What predictions follow from: the space that they are over, and the predictors of then.

    space, num_classes, in_channels, image_size : what the space was made with.
    predictors : SHA-256 of the file of each response's predictor; a later fit leaves these alone.
    """

    space: str
    num_classes: int
    in_channels: int
    image_size: int
    predictors: dict[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class SearchResult:
    """What an optimizer found within the limits.

    top : candidates asked for; there may be fewer.
    limit_ms : on the upper latency bound; that of the slowest network where none was asked for.
    frontier : the best trade-offs, by rising mean latency, between the means of the objectives and
        of what is limited, within the limits or not; a part of them where they are very many.
    objectives : names of the responses that were optimized, the first decides between winners.
    constraints : as they were asked for, besides the latency limit.
    limited : whether a latency limit was asked for, or chosen half-way.
    optimal : no architecture of the space can be better under the predictors.
    gap : the most accuracy (fraction) that could still be missed; 0.0 if optimal, None if unknown.
    evaluations : architectures scored, or search nodes opened.
    budget, reward, warm_start : as they were asked for.
    predicted_by : None of searches made before predictors were kept.
    """

    method: str
    top: int
    limit_ms: float
    confidence: float
    candidates: tuple[Candidate, ...]
    frontier: tuple[Candidate, ...]
    optimal: bool
    gap: float | None
    evaluations: int
    seconds: float
    objectives: tuple[str, ...] = ("accuracy",)
    constraints: tuple[str, ...] = ()
    limited: bool = True
    predicted_by: PredictedBy | None = None
    budget: int | None = None
    reward: str | None = None
    warm_start: str | None = None


@dataclass(frozen=True)
class FineTuned:
    """Int8 accuracy on the validation split before and after fine-tuning, and which is exported."""

    epochs: int
    kept: bool
    int8_accuracy_before: float
    int8_accuracy_after: float


@dataclass(frozen=True)
class ExportedModel:
    """A candidate as files, with all that an application needs to use them.

    int8_file, fp32_file : names in the run's models/ folder. scheme : of the int8 file.
    Input "input" is (pixel / 255 - mean) / std: float32 [1, channels, resolution, resolution] in
    "nchw" files; in "nhwc" ones channels last, and int8 or uint8 as `scheme` begins, with the scale
    and zero point that are in the file.
    val_int8_accuracy, val_fp32_accuracy : of these very files in `host_engine`, on `n_val` images;
        None where the images were synthetic.
    finetuned : None without fine-tuning.
    """

    candidate: Candidate
    int8_file: str
    fp32_file: str
    sha256: str
    int8_bytes: int
    scheme: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    val_int8_accuracy: float | None
    val_fp32_accuracy: float | None
    n_val: int
    supernet_sha256: str
    format: str = "onnx"
    layout: Literal["nchw", "nhwc"] = "nchw"
    host_engine: str = "onnxruntime"
    finetuned: FineTuned | None = None

    @property
    def expected_accuracy(self) -> float:
        """The int8 accuracy on the validation images; the predicted one where there were none."""
        known = self.val_int8_accuracy
        return self.candidate.accuracy.mean if known is None else known


@dataclass(frozen=True)
class EngineParity:
    """One place's int8 logits on the test images, against those of the int8 reference.

    accuracy : with its 95 % interval (Wilson); None of images without labels.
    agreement : fraction of images of the same class.
    max_steps, mean_steps : differences of the logits, in steps of the output's scale.
    """

    place: Literal["reference", "host", "target"]
    engine: str
    accuracy: Interval | None
    agreement: float
    max_steps: float
    mean_steps: float


@dataclass(frozen=True)
class Divergence:
    """The first layer that the target computes wrongly: what it reads is right.

    worst_channel_steps : how far its worst channel is off, in steps of its scale, mean over
        `n_images`; None where the network cut after it does not run. inputs_steps : the same of
        what it reads. base : what it is held against, "int8 reference" or "host".
    """

    layer: str
    kind: str
    worst_channel_steps: float | None
    inputs_steps: float
    n_images: int
    base: str = "int8 reference"


@dataclass(frozen=True)
class ParityRecord:
    """Reference, host and target on the same `n_images`, and what is tolerated of the engine.

    scale : of the int8 output. reason : why so much is tolerated. divergence : None if all is
        within it, or no single layer is to blame.
    """

    engines: tuple[EngineParity, ...]
    n_images: int
    scale: float
    least_agreement: float
    most_mean_steps: float
    reason: str
    divergence: Divergence | None = None

    def __post_init__(self) -> None:
        if {row.place for row in self.engines} != {"reference", "host", "target"}:
            raise ValueError("parity needs a row of the reference, the host and the target")

    def at(self, place: str) -> EngineParity:
        """Return the row of "reference", "host" or "target"."""
        return next(row for row in self.engines if row.place == place)


@dataclass(frozen=True)
class VerifiedModel:
    """What an exported model did on the target, and whether that is what was promised.

    reasons : why it did not pass; empty if it passed.
    fp32_accuracy, int8_accuracy : on the host, device_accuracy on the target, on the same
        `n_images` held-out test images; None where it could not be had.
    agreement : fraction of the images on which target and host chose the same class.
    synthetic : the images were made from noise and have no labels: there are no accuracies.
    from_earlier_round : it passed in a round before the last, and stays a candidate.
    measured : every response that is known, by name, in its unit.
    parity : None where it did not run, or was verified before there was a parity gate.
    fp32_latency_ms : median of the fp32 file, timed in the same passes; None where it was not.
    predicted_by : of the search that proposed it; None before predictors were kept.
    """

    model: ExportedModel
    passed: bool
    reasons: tuple[str, ...]
    outcome: Outcome
    fp32_accuracy: float | None
    int8_accuracy: float | None
    device_accuracy: float | None
    agreement: float | None
    n_images: int
    from_earlier_round: bool = False
    measured: dict[str, float] = field(default_factory=dict, hash=False)
    parity: ParityRecord | None = None
    fp32_latency_ms: float | None = None
    synthetic: bool = False
    predicted_by: PredictedBy | None = None


@dataclass(frozen=True)
class Verification:
    """The verdict on a run's candidates, best first among those that passed.

    rounds : searches until it was reached; each refits with the measured candidates of the last.
    objective, goal : the response that decides between those that passed, and which way.
    """

    target: str
    limit_ms: float
    confidence: float
    rounds: int
    models: tuple[VerifiedModel, ...]
    objective: str = "accuracy"
    goal: Literal["max", "min"] = "max"

    @property
    def winner(self) -> VerifiedModel | None:
        """The passing model that is best in the objective.

        For accuracy that of highest int8 validation accuracy (the target's, once verified);
        of highest predicted accuracy where there were no images.
        """
        passed = [model for model in self.models if model.passed]
        return max(passed, key=self._rank, default=None)

    def _rank(self, verified: VerifiedModel) -> tuple[float, ...]:
        latency, accuracy = verified.outcome.latency, verified.model.expected_accuracy
        ranks = accuracy, -latency.median_ms if latency else 0.0
        if self.objective == "accuracy":
            return ranks
        sign = 1.0 if self.goal == "max" else -1.0
        return sign * verified.measured.get(self.objective, -sign * math.inf), *ranks


@dataclass(frozen=True)
class Notes:
    """What happened along the way: seconds and the newest warnings by step, and what was reused."""

    seconds: dict[str, float] = field(default_factory=dict)
    step_warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reused: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """All warnings, each once."""
        return tuple(dict.fromkeys(w for step in self.step_warnings.values() for w in step))
