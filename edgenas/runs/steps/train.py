"""train: the supernet of the run's space on its images. Writes supernet.safetensors."""

from __future__ import annotations

from typing import Any

from edgenas.runs.run import RunContext


def run(context: RunContext) -> Any:
    """Train, or go on from the checkpoint, or take a pretrained supernet; a finished one is reused.

    A pretrained supernet of other classes gets a new classifier and is trained on from there.
    """
    return context.source.train()
