"""The table of what `benchmarks/joint.py` keeps in its work folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def print_table(work: Path) -> None:
    """Print a row a method and pair of limits: accuracy by seed, and how far behind joint."""
    recipe = json.loads((work / "recipe.json").read_text("utf-8"))
    about = ", ".join(f"{name} {value}" for name, value in recipe.items())
    print(f"\n{about}\naccuracy on test images by seed, in brackets before training alone\n")
    cells: dict[tuple[float, float], dict[int, dict[str, dict[str, Any]]]] = {}
    for path in sorted(work.glob("seed-*/*-luts.*.json")):
        rows = json.loads(path.read_text("utf-8"))
        limits = (rows[0]["images_per_s_limit"], rows[0]["luts_limit"])
        seed = int(path.parent.name.removeprefix("seed-"))
        cells.setdefault(limits, {})[seed] = {row["method"]: row for row in rows}
    print("| images/s | LUTs at most | method | accuracy, % | mean, % | joint ahead by "
          "| LUTs | block RAMs |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for (images_per_s, luts), seeds in sorted(cells.items()):
        for method in next(iter(seeds.values())):
            rows = [of[method] for of in seeds.values()]
            print(f"| {images_per_s:,.0f} | {luts:,.0f} | {method} {_cell(rows, seeds)}")


def _cell(rows: Sequence[Mapping[str, Any]], seeds: Mapping[int, Mapping[str, Any]]) -> str:
    """Return the columns of one method: `rows` are its results, a seed each in order."""
    each = [
        "none fits" if row["after"] is None
        else f"{100 * row['after']:.1f} ({100 * row['before']:.1f})"
        for row in rows
    ]  # fmt: skip
    fitting = [row for row in rows if row["after"] is not None]
    if not fitting:
        return f"| {', '.join(each)} | | | | |"
    mean = f"{100 * np.mean([row['after'] for row in fitting]):.1f}"
    ahead = [
        100 * (of["joint"]["after"] - row["after"])
        for of, row in zip(seeds.values(), rows, strict=True)
        if row["after"] is not None and of["joint"]["after"] is not None
    ]
    error = f" ± {np.std(ahead, ddof=1) / len(ahead) ** 0.5:.1f}" if len(ahead) > 1 else ""
    by = f"{np.mean(ahead):+.1f}{error}" if rows[0]["method"] != "joint" else ""
    luts, blocks = (", ".join(f"{row[key]:,.0f}" for row in fitting) for key in ("luts", "bram18"))
    return f"| {', '.join(each)} | {mean} | {by} | {luts} | {blocks} |"
