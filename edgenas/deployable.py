"""From a trained supernet to the int8 network of one architecture, ready to emit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgenas import plugins
from edgenas.graph.engines import Engine
from edgenas.graph.ir import Graph
from edgenas.graph.lower import lower
from edgenas.graph.ranges import Ranges, calibrate
from edgenas.host_engine import accuracy, logits
from edgenas.records import Architecture, Layer

if TYPE_CHECKING:
    from edgenas.data.base import Dataset, Split
    from edgenas.supernet.blocks import Subnet
    from edgenas.supernet.network import Supernet

CALIBRATION_IMAGES = 256


@dataclass(frozen=True)
class Deployable:
    """A subnet with its own batch-norm statistics, folded and calibrated, for one engine."""

    graph: Graph
    ranges: Ranges
    engine: Engine

    def emit(self, scheme: str | None, batch: int | None) -> bytes:
        """Return the engine's model file: int8 in `scheme`, or float32 where it is None."""
        exporter = plugins.load("exporters", self.engine.exporter)
        if scheme is None:
            content: bytes = exporter.emit(self.graph, None, batch=batch)
        else:
            content = exporter.emit(self.graph, self.ranges, scheme=scheme, batch=batch)
        return content

    def accuracies(self, scheme: str, dataset: Dataset, split: Split) -> tuple[float, float]:
        """Return (fp32, int8) accuracy on `split`, of the emitted models on the host."""
        fp32, int8 = (self.accuracy(kind, dataset, split) for kind in (None, scheme))
        return fp32, int8

    def accuracy(self, scheme: str | None, dataset: Dataset, split: Split) -> float:
        """Return the accuracy on `split` of the model emitted in `scheme`, on the host."""
        images = dataset.normalize(split.resized(self.graph.input_shape[2]).images)
        scores = logits(self.emit(scheme, None), images, self.engine.host_engine)
        return accuracy(scores, split.labels)


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
    images = dataset.calibration(CALIBRATION_IMAGES).resized(subnet.resolution).images
    return Deployable(graph, calibrate(graph, dataset.normalize(images)), engine)
