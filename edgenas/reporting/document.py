"""What a report shows: frozen records that the report step fills; nothing here reads a file.

Accuracies are fractions 0 to 1, latencies milliseconds, memory bytes. None means that the figure
was not measured, and the page says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edgenas.core import plugins
from edgenas.core.metrics import ResponseKind, of_task
from edgenas.core.records import (
    AlikeNetworks,
    Answers,
    Architecture,
    Baseline,
    Candidate,
    Confusion,
    DataCard,
    DeviceProfile,
    Evaluation,
    ImageInput,
    Int8Layers,
    Interval,
    Measurement,
    ParityRecord,
    SearchResult,
)
from edgenas.core.records.fitted import Coefficient, HeldOut
from edgenas.core.records.goals import SCORE
from edgenas.core.records.roofline import Roofline


@dataclass(frozen=True)
class MeasuredLatency:
    """Median, 90th percentile and 95 % interval of the median (None: one pass), milliseconds."""

    median: float
    p90: float
    ci95: tuple[float, float] | None


@dataclass(frozen=True)
class VerifiedCandidate:
    """One exported candidate: what was promised and what its file did on the target.

    fp32_accuracy, int8_accuracy : on the host. device_accuracy : of the file, on the target.
    agreement : fraction of images on which target and host chose the same class.
    n_images : held-out images behind the accuracies. synthetic : these were made from noise and
        have no labels, so that accuracy is only predicted.
    measured : every response that is known of it, by name, in its unit.
    fp32_latency_ms : median of its float file, timed beside the int8 one.
    device_answers : right answers on the target, test image by test image; None where unknown.
    confusion : what the target answered on images of each class; None as for these.
    val_answers : right answers on the validation images, which choose between networks; None where
        there were none.
    estimated : nothing was timed: what is called measured follows from a model of the target.
    parity : reference, host and target against each other.
    input : how its input is made of an image file; None in runs of before this was kept.
    model : path of the file to deploy. reasons : why it did not pass; empty if it passed.
    """

    predicted: Candidate
    passed: bool
    reasons: tuple[str, ...] = ()
    measured_latency_ms: MeasuredLatency | None = None
    fp32_accuracy: float | None = None
    int8_accuracy: float | None = None
    device_accuracy: float | None = None
    val_answers: Answers | None = None
    device_answers: Answers | None = None
    confusion: Confusion | None = None
    agreement: float | None = None
    n_images: int | None = None
    peak_rss_bytes: int | None = None
    model: str | None = None
    model_bytes: int | None = None
    sha256: str | None = None
    weights: Literal["trained", "random"] = "trained"
    measured: dict[str, float] = field(default_factory=dict, hash=False)
    parity: ParityRecord | None = None
    fp32_latency_ms: float | None = None
    synthetic: bool = False
    input: ImageInput | None = None
    estimated: bool = False


@dataclass(frozen=True)
class MarginalEffect:
    """What one change does to a response, with its confidence interval, in `unit`.

    change : "one more block in stage 3". unit : "ms", or "fraction" (shown as points).
    """

    change: str
    effect: float
    lower: float
    upper: float
    unit: str


@dataclass(frozen=True)
class ShapeCurve:
    """What a number does to a response, against its lowest value, with its confidence band.

    column : what it is a number of. x : its values, rising; effect, lower, upper : at each of
    them. deciles : tenths of the rows that were fitted; empty where they are not known.
    """

    column: str
    x: tuple[float, ...]
    effect: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    deciles: tuple[float, ...] = ()


@dataclass(frozen=True)
class Interaction:
    """What two columns do to a response beyond what each does alone, with confidence bounds.

    values : of the first and the second column. effect, lower, upper : [first][second].
    """

    columns: tuple[str, str]
    values: tuple[tuple[float | str, ...], ...]
    effect: tuple[tuple[float, ...], ...]
    lower: tuple[tuple[float, ...], ...]
    upper: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Shapes:
    """The curves of numbers and the interactions of a predictor, in the unit `effects_in`."""

    effects_in: str
    curves: tuple[ShapeCurve, ...] = ()
    together: tuple[Interaction, ...] = ()


@dataclass(frozen=True)
class FittedRow:
    """Prediction for one architecture beside what was observed, in the response's unit.

    architecture : of a space, or in words. observed : None where only the prediction is known.
    ci95 : of the observed value.
    held_out : the prediction comes from a fit without this row.
    """

    architecture: Architecture | str
    predicted: Interval
    observed: float | None = None
    ci95: tuple[float, float] | None = None
    held_out: bool = False


@dataclass(frozen=True)
class PredictorReport:
    """One fitted response.

    response : "latency_ms", "accuracy", … label : its name in a sentence ("latency").
    unit : "ms", "bytes", …, or "fraction", which is shown in percent and percentage points.
    breakdown : what each part of the winner adds; the effects sum to its predicted mean.
    confidence : of the intervals in `coefficients`, `effects` and `rows`.
    notes : what the reader must know (terms were selected, extrapolation, residuals).
    shapes : what its numbers do; None where that is not known.
    """

    response: str
    label: str
    unit: str
    n: int
    confidence: float
    heldout: HeldOut | None = None
    coefficients: tuple[Coefficient, ...] = ()
    effects: tuple[MarginalEffect, ...] = ()
    rows: tuple[FittedRow, ...] = ()
    breakdown: tuple[MarginalEffect, ...] = ()
    notes: tuple[str, ...] = ()
    shapes: Shapes | None = None


@dataclass(frozen=True)
class EnvironmentReport:
    """The machine and how it behaved while it measured.

    drift : least and greatest anchor drift (1.0 = the anchor's usual time).
    temperature_celsius : least and greatest that was seen.
    throttling : what was seen, in words ("none seen"); None if the target cannot tell.
    """

    profile: DeviceProfile
    engine: str
    engine_version: str
    provider: str
    scheme: str
    threads: int | None = None
    governor: str | None = None
    throttling: str | None = None
    drift: tuple[float, float] | None = None
    temperature_celsius: tuple[float, float] | None = None


@dataclass(frozen=True)
class PassCondition:
    """How the target was at the end of a pass. job, number : which, from 0 and from 1.

    temperature_celsius : of the hottest zone. clock_mhz : mean of the cores. None: not told.
    """

    job: int
    number: int
    temperature_celsius: float | None
    clock_mhz: float | None


@dataclass(frozen=True)
class BudgetChoice:
    """Which network of the frontier `edgenas pick` gives from a limit on.

    from_limit : the least limit; it holds up to that of the next choice. predicted : by response,
    in its unit. measured : of the limited response; passed : in the run's verification. reasons :
    from which limit on, and why it is the one, in a sentence. changes : against the present winner,
    in words.
    """

    from_limit: float
    network: str
    predicted: dict[str, Interval] = field(hash=False)
    measured: float | None = None
    passed: bool = False
    reasons: tuple[tuple[float, str], ...] = ()
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Budgets:
    """What `edgenas pick` gives for every limit on one response of a run.

    run : its folder. response : the limited one; kinds has it and every predicted response.
    winner : what the others are compared with; "" without one. limit : the run's own, in the
    response's unit; None where it had none. choices : by rising limit, one at least. how : where
    values that are not predicted come from ("measured", "looked up").
    """

    run: str
    response: str
    kinds: dict[str, ResponseKind] = field(hash=False)
    winner: str
    limit: float | None
    choices: tuple[BudgetChoice, ...]
    how: str = "measured"

    @property
    def kind(self) -> ResponseKind:
        """The limited response."""
        return self.kinds[self.response]


@dataclass(frozen=True)
class DrawnBlock:
    """One block of a network, or its stem or head, and what it takes.

    widths : channels of its tensors, in their order. kernel_size : the largest of its layers.
    noise : fraction of the noise that int8 brings to the logits; None where it is not known.
    ms : what its stage adds to the predicted latency, shared by MACs; None where it is not known.
    """

    label: str
    stage: int
    widths: tuple[int, ...]
    kernel_size: int
    size: int
    macs: int
    model_bytes: int
    noise: float | None = None
    ms: float | None = None


@dataclass(frozen=True)
class DrawnNetwork:
    """A network as blocks. role : "winner", "largest", "smallest", or "" for one of a budget."""

    network: str
    role: str
    blocks: tuple[DrawnBlock, ...]


@dataclass(frozen=True)
class ReportData:
    """Everything that the page and the summary show.

    status, reasons : the verdict of the run, and why it failed. reservations, outdated,
        next_command : of that verdict, see `records.RunVerdict`.
    limit_ms : on latency; None where there was no limit.
    winner : the network to deploy, or the best that failed; None if none was verified.
    baseline, networks : what the accuracies are held against, see `records.Verification`.
    budgets : what `edgenas pick` gives for every latency limit; None without a frontier. drawn :
        networks of these, the winner first.
    choice : why it is the winner, in a sentence; "" without one. decided_by : the response that set
        it apart, see `records.choice`.
    infeasible : the network of least predicted latency, when no network meets the limit.
    warm_start : what an earlier run gave, in sentences.
    int8_layers : what int8 costs each layer of `winner`. roofline : how far they are from what the
        target can do; None where that was not measured.
    pathologies : choices that the engine is far slower at than their arithmetic, in sentences.
    fallbacks : what did not run as asked (another provider, a float island, a slower engine).
    conditions : how the target was in the passes of `measurements`; empty where it is not kept.
    rounds : searches until the promise was measured to hold.
    seconds : by step. files : label -> path. command : reproduces the run.
    """

    run: str
    target: str
    status: Literal["pass", "looked up", "fail", "not verified"]
    limit_ms: float | None
    confidence: float
    command: str
    seed: int
    environment: EnvironmentReport
    data: DataCard
    reasons: tuple[str, ...] = ()
    winner: VerifiedCandidate | None = None
    candidates: tuple[VerifiedCandidate, ...] = ()
    infeasible: Candidate | None = None
    search: SearchResult | None = None
    rounds: int = 1
    measurements: tuple[Measurement, ...] = ()
    conditions: tuple[PassCondition, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    predictors: tuple[PredictorReport, ...] = ()
    configuration: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()
    warm_start: tuple[str, ...] = ()
    pathologies: tuple[str, ...] = ()
    int8_layers: Int8Layers | None = None
    roofline: Roofline | None = None
    reservations: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    next_command: str = ""
    baseline: Baseline | None = None
    networks: AlikeNetworks | None = None
    choice: str = ""
    decided_by: str = ""
    budgets: Budgets | None = None
    drawn: tuple[DrawnNetwork, ...] = ()

    @property
    def score(self) -> str:
        """What the task of the images calls its score, such as "accuracy"."""
        return self.known[SCORE].label

    @property
    def known(self) -> Mapping[str, ResponseKind]:
        """The responses, the score among them as the task of the images calls it."""
        return of_task(plugins.load_task(self.data.task).METRIC)

    @property
    def limited(self) -> bool:
        """Whether the run has a latency limit: that of a search for a whole front is no limit."""
        return self.limit_ms is not None and (
            self.search is None or self.search.limit_ms is not None
        )

    def predictor(self, response: str) -> PredictorReport | None:
        """Return the predictor of `response`, None if there is none."""
        return next((p for p in self.predictors if p.response == response), None)
