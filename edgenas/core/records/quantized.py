"""What quantizing a model that somebody else made gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgenas.core.records.image_input import ImageInput
from edgenas.core.records.int8_layers import Int8Layer
from edgenas.core.records.intervals import Interval


@dataclass(frozen=True)
class FloatLayer:
    """A layer that an int8 file computes in float. share : of the multiply-accumulates.

    logits_snr_db : of the scores where it alone is in int8; None where that loses nothing.
    """

    name: str
    kind: str
    share: float
    logits_snr_db: float | None


@dataclass(frozen=True)
class DropLimit:
    """Whether an int8 file loses no more accuracy than is allowed; all are fractions.

    most : that is allowed. n_deciding : images that said how many layers stay in float; int8, mixed
    : what was lost on them with all layers in int8, and with those in float.
    lost : on the test images, which decided nothing, with its 95 % interval.
    """

    most: float
    n_deciding: int
    int8: float
    mixed: float
    lost: Interval

    @property
    def held(self) -> bool:
        return self.lost.mean <= self.most


@dataclass(frozen=True)
class FloatCost:
    """Latencies of three files, measured in one job, with their 95 % intervals, in milliseconds.

    mixed : with the layers in float; int8 : without; float : of the whole model. None where one was
    not measured, which `reason` says.
    """

    target: str
    engine: str
    mixed: Interval | None
    int8: Interval | None
    float: Interval | None
    reason: str = ""


@dataclass(frozen=True)
class QuantizedFile:
    """An int8 file, as an engine of this computer ran it.

    form : what was done to the network before rounding. logits_snr_db : of the int8 reference, on
    calibration images; None where nothing is lost.
    agreement, mean_steps, max_steps : with the int8 reference: fraction of images of the same
    class, and differences of the logits in steps of their scale. problems : what is not tolerated
    of the engine, in sentences.
    accuracy : with its 95 % interval; change : of the accuracy, from the float file's, of the same
    images, with its 95 % interval (Agresti & Min 2005); None without labels.
    changed : fraction of images that it puts into another class than the float file; None of a
    network that gives images.
    float_layers : that it keeps in float, the noisiest first. drop, cost : where a greatest drop
    was asked for; cost is None of a file that keeps none.
    layers : what int8 costs each layer alone, where that was asked for.
    """

    path: str
    format: str
    scheme: str
    sha256: str
    model_bytes: int
    engine: str
    agreement: float
    mean_steps: float
    max_steps: float
    problems: tuple[str, ...]
    form: str
    logits_snr_db: float | None
    changed: float | None
    accuracy: Interval | None = None
    change: Interval | None = None
    float_layers: tuple[FloatLayer, ...] = ()
    drop: DropLimit | None = None
    cost: FloatCost | None = None
    layers: tuple[Int8Layer, ...] = ()


@dataclass(frozen=True)
class Quantized:
    """A float model and its int8 files.

    macs : multiply-accumulates of an image. input : how images become numbers; None where arrays
    were given. n_test : images that the files were compared on; calibration had others.
    float_accuracy : of the float file on these.
    """

    kind: Literal["edgenas-quantized"]
    model: str
    sha256: str
    macs: int
    params: int
    n_calibration: int
    n_test: int
    input: ImageInput | None
    class_names: tuple[str, ...]
    float_accuracy: Interval | None
    files: tuple[QuantizedFile, ...]
    reservations: tuple[str, ...] = ()
