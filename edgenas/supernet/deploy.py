"""From a trained supernet to the int8 network of one architecture, ready to emit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.core import plugins
from edgenas.core.records import Architecture, ImageInput, Layer
from edgenas.int8.engines.facts import Engine
from edgenas.int8.engines.host import logits
from edgenas.int8.graph.equalize import observe_channels, ranges_of, with_corrected_biases
from edgenas.int8.graph.ir import INPUT, Graph
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.pixel_scale import pixel_exact
from edgenas.int8.graph.quantize import SCHEMES, quantize
from edgenas.int8.graph.ranges import Ranges, calibrate

if TYPE_CHECKING:
    from edgenas.data.base import Dataset, Split
    from edgenas.supernet.blocks import Subnet
    from edgenas.supernet.network import Supernet

CALIBRATION_IMAGES, CALIBRATION_IMAGES_OF_PHOTOGRAPHS = 256, 128


@dataclass(frozen=True)
class Deployable:
    """A subnet with its own batch-norm statistics, folded and calibrated, for one engine."""

    graph: Graph
    ranges: Ranges
    engine: Engine

    def emit(
        self,
        scheme: str | None,
        batch: int | None,
        made: ImageInput | None = None,
        class_names: Sequence[str] = (),
    ) -> bytes:
        """Return the engine's model file: int8 in `scheme`, or float32 where it is None.

        made, class_names : what the file is to say of its input and its scores.
        """
        exporter = plugins.load("exporters", self.engine.exporter)
        how: dict[str, Any] = {"batch": batch, "made": made, "class_names": class_names}
        if scheme is None:
            content: bytes = exporter.emit(self.graph, None, **how)
        else:
            content = exporter.emit(self.graph, self.ranges, scheme=scheme, **how)
        return content

    def accuracies(self, scheme: str, dataset: Dataset, split: Split) -> tuple[float, float]:
        """Return (fp32, int8) accuracy on `split`, of the emitted models on the host."""
        fp32, int8 = (self.accuracy(kind, dataset, split) for kind in (None, scheme))
        return fp32, int8

    def accuracy(self, scheme: str | None, dataset: Dataset, split: Split) -> float:
        """Return the accuracy on `split` of the model emitted in `scheme`, on the host."""
        return float(self.right(scheme, dataset, split).mean())

    def robust_accuracy(self, scheme: str, dataset: Dataset, corrupted: Sequence[Split]) -> float:
        """Return the mean accuracy of the int8 model over splits of corrupted images."""
        return float(np.mean([self.accuracy(scheme, dataset, one) for one in corrupted]))

    def right(self, scheme: str | None, dataset: Dataset, split: Split) -> np.ndarray:
        """Return which images of `split` it gets right on the host, bool [n]; as `accuracy`."""
        images = dataset.inputs(split.resized(self.graph.input_shape[2]).images)
        scores = logits(self.emit(scheme, None), images, self.engine.host_engine)
        return dataset.task.right(dataset.task.decode(scores), split.labels)


def deployable(
    supernet: Supernet,
    architecture: Architecture,
    layers: tuple[Layer, ...],
    dataset: Dataset,
    engine: Engine,
) -> Deployable:
    """Cut a subnet out, recalibrate its batch norms on training images, fold and calibrate it."""
    from edgenas.supernet.recalibrate import calibrated_subnet

    return of_subnet(calibrated_subnet(supernet, architecture, dataset), layers, dataset, engine)


def of_subnet(
    subnet: Subnet, layers: tuple[Layer, ...], dataset: Dataset, engine: Engine
) -> Deployable:
    """Fold a subnet that has its batch norms' statistics, and calibrate it on training images."""
    graph = lower(layers, subnet.numpy_state())
    kept = subnet.keeps_statistics  # the images come from as wide a choice: fewer will do
    count = CALIBRATION_IMAGES_OF_PHOTOGRAPHS if kept else CALIBRATION_IMAGES
    images = dataset.normalize(dataset.calibration(count).resized(subnet.resolution).images)
    if graph.few_bits:  # its statistics are those of rounded weights: nothing is left to correct
        ranges = calibrate(graph, images)
        return Deployable(graph, _exact_for_pixels(ranges, dataset), engine)
    statistics, _ = observe_channels(graph, images)
    ranges = _exact_for_pixels(ranges_of(statistics), dataset)
    # schemes differ in how activations are stored: weights are rounded alike in all of them
    quantization = quantize(graph, ranges, SCHEMES["u8s8"])
    return Deployable(with_corrected_biases(graph, quantization, statistics), ranges, engine)


def _exact_for_pixels(ranges: Ranges, dataset: Dataset) -> Ranges:
    return {**ranges, INPUT: pixel_exact(ranges[INPUT], dataset.mean, dataset.std)}
