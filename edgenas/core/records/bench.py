"""What benchmarking model files gives: a row for each file, target and engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgenas.core.records.intervals import Interval
from edgenas.core.records.measuring import Energy, OperatorProfile

ChangeVerdict = Literal["slower", "undecided", "kept", "not measured", "new"]


@dataclass(frozen=True)
class BenchRow:
    """One model file on one engine of one target. A failure has a reason and no latency.

    model : the file's name, or its path where two have one name. shapes : of inputs by name, that
    were asked for. machine : the processor's name.
    provider : what really ran the model. ci95_ms : 95 % interval of the median; None after one
    pass. converged : it is as narrow as was asked for. passes : that count; rejected_passes :
    others, because the machine was busy, slow or hot. stands_on_rejected : too few were good.
    profile : of its operators, where that was asked for; profile_missing says why there is none.
    """

    model: str
    sha256: str
    model_bytes: int
    target: str
    engine: str
    status: Literal["ok", "failed"]
    shapes: Mapping[str, tuple[int, ...]]
    reason: str = ""
    engine_version: str = ""
    provider: str = ""
    machine: str = ""
    threads: int | None = None
    median_ms: float | None = None
    p90_ms: float | None = None
    ci95_ms: tuple[float, float] | None = None
    converged: bool = False
    passes: int = 0
    rejected_passes: int = 0
    stands_on_rejected: bool = False
    peak_rss_bytes: int | None = None
    energy: Energy | None = None
    profile: OperatorProfile | None = None
    profile_missing: str = ""

    @property
    def latency_ms(self) -> Interval | None:
        """The median with its interval; None where there is no interval."""
        if self.median_ms is None or self.ci95_ms is None:
            return None
        return Interval(self.median_ms, *self.ci95_ms)


@dataclass(frozen=True)
class Bench:
    """What `edgenas bench` measured, and what its baseline files hold."""

    kind: Literal["edgenas-bench"]
    version: int
    measured_at: str
    rows: tuple[BenchRow, ...]


@dataclass(frozen=True)
class BenchChange:
    """A row against the baseline's row of the same model, target and engine.

    ratio : of the medians, now over then, with its 95 % interval; None where one of them has none.
    verdict : "slower" if the whole interval is beyond what is allowed; "undecided" if it reaches
    over it; "not measured" where a figure is missing now, "new" where it was missing then.
    """

    model: str
    target: str
    engine: str
    verdict: ChangeVerdict
    reason: str
    ratio: Interval | None = None
