"""Accuracy of many subnets, each as the int8 file that would be deployed, on the host's engine.

Under `torchrun` the subnets are shared out among the processes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgenas.core.records import Answers, Architecture, Evaluation, from_json, to_json
from edgenas.data.corruptions import corrupted
from edgenas.int8.engines.facts import Engine
from edgenas.supernet.deploy import Deployable, deployable

if TYPE_CHECKING:
    from edgenas.data.base import Dataset, Split
    from edgenas.spaces.base import MobileSpace
    from edgenas.supernet.network import Supernet
    from edgenas.supernet.parallel import Workers

EACH = 4  # subnets that a process evaluates before all tell each other
Figures = tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Evaluator:
    """What it takes to evaluate a subnet.

    supernet_sha256 : of the supernet's file. robust : whether corrupted images are looked at, too.
    """

    supernet: Supernet
    supernet_sha256: str
    space: MobileSpace
    dataset: Dataset
    engine: Engine
    scheme: str
    robust: bool = False

    def deployable(self, architecture: Architecture, calibrating: Dataset) -> Deployable:
        """Return the subnet as it is deployed, calibrated on training images of `calibrating`."""
        layers = self.space.layers(architecture)
        return deployable(self.supernet, architecture, layers, calibrating, self.engine)

    def accuracies(self, architecture: Architecture, split: Split) -> tuple[float, float]:
        """Return fp32 and int8 accuracy on a split of the data set."""
        network = self.deployable(architecture, self.dataset)
        return network.accuracies(self.scheme, self.dataset, split)

    def evaluations(
        self, architectures: Sequence[Architecture], workers: Workers, *, fp32: bool = False
    ) -> Iterator[Evaluation]:
        """Yield evaluations on the validation images, in every process those of all processes.

        Which architectures is up to the first process. fp32 : whether the float models run, too.

        Raises
        ------
        TrainingError : another process is gone.
        """
        val = self.dataset.val
        bad = list(corrupted(val)) if self.robust else []

        def figures(architecture: Architecture) -> Figures:
            network = self.deployable(architecture, self.dataset)
            right = network.right(self.scheme, self.dataset, val)
            whole = network.accuracy(None, self.dataset, val) if fp32 else 0.0
            robust = network.robust_accuracy(self.scheme, self.dataset, bad) if bad else 0.0
            return whole, robust, *right.astype(float).tolist()

        count = 2 + len(val)
        for architecture, (whole, robust, *right) in shared(architectures, figures, count, workers):
            answers = Answers.of(value > 0.5 for value in right)
            yield Evaluation(
                architecture,
                self.supernet_sha256,
                whole if fp32 else None,
                answers.accuracy,
                len(val),
                answers,
                robust if bad else None,
            )


def shared(
    architectures: Sequence[Architecture],
    figures: Callable[[Architecture], Figures],
    count: int,
    workers: Workers,
) -> Iterator[tuple[Architecture, Figures]]:
    """Yield the `count` figures of each architecture, computed by one of the processes, in all.

    Which architectures is up to the first process.

    Raises
    ------
    TrainingError : another process is gone.
    """
    text = workers.agreed(json.dumps(to_json(tuple(architectures))))
    agreed = from_json(json.loads(text), tuple[Architecture, ...], "The subnets to evaluate")
    step = EACH * workers.count
    for start in range(0, len(agreed), step):
        batch = agreed[start : start + step]
        found = np.zeros((len(batch), count))
        for index in range(workers.rank, len(batch), workers.count):
            found[index] = figures(batch[index])
        for architecture, row in zip(batch, workers.total(found).tolist(), strict=True):
            yield architecture, tuple(row)
