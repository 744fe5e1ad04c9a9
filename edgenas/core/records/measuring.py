"""Images, targets, and what was measured and evaluated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgenas.core.records.answers import Answers
from edgenas.core.records.goals import ROBUST
from edgenas.core.records.image_input import Fit
from edgenas.core.records.networks import Architecture
from edgenas.core.records.seen import Seen


@dataclass(frozen=True)
class DataCard:
    """What a data set is, without its images.

    identity : SHA-256 over images and labels. mean, std : per channel, fractions of full scale.
    n_train, n_val, n_test : images a split. skipped : files that could not be read, with reasons.
    excerpt_of : identity of the data set of which these are only some images; "" if these are all.
    synthetic : the images were made from noise to calibrate as those of `excerpt_of` do.
    fit : how images became square.
    seen : test images that are among the others too; None where it was not looked at.
    task : what the labels are of.
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
    excerpt_of: str = ""
    synthetic: bool = False
    fit: Fit = "crop"
    seen: Seen | None = None
    task: str = "classification"


@dataclass(frozen=True)
class EngineOffer:
    """Whether an engine can be had on a target.

    installed : version that the target has of its own; empty for none. can_be_sent : version of
    which there are wheels for it. why_not : why there are none, and what helps.
    """

    installed: str = ""
    can_be_sent: str = ""
    why_not: str = ""


@dataclass(frozen=True)
class EngineTrial:
    """One network timed on one engine of a target, in one int8 scheme.

    why_not : why it is none to take, such as layers that it computes in float; "" for none.
    """

    engine: str
    scheme: str
    median_ms: float | None = None
    ci95_ms: tuple[float, float] | None = None
    why_not: str = ""


@dataclass(frozen=True)
class EngineDecision:
    """Which engine and int8 scheme a run takes where its user named none, and why.

    network : what was timed, in words. reason : a sentence with the times in ms.
    """

    engine: str
    scheme: str
    network: str
    trials: tuple[EngineTrial, ...]
    reason: str


@dataclass(frozen=True)
class DeviceProfile:
    """What `probe` saw on a target; None where the target does not tell.

    board : model of the board, as its device tree has it. libc : "glibc 2.36".
    sensors : in words, temperatures with their values. throttle_flags : in words, now and since
        boot; "none" where the target tells that nothing slowed it.
    engines : name -> version, of what can be used as the target is set up.
    offers : engine -> whether it is there, can be sent, or why not.
    engine_decision : of a run that took the fastest engine; None where the user names one.
    """

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
    engines: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()  # each with what mends it
    board: str | None = None
    libc: str | None = None
    sensors: tuple[str, ...] = ()
    offers: dict[str, EngineOffer] = field(default_factory=dict)
    engine_decision: EngineDecision | None = None

    def other_machine(self, seen: Mapping[str, Any]) -> str:
        """Return, in a sentence, how this machine differs from that in a job's record; "" if not.

        seen : what the runtime said of its machine; what it did not say tells nothing.
        """
        pairs = [(self.board, seen.get("model")), (self.machine, seen.get("machine"))]
        if not self.machine.startswith(("aarch64", "arm")):
            # ARM's cores have no name where a job looks for one: a probe knows it by their numbers
            pairs.append((self.cpu, seen.get("cpu")))
        for own, other in pairs:
            if own is not None and other is not None and own != other:
                return f"It was measured on {other}, but profile.json is of {own}."
        return ""


@dataclass(frozen=True)
class Latency:
    """Latency of one model: raw samples by pass, summarised.

    samples_ns : one tuple a pass that counts, each inference in nanoseconds, as the device's clock
        read it. What was rejected is in the job's journal.
    drift : per pass, the anchor's median over its median of all passes (1.0 without an anchor).
    median_ms, p90_ms : over the passes' samples divided by their drift, in milliseconds.
    ci95_ms : 95 % interval of the median, from the spread across passes; None after one pass, which
        tells of no spread.
    converged : the interval is as narrow as was asked for, and enough passes are good.
    rejected : number and reason of each pass that was rejected; a reason begins with its kind.
    stands_on_rejected : fewer than two passes were good, so that all of them count.
    """

    median_ms: float
    p90_ms: float
    ci95_ms: tuple[float, float] | None
    samples_ns: tuple[tuple[int, ...], ...]
    drift: tuple[float, ...]
    converged: bool
    rejected: tuple[tuple[int, str], ...] = ()
    stands_on_rejected: bool = False

    def __post_init__(self) -> None:
        if not self.samples_ns or len(self.samples_ns) != len(self.drift):
            raise ValueError("each pass, one at least, needs samples and a drift")
        times = self.samples_ns
        if not all(one and 0 < min(one) <= max(one) < 2**63 for one in times):
            raise ValueError("samples_ns has a pass without samples, or a time that is none")
        if not all(0 < drift < math.inf for drift in self.drift):
            raise ValueError("drift has a factor that is none")

    @property
    def span_ms(self) -> tuple[float, float]:
        """The interval of the median, to draw and compare: the median itself after one pass."""
        return self.ci95_ms or (self.median_ms, self.median_ms)


@dataclass(frozen=True)
class Energy:
    """Energy of one inference, above what the board takes when idle.

    energy_mj : millijoules; ci95_mj : its 95 % interval, from the spread of the power samples.
    active_mw, idle_mw : mean power with and without the model running.
    sensor : what was read, and what it covers. seconds, runs : how long the model ran, how often.
    """

    energy_mj: float
    ci95_mj: tuple[float, float]
    active_mw: float
    idle_mw: float
    sensor: str
    seconds: float
    runs: int


@dataclass(frozen=True)
class Outcome:
    """What a target answered for one model. A failure has a reason and no latency, never zero.

    provider : what really ran the model, as the engine reports it after loading.
    environment : machine state before and after (governor, frequency, temperature, throttling, …).
    energy : None where the target has no power sensor.
    peak_rss_bytes : of a fresh process that loaded and ran only this model.
    estimated : nothing was timed: its latency is that of a model of the target.
    """

    status: Literal["ok", "failed"]
    reason: str
    engine: str
    engine_version: str
    provider: str
    environment: dict[str, Any]
    latency: Latency | None = None
    peak_rss_bytes: int | None = None
    energy: Energy | None = None
    estimated: bool = False


@dataclass(frozen=True)
class Operator:
    """One operator of a model as an engine runs it.

    ms : milliseconds an inference, by the engine's own profiler. share : of all operators' time.
    provider : what ran it. takes, gives : element type of its first input and output.
    """

    name: str
    type: str
    ms: float
    share: float
    provider: str
    takes: str
    gives: str


@dataclass(frozen=True)
class OperatorProfile:
    """Where a model's time goes. The profiler itself takes time: `total_ms` is no latency.

    operators : in the order of running. findings : fallbacks and operators left in float.
    """

    model: str
    target: str
    engine: str
    engine_version: str
    runs: int
    total_ms: float
    operators: tuple[Operator, ...]
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """One architecture measured on one target.

    weights : "random" when only the latency of the model means something.
    anchor_ms : median latency of the run's anchor model in the same job; None if it failed. It
        tells how fast the target was just then.
    """

    architecture: Architecture
    target: str
    model_sha256: str
    model_bytes: int
    weights: Literal["trained", "random"]
    outcome: Outcome
    anchor_ms: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """Accuracy (fraction, 0 to 1) of one subnet with inherited weights on the validation split.

    fp32_accuracy : None where only int8, which is ranked, was run.
    int8_answers : of int8, image by image; None in evaluations of before these were kept.
    robust_accuracy : of int8, the mean over corrupted validation images; None where not asked for.
    """

    architecture: Architecture
    supernet_sha256: str
    fp32_accuracy: float | None
    int8_accuracy: float
    n_images: int
    int8_answers: Answers | None = None
    robust_accuracy: float | None = None

    def of(self, response: str) -> float | None:
        """Return the accuracy of that name; None where it was not looked at."""
        return self.robust_accuracy if response == ROBUST else self.int8_accuracy

    @property
    def answers(self) -> Answers:
        """Right answers as int8; only their number where no more is known."""
        return self.int8_answers or Answers.counted(self.int8_accuracy, self.n_images)
