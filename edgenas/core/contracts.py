"""What a member of each plug-in family defines: the functions and constants that edgenas reads.

A member is a module. `core/plugins.py` holds it against its family's class here when it is loaded;
what the arguments and results are is told by the family's own `base.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from edgenas.core.metrics import ResponseKind


class TargetMember(Protocol):
    """A machine that measures; see `edgenas.targets.base`."""

    def create(self, config: Any, access: Any = None) -> Any: ...


class SpaceMember(Protocol):
    """Which networks can be chosen; see `edgenas.spaces.base`."""

    def create(self, num_classes: int, in_channels: int, image_size: int) -> Any: ...


class DataMember(Protocol):
    """Labelled images; see `edgenas.data.base`."""

    def load(self, argument: str, *, reading: Any, progress: Any) -> Any: ...


class TaskMember(Protocol):
    """What a label is, how it is learnt, and what counts as right; see `edgenas.tasks`.

    Labels are int64, [n] or [n, …], one entry an image: `of_images`. Outputs are what the last
    layer gives, float32 [n, outputs(class_names)]: `logits`.

    METRIC : the score, its label, unit and direction: the fraction of images whose answer is right.
    SEVERAL_CLASSES : whether an image may be of more than one class.
    """

    METRIC: ResponseKind
    SEVERAL_CLASSES: bool

    def outputs(self, class_names: Sequence[str]) -> int:
        """Return how many outputs the last layer has."""
        ...

    def labels(self, of_images: Sequence[Sequence[str]], class_names: Sequence[str]) -> np.ndarray:
        """Return the labels of images, each of which has the named classes."""
        ...

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss, a scalar. targets : labels, or dense or soft ones."""
        ...

    def soft_targets(self, logits: Tensor) -> Tensor:
        """Return what a network with these outputs teaches others, float [n, outputs]."""
        ...

    def dense_targets(self, of_images: Tensor, number: int, smoothing: float) -> Tensor:
        """Return targets that can be blended, float [n, number], `smoothing` of them undecided."""
        ...

    def decode(self, logits: np.ndarray) -> np.ndarray:
        """Return the answers, which have the form of labels."""
        ...

    def right(self, answers: np.ndarray, of_images: np.ndarray) -> np.ndarray:
        """Return which answers are right, bool [n]."""
        ...

    def classes(self, of_images: np.ndarray) -> np.ndarray | None:
        """Return the one class of each image, int64 [n]; None where they may have several.

        Splits keep some images of each, small ones can be drawn more often, and a confusion matrix
        tells which are taken for each other.
        """
        ...


class PredictorMember(Protocol):
    """From terms of networks to a metric, with intervals; see `edgenas.predictors.base`."""

    def fit(self, data: Any, seed: int) -> Any: ...

    def load(self, document: Mapping[str, Any]) -> Any: ...


class PublishedPredictorMember(Protocol):
    """Predictors that somebody published; see `edgenas.predictors.published`."""

    def published(self) -> Any: ...


class OptimizerMember(Protocol):
    """The best networks within limits; see `edgenas.optimize.optimizers.base`."""

    BUDGET: int

    def optimize(
        self,
        problem: Any,
        *,
        seed: int,
        budget: int,
        archive: Any = None,
        start: Any = None,
        progress: Any = None,
    ) -> Any: ...


class ExporterMember(Protocol):
    """One model format; see `edgenas.int8.exporters.base`."""

    FILE_SUFFIX: str
    LAYOUT: str

    def emit(
        self,
        graph: Any,
        ranges: Any,
        *,
        scheme: str = ...,
        batch: int | None = 1,
        made: Any = None,
        class_names: Sequence[str] = (),
    ) -> bytes: ...

    def read(self, content: bytes) -> Any: ...


class ChallengeMember(Protocol):
    """Submissions by the rules of a challenge; see `edgenas.challenges.base`."""

    RULES: Any

    def lint(self, path: Path) -> Any: ...

    def build(self, entry: Any, out: Path) -> Path: ...

    def judging(self, path: Path, entry: Any) -> Any: ...

    def score(self, path: Path, facts: Any, given: Mapping[str, str]) -> Any: ...


CONTRACTS: dict[str, type] = {
    "targets": TargetMember,
    "spaces": SpaceMember,
    "data": DataMember,
    "tasks": TaskMember,
    "predictors": PredictorMember,
    "published predictors": PublishedPredictorMember,
    "optimizers": OptimizerMember,
    "exporters": ExporterMember,
    "challenges": ChallengeMember,
}
