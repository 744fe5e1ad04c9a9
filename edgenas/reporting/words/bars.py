"""Values as bars of block characters, in lines of at most 80 characters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

LABEL, BAR = 38, 10  # characters
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def stage_first(change: str) -> str:
    """Return "stage 2: kernel 5 instead of 3" for "kernel 5 instead of 3 in one block of stage 2".

    What tells changes apart then comes before a long label is cut.
    """
    match = re.fullmatch(r"(.+?) in (?:one block of )?(stage \d+)", change)
    return f"{match[2]}: {match[1]}" if match else change


def cut(label: str, most: int = LABEL) -> str:
    """Return a label that has at most so many characters."""
    return label if len(label) <= most else f"{label[: most - 1]}…"


def bar(share: float, width: int = BAR) -> str:
    """Return a bar of at most `width` characters. share : 0 to 1 of these."""
    eighths = round(8 * width * min(max(share, 0.0), 1.0))
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def effect_lines(effects: Sequence[dict[str, Any]], scale: float) -> list[str]:
    """Return one line an effect: the change, a bar of its size, the effect and its interval.

    A bar is hollow where the interval spans zero: the data do not tell the direction.
    """
    most = max((abs(effect["effect"]) for effect in effects), default=0.0)
    lines = []
    for effect in effects:
        mean, lower, upper = (signed(effect[name] * scale) for name in ("effect", "lower", "upper"))
        drawn = bar(abs(effect["effect"]) / most if most else 0.0)
        if effect["lower"] <= 0 <= effect["upper"]:
            drawn = "░" * len(drawn)
        label = cut(stage_first(effect["change"]))
        lines.append(
            f"{label:<{LABEL}} {drawn:<{BAR}} {mean:>8} {f'{lower} … {upper}':>20}".rstrip()
        )
    return lines


def part_lines(parts: Sequence[dict[str, Any]], scale: float) -> list[str]:
    """Return one line a part: its name, a bar of its share of the sum, what it adds, the share."""
    total = sum(part["effect"] for part in parts)
    lines = []
    for part in parts:
        share = part["effect"] / total if total else 0.0
        value = signed(part["effect"] * scale)
        lines.append(
            f"{cut(part['change']):<{LABEL}} {bar(share):<{BAR}} {value:>8} {share:>19.0%}"
        )
    return lines


def signed(value: float) -> str:
    """Return a value with its sign, in three digits."""
    return f"{value:+,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:+.3g}"
