"""Challenges: one file each; a member checks, builds and scores a submission by rules kept as data.

A member defines `RULES`, and `lint`, `build`, `judging` and `score` as below. Rules and parameters
are in `rules/<name>.json`, each with its source. A figure that the organisers did not publish, or
that changes, is a parameter without a value: whoever scores gives it, and it is never guessed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from edgenas.core.errors import InputError, nearest
from edgenas.core.records import ImageInput, from_json
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.ranges import Ranges

Severity = Literal["error", "warning", "unchecked", "step"]
Parameters = Mapping[str, str]  # as given on the command line: NAME=VALUE

LARGEST_NUMBER = 1e12  # of any parameter: what is larger is no figure of a model
_FOLDER = Path(__file__).with_name("rules")


class DisqualifiedError(InputError):
    """The referee would disqualify the submission, for breaking the rule called `rule`."""

    def __init__(self, rule: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.rule = rule


@dataclass(frozen=True)
class Rule:
    """One rule: what it says in a sentence, where that is written, and its figures."""

    text: str
    source: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameter:
    """A figure that scoring needs. value : None where only who scores can know it."""

    text: str
    source: str
    value: float | None = None


@dataclass(frozen=True)
class Rules:
    """All that is known of a challenge. steps : what only the user can do, in order."""

    name: str
    title: str
    rules: dict[str, Rule]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    steps: tuple[str, ...] = ()

    def broken(self, rule: str, found: str, remedy: str, severity: Severity = "error") -> Finding:
        """Return the finding that `rule` is broken by what was `found`."""
        about = self.rules[rule]
        return Finding(rule, severity, f"{found} Rule: {about.text}", remedy, about.source)

    def value(self, rule: str, name: str) -> Any:
        return self.rules[rule].values[name]

    def number(self, name: str, given: Parameters) -> float:
        """Return the parameter `name`, as given or else as published.

        Raises
        ------
        InputError : it is neither given nor known, or it is no number.
        """
        about = self.parameters[name]
        if name in given:
            try:
                value = float(given[name])
            except ValueError:
                value = math.nan
            if not abs(value) <= LARGEST_NUMBER:
                raise InputError(
                    f"The parameter {name} of {self.name} is '{given[name]}', which is no number.",
                    f"It is: {about.text}",
                )
            return value
        if about.value is None:
            raise InputError(
                f"{self.name} cannot be scored without {name}: {about.text}",
                f"Give it: --set {name}=VALUE. Where to look: {about.source}",
            )
        return about.value

    def check_names(self, given: Parameters, also: tuple[str, ...] = ()) -> None:
        """Raise `InputError` for a parameter that this challenge does not have."""
        known = {*self.parameters, *also}
        for name in given:
            if name not in known:
                raise InputError(f"{self.name} has no parameter '{name}'.", nearest(name, known))

    @property
    def remaining(self) -> tuple[Finding, ...]:
        """The steps that only the user can do, as findings."""
        return tuple(Finding("steps", "step", step, "", "") for step in self.steps)


@dataclass(frozen=True)
class Finding:
    """One thing about a submission.

    severity : "error" it would be rejected; "warning" it may be, or loses points; "unchecked" what
        may be right and cannot be looked into here; "step" what remains for the user to do.
    rule : its name in the rules file. source : where the rule is written.
    """

    rule: str
    severity: Severity
    message: str
    remedy: str
    source: str


class Emit(Protocol):
    """Writes a graph as a file that holds what was lowered, or raises `ExportError`."""

    def __call__(
        self,
        exporter: str,
        graph: Graph,
        ranges: Ranges | None,
        scheme: str,
        *,
        made: ImageInput | None = None,
        class_names: Sequence[str] = (),
    ) -> bytes: ...


@dataclass(frozen=True, eq=False)
class Network:
    """A lowered network, how its images are made, and how it is written as a file."""

    graph: Graph
    ranges: Ranges
    input: ImageInput
    emit: Emit


@dataclass(frozen=True)
class Entry:
    """What a run has to submit.

    models : file contents by kind: "int8.onnx", "fp32.onnx", "int8.tflite", and "uint8.tflite",
        which takes pixels and has a background class before those of `class_names`.
    card : what the run knows of the network: accuracy, latency, scheme, target, hashes, seeds, and
        as "format" that of the file that was verified, "onnx" or "tflite".
    evidence : files (name -> content) that let others recompute the figures.
    command : what reproduces it.
    network : what the files were made of, to be written as the judge feeds it; None where only
        files are known.
    """

    name: str
    models: Mapping[str, bytes]
    class_names: tuple[str, ...]
    card: Mapping[str, Any]
    command: str
    evidence: Mapping[str, bytes] = field(default_factory=dict)
    network: Network | None = None

    def require_network(self, challenge: str) -> Network:
        """Return the network; `InputError` if it is not known."""
        if self.network is None:
            raise InputError(
                f"{challenge} needs the network of {self.name}, which it has not exported.",
                "Run: edgenas export",
            )
        return self.network

    def model(self, kind: str, challenge: str) -> bytes:
        """Return the file of `kind`; `InputError` if the run has none."""
        if kind not in self.models:
            raise InputError(
                f"{challenge} takes the {kind} model, which this run has not exported.",
                f"It has: {', '.join(sorted(self.models)) or 'none'}. Run: edgenas export",
            )
        return self.models[kind]


def status(findings: Iterable[Finding]) -> Literal["fail", "unchecked", "pass"]:
    """Return what the findings come to: "unchecked" where the worst is what could not be seen."""
    found = {finding.severity for finding in findings}
    return "fail" if "error" in found else "unchecked" if "unchecked" in found else "pass"


@dataclass(frozen=True)
class Facts:
    """What was measured of a submission, for challenges that are scored from figures.

    accuracy : fraction, 0 to 1, on `n_images`. latency_ms : median of one image, one thread.
    """

    accuracy: float
    latency_ms: float
    n_images: int


@dataclass(frozen=True)
class Judging:
    """How a judge uses a submission: which file of it, how an image is fed, what the scores mean.

    class_names : in the order in which the judge counts them; the first is number `first_class`.
    """

    model: Path
    input: ImageInput
    class_names: tuple[str, ...]
    first_class: int = 0


@dataclass(frozen=True)
class Score:
    """A score by the challenge's own formula, which `formula` states, and all that went into it."""

    value: float
    formula: str
    details: dict[str, float]
    notes: tuple[str, ...] = ()


class Challenge(Protocol):
    RULES: Rules

    def lint(self, path: Path) -> tuple[Finding, ...]:
        """Check a submission, made here or elsewhere; broken files are findings, not exceptions.

        Raises
        ------
        InputError : there is no such file.
        ExportError : a package that reads such files is not installed.
        """
        ...

    def build(self, entry: Entry, out: Path) -> Path:
        """Write the submission into the folder `out` and return the file or folder to hand in.

        Raises
        ------
        InputError : the entry is not one for this challenge; the message says why.
        """
        ...

    def judging(self, path: Path, entry: Entry) -> Judging | None:
        """Return how the judge feeds and scores what `build` made; None where it is run instead.

        Raises
        ------
        InputError : the package does not say it.
        """
        ...

    def score(self, path: Path, facts: Facts | None, given: Parameters) -> Score:
        """Judge a submission as the organisers would, from `facts` or by running it.

        Raises
        ------
        InputError : a parameter is missing or unknown, or the challenge cannot be scored locally.
        DisqualifiedError : the referee would not score it either.
        """
        ...


def load_rules(name: str) -> Rules:
    """Return the rules in `rules/<name>.json`, every field checked."""
    path = _FOLDER / f"{name}.json"
    return from_json(json.loads(path.read_text("utf-8")), Rules, f"the rules file {path.name}")


def require_file(path: Path) -> Path:
    """Return `path` if it is a file; `InputError` if not."""
    if not path.is_file():
        found = f"{path} is a folder" if path.is_dir() else f"There is no file {path} to check"
        raise InputError(f"{found}.", "Give the file that would be submitted.")
    return path


def require_facts(rules: Rules, facts: Facts | None) -> Facts:
    """Return `facts` if they are there and possible; `InputError` if not."""
    if facts is None:
        raise InputError(
            f"{rules.name} is scored from accuracy and latency, and neither is given.",
            "Score a run, or give --set accuracy=FRACTION and --set latency_ms=MS.",
        )
    if not (0 <= facts.accuracy <= 1 and 1e-9 <= facts.latency_ms <= LARGEST_NUMBER):
        raise InputError(
            f"An accuracy of {facts.accuracy:g} and {facts.latency_ms:g} ms cannot be scored.",
            "Accuracy is a fraction from 0 to 1, latency is above 0 ms.",
        )
    return facts
