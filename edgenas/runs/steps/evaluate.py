"""evaluate: accuracy of networks. Adds to store.sqlite, of a table to looked_up.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgenas.runs.run import RunContext


def run(context: RunContext, networks: Sequence[Any] | None = None) -> int:
    """Evaluate the `networks` that are not yet; return how many it took.

    Without them those of the run: `evaluate` of them, measured ones first. A board's int8 accuracy
    is that of the int8 model itself, emitted and run in the host's engine on the validation images:
    what is ranked is what is deployed.

    Raises
    ------
    DataError : the images are synthetic, and no evaluations come with the supernet.
    TrainingError : another process of `torchrun` is gone.
    """
    return context.source.evaluate(networks)
