"""A model file that somebody else made, verified on a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgenas.core.records.image_input import ImageInput
from edgenas.core.records.intervals import Interval
from edgenas.core.records.measuring import Outcome


@dataclass(frozen=True)
class FileReference:
    """The file that another one was made of, on the same images, run on this computer.

    accuracy, change : None without labels; the change is that of the accuracy on the target from
    the reference's, with its 95 % interval (Agresti & Min 2005). changed : fraction of the images
    that are put into another class.
    """

    model: str
    sha256: str
    accuracy: Interval | None
    change: Interval | None
    changed: float


@dataclass(frozen=True)
class VerifiedFile:
    """What a file came to on a target: accuracy on labelled images or arrays, parity, and latency.

    status : "pass" without reasons. reservations : what a pass stands under.
    input : how images become numbers; None where arrays were given.
    accuracy, host_accuracy : on the target and on this computer, with 95 % intervals; None where it
    did not run, or there are no labels. agreement, mean_steps, max_steps : of the target with this
    computer: fraction of the images of the same class, and differences of the scores in steps; a
    step is that of an int8 file's scores, or 1/255 of the scores' range of a float file.
    """

    kind: Literal["edgenas-verified-file"]
    model: str
    sha256: str
    target: str
    engine: str
    status: Literal["pass", "fail"]
    reasons: tuple[str, ...]
    reservations: tuple[str, ...]
    outcome: Outcome
    limit_ms: float | None
    n_images: int
    input: ImageInput | None
    host_engine: str
    host_accuracy: Interval | None = None
    accuracy: Interval | None = None
    agreement: float | None = None
    mean_steps: float | None = None
    max_steps: float | None = None
    reference: FileReference | None = None
