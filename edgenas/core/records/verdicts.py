"""What a verification was made of, and what a run's verdict is now: of boards and of tables."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

from edgenas.core.records.codec import canonical

Status = Literal["pass", "looked up", "fail", "not verified"]


@dataclass(frozen=True)
class VerifiedFrom:
    """What was verified, by content: a verification says nothing of what differs from it.

    search : `search_sha256` of search.json.
    limits : as they were asked for, by response: at most and at least, in its unit.
    files : name in the run folder -> SHA-256, of models, supernet, predictors, and the cards of
        models, images and table.
    options : of run.json that finished work depends on: each as JSON; empty in older runs.
    seal : `seal` of verification.json itself; "" in older runs.
    """

    search: str
    limits: dict[str, tuple[float | None, float | None]] = field(default_factory=dict, hash=False)
    files: dict[str, str] = field(default_factory=dict, hash=False)
    options: dict[str, str] = field(default_factory=dict, hash=False)
    seal: str = ""


def search_sha256(document: Any) -> str:
    """Return the SHA-256 of search.json's document, but for the seconds that the search took."""
    timeless = {**document, "seconds": 0.0} if isinstance(document, dict) else document
    return hashlib.sha256(canonical(timeless).encode()).hexdigest()


def seal(document: Any) -> str:
    """Return the SHA-256 of verification.json's document, but for the seal in it."""
    if isinstance(document, dict) and isinstance(document.get("verified_from"), dict):
        document = {**document, "verified_from": {**document["verified_from"], "seal": ""}}
    return hashlib.sha256(canonical(document).encode()).hexdigest()


@dataclass(frozen=True)
class RunVerdict:
    """A run's verdict: status, reservations and the next command.

    status : "looked up" is what a measured table has in place of "pass". "not verified" where
        nothing was verified, or something changed since.
    reservations : what a pass stands under, in sentences.
    outdated : what is newer than the verification, in sentences; empty where there is none.
    next_command : what to do next; "" where nothing is left to do.
    """

    status: Status
    reservations: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    next_command: str = ""

    @property
    def passed(self) -> bool:
        """Whether there is a network within the limits, as verified."""
        return self.status in ("pass", "looked up")
