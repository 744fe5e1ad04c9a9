"""What candidates did where they were held against their promise, and the verdict on them."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal

from edgenas.core.records import earlier
from edgenas.core.records.answers import Answers
from edgenas.core.records.baseline import AlikeNetworks, Baseline
from edgenas.core.records.choice import Choice, choose
from edgenas.core.records.confusion import Confusion
from edgenas.core.records.export import ExportedModel
from edgenas.core.records.goals import SCORE
from edgenas.core.records.intervals import Interval
from edgenas.core.records.measuring import EngineTrial, Outcome
from edgenas.core.records.networks import TableRow
from edgenas.core.records.search import Candidate, PredictedBy
from edgenas.core.records.seen import Seen
from edgenas.core.records.tables import LookedUp
from edgenas.core.records.verdicts import VerifiedFrom


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


class Verified(ABC):
    """A candidate held against what was promised: on a board, or by a table.

    reasons : why it did not pass; empty if it passed.
    measured : every metric that is known of it, by name, in its unit.
    from_earlier_round : it passed in a round before the last, and stays a candidate.
    """

    passed: bool
    reasons: tuple[str, ...]
    measured: dict[str, float]
    from_earlier_round: bool

    if TYPE_CHECKING:

        @property
        def candidate(self) -> Candidate[Any]:
            """The candidate, as predicted."""

    @property
    def answers(self) -> Answers | None:
        """Right answers on the images that choose between networks; None where none are known."""
        return None

    def known(self, metric: str) -> float | None:
        """Return what decides between networks of a metric; accuracy is that of `answers`."""
        return self.measured.get(metric)

    def span(self, metric: str) -> tuple[float, float] | None:
        """Return the 95 % interval of what was measured; None where it has none."""
        return None

    @property
    def flaws(self) -> int:
        """How badly the latency was measured: 0 well, 1 too widely, 2 in rejected passes."""
        return 0

    @staticmethod
    def kind_of(document: dict[str, Any]) -> type[Verified]:
        """Return what a document's keys tell that it is."""
        return VerifiedModel if "model" in document else VerifiedRow


@dataclass(frozen=True)
class VerifiedRow(Verified):
    """A candidate looked up in its table."""

    candidate: Candidate[TableRow]
    passed: bool
    reasons: tuple[str, ...]
    measured: dict[str, float] = field(hash=False)
    from_earlier_round: bool = False


@dataclass(frozen=True)
class VerifiedModel(Verified):
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
    device_answers : right answers on the target, test image by test image; None where unknown.
    confusion : what the target answered on test images of each class; None as for these.
    other_engines : its network timed there, where its int8 file is not faster than its float one.
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
    device_answers: Answers | None = None
    other_engines: tuple[EngineTrial, ...] = ()
    confusion: Confusion | None = None

    @property
    def candidate(self) -> Candidate:
        return self.model.candidate

    @property
    def answers(self) -> Answers | None:
        return self.model.answers

    def known(self, metric: str) -> float | None:
        if metric == SCORE:
            return self.model.expected_accuracy
        if metric == "latency_ms":
            return None if self.outcome.latency is None else self.outcome.latency.median_ms
        return self.measured.get(metric)

    def span(self, metric: str) -> tuple[float, float] | None:
        latency, energy = self.outcome.latency, self.outcome.energy
        if metric == "latency_ms" and latency is not None:
            return latency.span_ms
        return energy.ci95_mj if metric == "energy_mj" and energy is not None else None

    @property
    def flaws(self) -> int:
        latency = self.outcome.latency
        if latency is None or latency.stands_on_rejected:
            return 2
        return 0 if latency.converged and latency.ci95_ms is not None else 1


if TYPE_CHECKING:
    from typing_extensions import TypeVar

    AnyVerified = TypeVar("AnyVerified", bound=Verified, default=VerifiedModel)
else:
    from typing import TypeVar

    AnyVerified = TypeVar("AnyVerified", bound=Verified)


@dataclass(frozen=True)
class TableTruth:
    """What only a table can tell of a search.

    provider : "replayed from FILE". best : the best network within the limits that the table has;
    None if there is none. regret : of the first objective, what the winner lacks of it; None
    without a winner. true_front : of the metrics traded, by the table, whatever the limits.
    """

    provider: str
    best: LookedUp | None
    regret: float | None
    true_front: tuple[LookedUp, ...]


@dataclass(frozen=True)
class Verification(Generic[AnyVerified]):
    """The verdict on a run's candidates, best first among those that passed.

    limit_ms : on latency; None where there was no limit.
    rounds : searches until it was reached; each refits with the measured candidates of the last.
    verified_from : what it was made of; None of verifications that kept no hashes.
    baseline : a plain method on the same test images; None where these have no labels.
    seen : test images that are among the training or validation images too.
    networks : how far the validation images tell the evaluated networks apart.
    table : what only a table can tell; None of a board.
    objective, goal : the response that decides between those that passed, and which way.
    """

    target: str
    limit_ms: float | None
    confidence: float
    rounds: int
    models: tuple[AnyVerified, ...]
    objective: str = SCORE
    goal: Literal["max", "min"] = "max"
    verified_from: VerifiedFrom | None = None
    baseline: Baseline | None = None
    networks: AlikeNetworks | None = None
    seen: Seen | None = None
    table: TableTruth | None = None

    @classmethod
    def upgraded(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document of now for one of before: see `earlier.verification`."""
        return earlier.verification(document)

    @property
    def choice(self) -> Choice[AnyVerified] | None:
        """The passing model to deploy and why it is that one: see `choice.choose`."""
        floor = None if self.baseline is None else self.baseline.val_answers
        return choose(self.models, self.objective, self.goal, floor, self.confidence)

    @property
    def winner(self) -> AnyVerified | None:
        """The passing model to deploy: the best in the objective, as far as noise lets it tell."""
        choice = self.choice
        return None if choice is None else choice.winner
