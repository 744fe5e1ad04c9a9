"""The nouns: frozen records that travel between the steps, and their JSON.

`to_json` and `from_json` turn any record below into plain JSON values and back; `from_json` checks
every type, so that a damaged file or a lying board ends in one clear line, not in a wrong number.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec

from edgenas.errors import EdgeNasError, InputError

Record = TypeVar("Record")
Activation = Literal["none", "relu", "relu6"]
LayerKind = Literal["conv", "depthwise", "squeeze_excite", "add", "global_pool", "linear"]


def to_json(record: Any) -> Any:
    """Return `record` as dicts, lists, strings and numbers (tuples become lists)."""
    return msgspec.to_builtins(record)


def from_json(
    value: Any, kind: type[Record], what: str, error: type[EdgeNasError] = InputError
) -> Record:
    """Return `value` (parsed JSON) as a `kind`, every type checked, unknown keys refused.

    Raises
    ------
    error : `what` is not a valid `kind`; the message names the first wrong field.
    """
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as problem:
        raise error(f"{what} is not valid: {problem}.") from problem


def canonical(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces (for hashes and keys)."""
    return json.dumps(to_json(value), sort_keys=True, separators=(",", ":"))


# ---------------------------------------------------------------- networks


@dataclass(frozen=True)
class StageChoice:
    """What was chosen for one stage: kernel size and expand ratio of each of its blocks."""

    kernel_sizes: tuple[int, ...]
    expand_ratios: tuple[int, ...]

    @property
    def depth(self) -> int:
        return len(self.kernel_sizes)


@dataclass(frozen=True)
class Architecture:
    """One network of a space; immutable and hashable.

    kernel_sizes, expand_ratios : one tuple a stage, one number a block.
    resolution : height and width of the input image in pixels.
    """

    space: str
    resolution: int
    kernel_sizes: tuple[tuple[int, ...], ...]
    expand_ratios: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, space: str, resolution: int, stages: tuple[StageChoice, ...]) -> Architecture:
        kernel_sizes = tuple(stage.kernel_sizes for stage in stages)
        return cls(space, resolution, kernel_sizes, tuple(s.expand_ratios for s in stages))

    @property
    def depths(self) -> tuple[int, ...]:
        return tuple(len(stage) for stage in self.kernel_sizes)

    @property
    def stages(self) -> tuple[StageChoice, ...]:
        return tuple(map(StageChoice, self.kernel_sizes, self.expand_ratios))

    @property
    def key(self) -> str:
        """The canonical JSON text: the identity of this architecture in the store."""
        return canonical(self)

    @property
    def short_name(self) -> str:
        """A file-name-safe name: the first 12 hexadecimal digits of the key's SHA-256."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        blocks = " | ".join(
            " ".join(f"k{k}e{e}" for k, e in zip(*stage, strict=True))
            for stage in zip(self.kernel_sizes, self.expand_ratios, strict=True)
        )
        return f"{self.resolution}px: {blocks}"


@dataclass(frozen=True)
class Layer:
    """One layer of a network: enough to build it, to lower it and to compute its work.

    Tensors are named by the layer that makes them; the image is called "input".
    `stage` is -1 for stem, head and classifier, else 0, 1, …; `block` counts within the stage.
    `conv` and `depthwise` have a batch norm and `activation`; a 1x1 `conv` is a pointwise one.
    `squeeze_excite` is x * relu6(excite(relu(squeeze(pool(x)))) + 3) / 6 with `squeeze_channels`.
    """

    name: str
    kind: LayerKind
    inputs: tuple[str, ...]
    in_channels: int
    out_channels: int
    in_size: int  # height = width of the input, pixels
    out_size: int  # height = width of the output, pixels
    kernel_size: int = 1
    stride: int = 1
    activation: Activation = "none"
    squeeze_channels: int = 0
    stage: int = -1
    block: int = -1

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        if self.kind == "conv":
            per_pixel = self.in_channels * self.out_channels * self.kernel_size**2
        elif self.kind == "depthwise":
            per_pixel = self.out_channels * self.kernel_size**2
        elif self.kind == "linear":
            return self.in_channels * self.out_channels
        elif self.kind == "squeeze_excite":
            return 2 * self.in_channels * self.squeeze_channels
        else:
            return 0
        return per_pixel * self.out_size**2

    @property
    def params(self) -> int:
        """Weights and biases once batch norm is folded."""
        if self.kind == "conv":
            return self.out_channels * (self.in_channels * self.kernel_size**2 + 1)
        if self.kind == "depthwise":
            return self.out_channels * (self.kernel_size**2 + 1)
        if self.kind == "linear":
            return self.out_channels * (self.in_channels + 1)
        if self.kind == "squeeze_excite":
            channels, squeezed = self.in_channels, self.squeeze_channels
            return 2 * channels * squeezed + channels + squeezed
        return 0

    @property
    def moved_bytes(self) -> int:
        """Bytes read and written at int8: inputs, output and weights, each once."""
        inputs = len(self.inputs) * self.in_channels * self.in_size**2
        return inputs + self.out_channels * self.out_size**2 + self.params

    @property
    def launches(self) -> int:
        """Kernels that an engine starts (squeeze-excite: pool, two convolutions, multiply)."""
        return 4 if self.kind == "squeeze_excite" else 1


# ---------------------------------------------------------------- images


@dataclass(frozen=True)
class DataCard:
    """What a data set is, without its images.

    identity : SHA-256 over images and labels. mean, std : per channel, fractions of full scale.
    n_train, n_val, n_test : images a split. skipped : files that could not be read, with reasons.
    """

    name: str
    identity: str
    class_names: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    n_train: int
    n_val: int
    n_test: int
    skipped: tuple[str, ...] = ()


# ---------------------------------------------------------------- targets and measurements


@dataclass(frozen=True)
class DeviceProfile:
    """What `probe` saw on a target; None where the target does not tell."""

    target: str
    machine: str
    system: str
    cpu: str
    cores: int
    python: str
    memory_bytes: int | None = None
    free_disk_bytes: int | None = None
    cpu_features: tuple[str, ...] = ()
    governor: str | None = None
    frequency_mhz: float | None = None
    temperature_celsius: float | None = None
    throttle_flags: str | None = None
    engines: dict[str, str] = field(default_factory=dict)  # name -> version
    problems: tuple[str, ...] = ()  # each with what mends it


@dataclass(frozen=True)
class Latency:
    """Latency of one model: raw samples by pass, summarised.

    samples_ns : one tuple a pass, each inference in nanoseconds, as the device's clock read it.
    drift : per pass, the anchor's median over its median of all passes (1.0 without an anchor).
    median_ms, p90_ms : over the passes' samples divided by their drift, in milliseconds.
    ci95_ms : 95 % interval of the median, from the spread across passes.
    converged : the interval is as narrow as was asked for.
    """

    median_ms: float
    p90_ms: float
    ci95_ms: tuple[float, float]
    samples_ns: tuple[tuple[int, ...], ...]
    drift: tuple[float, ...]
    converged: bool


@dataclass(frozen=True)
class Outcome:
    """What a target answered for one model. A failure has a reason and no latency, never zero.

    provider : what really ran the model, as the engine reports it after loading.
    environment : machine state before and after (governor, frequency, temperature, throttling, …).
    peak_rss_bytes : of a fresh process that loaded and ran only this model.
    """

    status: Literal["ok", "failed"]
    reason: str
    engine: str
    engine_version: str
    provider: str
    environment: dict[str, Any]
    latency: Latency | None = None
    peak_rss_bytes: int | None = None


@dataclass(frozen=True)
class Measurement:
    """One architecture measured on one target.

    weights : "random" when only the latency of the model means something.
    """

    architecture: Architecture
    target: str
    model_sha256: str
    model_bytes: int
    weights: Literal["trained", "random"]
    outcome: Outcome


@dataclass(frozen=True)
class Evaluation:
    """Accuracy (fraction, 0 to 1) of one subnet with inherited weights on the validation split."""

    architecture: Architecture
    supernet_sha256: str
    fp32_accuracy: float
    int8_accuracy: float
    n_images: int


# ---------------------------------------------------------------- search


@dataclass(frozen=True)
class Interval:
    """A predicted mean with the bounds of its prediction interval, in the response's unit."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Candidate:
    """One architecture that a search proposes. Accuracies are fractions, latencies milliseconds."""

    architecture: Architecture
    accuracy: Interval
    latency_ms: Interval


@dataclass(frozen=True)
class SearchResult:
    """What an optimizer found under one limit.

    frontier : the best trade-offs, by rising latency; the mean of latency against mean accuracy.
    optimal : no architecture of the space can be better under the predictors.
    gap : the most accuracy (fraction) that could still be missed; 0.0 if optimal, None if unknown.
    evaluations : architectures scored, or search nodes opened.
    """

    method: str
    limit_ms: float
    confidence: float
    candidates: tuple[Candidate, ...]
    frontier: tuple[Candidate, ...]
    optimal: bool
    gap: float | None
    evaluations: int
    seconds: float
