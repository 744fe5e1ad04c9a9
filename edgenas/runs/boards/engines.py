"""Which of several engines of one machine to take: the winner timed on each, in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edgenas.core.records import Architecture, Latency, Outcome, VerifiedModel, to_json
from edgenas.runs.models.latency import latency_model
from edgenas.runs.run import RunContext
from edgenas.runs.sources import board_search
from edgenas.runs.steps import fit
from edgenas.targets.base import MeasureSettings


@dataclass(frozen=True)
class EngineChoice:
    """The engines of a machine, compared at the most accurate network that passed on any.

    target : the machine. network : None where no engine has a winner. latencies : by engine, of
        that network. failed : by engine, why it has no latency. passed : engines with a winner.
    """

    target: str
    network: Architecture | None = None
    latencies: dict[str, Latency] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    passed: tuple[str, ...] = ()

    @property
    def recommended(self) -> str | None:
        """The fastest engine that has a winner; None if none has."""
        able = [engine for engine in self.latencies if engine in self.passed]
        return min(able, key=lambda engine: self.latencies[engine].median_ms, default=None)

    @property
    def sentence(self) -> str:
        """The recommendation, with its reason in ms."""
        best = self.recommended
        if best is None:
            return f"No engine is recommended on {self.target}: no candidate passed on any."
        others = [one for one in self.latencies if one != best]
        parts = [self._against(engine, best) for engine in others]
        parts += [
            f"{engine} could not run the winner ({why})" for engine, why in self.failed.items()
        ]
        return f"{'; '.join(parts)}; recommended: {best}."

    def document(self) -> dict[str, Any]:
        """Return the JSON of it, latencies in ms."""
        return {
            "target": self.target,
            "architecture": to_json(self.network),
            "latency_ms": {
                engine: {"median": one.median_ms, "ci95": list(one.span_ms)}
                for engine, one in self.latencies.items()
            },
            "failed": self.failed,
            "recommended": self.recommended,
            "reason": self.sentence,
        }

    def _against(self, engine: str, best: str) -> str:
        slow, fast = self.latencies[engine], self.latencies[best]
        figures = f"{slow.median_ms:.3g} against {fast.median_ms:.3g} ms"
        unable = "" if engine in self.passed else f", and no candidate passed on {engine}"
        if slow.median_ms < fast.median_ms:
            return f"{engine} is faster at the winner, {figures}{unable}"
        if slow.span_ms[0] <= fast.span_ms[1]:
            return f"{engine} and {best} take as long at the winner, {figures}{unable}"
        times = slow.median_ms / fast.median_ms
        return f"{engine} is {times:.2g}x slower than {best} at the winner: {figures}{unable}"


def default_limit_ms(context: RunContext) -> float:
    """Return the limit that the run would choose by itself; fits its predictors."""
    fit.run(context)
    return board_search.default_limit_ms(context, context.predictors())


def choose(contexts: Sequence[RunContext]) -> EngineChoice:
    """Time the best winner on each engine of one machine, in turn, and compare.

    contexts : finished runs of one target, each with another engine.
    """
    winners = {context.target.engine: context.winner() for context in contexts}
    found = {engine: winner for engine, winner in winners.items() if winner is not None}
    target = contexts[0].config.target
    if not found:
        return EngineChoice(target)
    network = max(found.values(), key=_accuracy).model.candidate.architecture
    latencies, failed = {}, {}
    for context in contexts:
        outcome = _timed(context, network)
        if outcome.latency is None:
            failed[context.target.engine] = outcome.reason
        else:
            latencies[context.target.engine] = outcome.latency
    return EngineChoice(target, network, latencies, failed, tuple(found))


def _accuracy(winner: VerifiedModel) -> float:
    return winner.model.expected_accuracy


def _timed(context: RunContext, network: Architecture) -> Outcome:
    """Time the network, with random weights, beside the run's anchor."""
    anchor, model = (latency_model(context, one) for one in (context.anchor(), network))
    models = [anchor] if anchor.key == model.key else [anchor, model]
    settings = MeasureSettings(anchor=anchor.key, seed=context.config.seed)
    job_dir = context.job_dir("engines", models)
    return context.target.measure(models, settings, job_dir, context.progress)[model.key]
