"""What a member of each plug-in family defines: the functions and constants that edgenas reads.

A member is a module. `core/plugins.py` holds it against its family's class here when it is loaded;
what the arguments and results are is told by the family's own `base.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class TargetMember(Protocol):
    """A machine that measures; see `edgenas.targets.base`."""

    def create(self, config: Any, access: Any = None) -> Any: ...


class SpaceMember(Protocol):
    """Which networks can be chosen; see `edgenas.spaces.base`."""

    def create(self, num_classes: int, in_channels: int, image_size: int) -> Any: ...


class DataMember(Protocol):
    """Labelled images; see `edgenas.data.base`."""

    def load(self, argument: str, *, reading: Any, progress: Any) -> Any: ...


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
    "predictors": PredictorMember,
    "published predictors": PublishedPredictorMember,
    "optimizers": OptimizerMember,
    "exporters": ExporterMember,
    "challenges": ChallengeMember,
}
