"""train: the supernet of the run's space on its images. Writes supernet.safetensors."""

from __future__ import annotations

from typing import Any

from edgenas.run_context import RunContext


def run(context: RunContext) -> Any:
    """Train from scratch, or go on from the checkpoint; a finished supernet is reused."""
    if context.folder.supernet.exists():
        context.supernet()
        context.reuse("the trained supernet")
        return None
    from edgenas.supernet.settings import default_settings
    from edgenas.supernet.train import train

    settings = default_settings(
        context.dataset, epochs=context.config.epochs, seed=context.config.seed
    )
    return train(
        context.space,
        context.dataset,
        settings,
        context.folder.checkpoint,
        context.folder.supernet,
        context.progress,
    )
