"""Parity: how far an engine's logits are from the host's, in steps of the output's scale.

What is tolerated of each engine is data, in its file of facts (`int8/engines/NAME.json`), with its
reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from edgenas.core import plugins
from edgenas.core.errors import ExportError, nearest
from edgenas.core.records.intervals import wilson
from edgenas.int8.engines.facts import engine_names, find_engine

MOST_ACCURACY_LOSS = 0.01  # of the target over the host


@dataclass(frozen=True)
class Tolerance:
    """The least agreement of the answers, and the greatest differences in steps of a scale.

    mean_steps : of the logits, in the mean. layer_steps : of any channel of a layer, in the mean
        over images, from the int8 reference. host_steps : of any class, or channel of a layer, in
        the mean over images, from the host's engine, whose arithmetic is nearest to it.
    """

    agreement: float
    mean_steps: float
    host_steps: float
    layer_steps: float
    reason: str


@dataclass(frozen=True)
class Accuracy:
    """A fraction of right answers, with its 95 % interval (Wilson 1927)."""

    fraction: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Parity:
    """Two engines on the same images.

    agreement : fraction of the images of the same answer. max_steps, mean_steps : differences of
        the logits, in steps of the output's scale. class_steps : of the class that differs most,
        in the mean. host, device : None of images without labels. problems : what is not
        tolerated, in sentences.
    """

    agreement: float
    max_steps: float
    mean_steps: float
    class_steps: float
    host: Accuracy | None
    device: Accuracy | None
    n_images: int
    tolerance: Tolerance

    @property
    def problems(self) -> tuple[str, ...]:
        return (*disagreement(self, "host"), *distance(self, "host"), *class_distance(self))


def compare(  # noqa: PLR0917 - two engines, on what, in which unit, by whose tolerance
    host: np.ndarray,
    device: np.ndarray,
    labels: np.ndarray | None,
    scale: float,
    engine: str,
    task: str = "classification",
) -> Parity:
    """Return how the `device` logits of `engine` compare with those of the `host`.

    host, device : float [n, classes]. labels : of `task`, integer [n, …]; None for none.
    scale : of the int8 output, so that a step is the least difference there can be.

    Raises
    ------
    ExportError : the arrays do not fit together, or nothing is known of the engine.
    """
    tolerance = find_tolerance(engine)
    seen = host.shape[:1] if labels is None else labels.shape[:1]
    if host.shape != device.shape or seen != host.shape[:1] or not len(host):
        raise ExportError(
            f"The host's logits {host.shape}, the target's {device.shape} and the labels "
            f"{seen} do not belong together."
        )
    if not (np.isfinite(device).all() and scale > 0):
        raise ExportError("The target's logits are not finite, or the output has no scale.")
    steps = np.abs(device.astype(np.float64) - host) / scale
    member = plugins.load_task(task)
    on_host, on_device = member.decode(host), member.decode(device)

    def accuracy(answers: np.ndarray) -> Accuracy | None:
        return None if labels is None else _accuracy(member.right(answers, labels))

    return Parity(
        float(member.right(on_device, on_host).mean()),
        float(steps.max()),
        float(steps.mean()),
        float(steps.mean(0).max()),
        accuracy(on_host),
        accuracy(on_device),
        len(host),
        tolerance,
    )


def float_step(scores: np.ndarray) -> float:
    """Return the step in which scores of a float file are compared: 1/255 of their range."""
    return float(max(scores.max() - scores.min(), np.finfo(np.float32).tiny)) / 255


def find_tolerance(engine: str) -> Tolerance:
    """Return what is tolerated of `engine`; `ExportError` if nothing is known of it."""
    known = _tolerances()
    if engine not in known:
        raise ExportError(
            f"No tolerance is known for the engine '{engine}'.", nearest(engine, known)
        )
    return known[engine]


def _accuracy(answers: np.ndarray) -> Accuracy:
    right, count = int(answers.sum()), len(answers)
    return Accuracy(right / count, *wilson(right, count))


def disagreement(found: Parity, base: str) -> list[str]:
    """Return what is wrong with the answers, over those of `base`; nothing if all is right."""
    least = found.tolerance.agreement
    if found.agreement >= least:
        return []
    return [
        f"The target chose the {base}'s class on {found.agreement:.1%} of the images, "
        f"less than {least:.0%}."
    ]


def distance(found: Parity, base: str) -> list[str]:
    """Return what is wrong with the logits, over those of `base`; nothing if all is right."""
    return _beyond(
        f"Its logits differ from the {base}'s", found.mean_steps, found.tolerance.mean_steps
    )


def class_distance(found: Parity) -> list[str]:
    """Return what is wrong with the scores of the worst class over the host's, if anything."""
    what = "Its scores of one class differ from the host's"
    return _beyond(what, found.class_steps, found.tolerance.host_steps)


def _beyond(what: str, steps: float, most: float) -> list[str]:
    return (
        [] if steps <= most else [f"{what} by {steps:.2g} steps in the mean, more than {most:g}."]
    )


@cache
def _tolerances() -> dict[str, Tolerance]:
    facts = {name: find_engine(name).parity for name in engine_names()}
    return {name: Tolerance(**values) for name, values in facts.items() if values is not None}
