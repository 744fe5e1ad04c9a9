"""A space of few narrow layers, for searches whose tests are about something else."""

from __future__ import annotations

from pathlib import Path

_STAGE = "depths = [1, 2]\nkernel_sizes = [3, 5]\nexpand_ratios = [1, 2]\nstride = 2\n"


def write_tiny_space(folder: Path) -> str:
    """Write the space as a stage table in `folder`; return its path."""
    path = folder / "tiny.toml"
    path.write_text(
        "[stem]\nwidth = 8\nstride = 1\n[head]\nwidth = 16\n"
        f"[[stages]]\nwidth = 8\n{_STAGE}[[stages]]\nwidth = 12\n{_STAGE}",
        "utf-8",
    )
    return str(path)
