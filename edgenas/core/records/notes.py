"""What happened along the way of a run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Notes:
    """What happened along the way: seconds and the newest warnings by step, and what was reused.

    plan : what was planned for the time that a run was given, and what it took, in sentences.
    candidates_s : seconds of that time that are kept for training candidates alone; None where
        none were planned.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    step_warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reused: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()
    candidates_s: float | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """All warnings, each once."""
        return tuple(dict.fromkeys(w for step in self.step_warnings.values() for w in step))
