"""What `photographs.py` found as Markdown and as a plot; replaces the text in docs/benchmarks."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from baselines_page import replace_between
from matplotlib.figure import Figure
from photographs_timing import thread_ms

from edgenas.core.records import Answers
from edgenas.core.records.intervals import wilson
from edgenas.reporting.plots.plot import BLUE, RED

PLOT = "photographs.png"
TICKS_MS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5)
AS_FAST = 1.03  # times a latency: what is as fast, as timed again in turns


@dataclass(frozen=True)
class Row:
    """A network that was timed. name : of its files, which begins with what made it."""

    name: str
    about: dict[str, Any]
    ms: float

    @property
    def family(self) -> str:
        return self.name.partition("-")[0]

    @property
    def title(self) -> str:
        return str(self.about["title"])

    @property
    def answers(self) -> Answers:
        return Answers(**self.about["answers"])


def page(work: Path, docs: Path | None) -> str:
    """Return the tables of what is in `work`; with `docs` write them and the plot there too."""
    rows = _rows(work)
    text = "\n".join(
        [
            "| network | px | MMAC | ms | int8 test % (95 %) | epochs | CPU s |",
            "|---|---|---|---|---|---|---|",
            *map(_shown, rows),
            "",
            *_comparisons(rows),
            *_rounding(work / "rounding.json"),
            *_promises(sorted(work.glob("promise-*.json"))),
        ]
    )
    if docs:
        (docs / PLOT).write_bytes(draw(rows))
        replace_between(docs, "photographs", f"{text}\n\n![accuracy against latency]({PLOT})")
    return text


def _rows(work: Path) -> list[Row]:
    files = sorted(work.glob("*.onnx"))
    latencies = thread_ms([path.read_bytes() for path in files])
    rows = [
        Row(path.stem, json.loads(path.with_suffix(".json").read_text()), ms)
        for path, ms in zip(files, latencies, strict=True)
    ]
    order = ("classifier", "nothing", "alone", "searched")
    return sorted(rows, key=lambda row: (order.index(row.family), row.ms))


def _shown(row: Row) -> str:
    low, high = wilson(row.answers.right, row.answers.n_images)
    about = row.about
    title = f"**{row.title}**" if row.family == "searched" else row.title
    shown = f" ({about['architecture'].replace('|', '/')})" if "architecture" in about else ""
    return (
        f"| {title}{shown} | {about['resolution']} | {about['mmac']:.0f} | {row.ms:.2f} | "
        f"{100 * row.answers.accuracy:.1f} ({100 * low:.1f} to {100 * high:.1f}) | "
        f"{about['epochs'] or ''} | {about['seconds']:.0f} |"
    )


def _comparisons(rows: Sequence[Row]) -> Iterator[str]:
    """Yield, for each winner, the best scaled Lite0 that is as fast, and the points between."""
    alone = [row for row in rows if row.family == "alone"]
    winners = [row for row in rows if row.family == "searched"]
    if not alone or not winners:
        return
    yield "| searched | ms | best scaled Lite0 as fast | ms | points gained (95 %) |"
    yield "|---|---|---|---|---|"
    for winner in winners:
        within = [row.ms for row in alone if row.name == winner.about["within"]]
        limit_ms = AS_FAST * max([winner.ms, *within])
        rivals = [row for row in alone if row.ms <= limit_ms]
        if not rivals:
            continue
        best = max(rivals, key=lambda row: row.answers.accuracy)
        ahead = winner.answers.ahead_of(best.answers)
        yield (
            f"| {winner.title} | {winner.ms:.2f} | {best.title}, {best.about['resolution']} px | "
            f"{best.ms:.2f} | {100 * ahead.mean:+.1f} ({100 * ahead.lower:+.1f} to "
            f"{100 * ahead.upper:+.1f}) |"
        )
    yield ""


def _rounding(path: Path) -> Iterator[str]:
    if not path.exists():
        return
    rows = json.loads(path.read_text())
    right = {kind: _right_images(rows, kind) for kind in ("fp32", "int8", "plain")}
    networks, images = right["fp32"].shape
    yield (
        f"int8 against float, {networks} random subnets of the searches' supernet, {images} test "
        f"images: {_lost(right['fp32'], right['int8'])}. With the biases of the float network: "
        f"{_lost(right['fp32'], right['plain'])}."
    )
    yield ""


def _right_images(rows: Sequence[dict[str, Any]], kind: str) -> np.ndarray:
    """Return which images each network gets right, bool [networks, images]."""
    answers = [Answers(**row[kind]) for row in rows]
    bits = [f"{one.bits:0{8 * ((one.n_images + 7) // 8)}b}"[: one.n_images] for one in answers]
    return np.array([[bit == "1" for bit in line] for line in bits])


def _lost(fp32: np.ndarray, int8: np.ndarray) -> str:
    """Say what int8 loses, and how much of a network's loss is chance (McNemar 1947)."""
    changes = 100 * (fp32.astype(float) - int8)
    by_network, by_image = changes.mean(1), changes.mean(0)
    error = 1.96 * by_image.std(ddof=1) / np.sqrt(len(by_image))
    wrong, mended = ((changes > 0).sum(1).mean(), (changes < 0).sum(1).mean())
    chance = 100 * np.sqrt((changes != 0).sum(1)).mean() / changes.shape[1]
    return (
        f"{by_network.mean():+.2f} points lost in the mean (95 % over images: ±{error:.2f}), "
        f"{by_network.max():.2f} at worst; of a network {wrong:.1f} images become wrong and "
        f"{mended:.1f} right, so that chance alone moves it by {chance:.2f} points (standard "
        "deviation)"
    )


def _promises(files: Sequence[Path]) -> Iterator[str]:
    rows = [json.loads(path.read_text()) for path in files]
    if not rows:
        return
    inside = [one["promise"]["lower"] <= _right(one) <= one["promise"]["upper"] for one in rows]
    off = [100 * (_right(one) - one["promise"]["mean"]) for one in rows]
    networks = len({one["architecture"] for one in rows})
    yield (
        f"Promised against test accuracy of {len(rows)} winners ({networks} different networks; "
        f"searches of other seeds and limits over one supernet): {sum(inside)} are inside the "
        f"{rows[0]['confidence']:.0%} interval of the prediction; the test accuracy is "
        f"{np.mean(off):+.1f} points from the prediction in the mean, {min(off):+.1f} to "
        f"{max(off):+.1f}."
    )
    yield ""


def _right(row: dict[str, Any]) -> float:
    return Answers(**row["answers"]).accuracy


def draw(rows: Sequence[Row]) -> bytes:
    """Return the plot of accuracy against latency as PNG."""
    figure = Figure(figsize=(7.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    kinds = (
        ("searched", "o-", BLUE, "searched, one supernet"),
        ("alone", "s", RED, "Lite0 scaled, transferred alone"),
        ("classifier", "D", "0.35", "linear classifier on frozen Lite0"),
        ("nothing", "^", "0.35", "MobileNetV2 0.5 from nothing"),
    )
    for family, mark, colour, label in kinds:
        chosen = [row for row in rows if row.family == family]
        if not chosen:
            continue
        shares = np.array([row.answers.accuracy for row in chosen])
        ends = np.array([wilson(row.answers.right, row.answers.n_images) for row in chosen])
        axes.errorbar(
            [row.ms for row in chosen],
            100 * shares,
            yerr=100 * np.array([shares - ends[:, 0], ends[:, 1] - shares]),
            fmt=mark,
            color=colour,
            elinewidth=0.9,
            label=label,
        )
    times = [row.ms for row in rows]
    ticks = [tick for tick in TICKS_MS if min(times) / 1.5 < tick < max(times) * 1.5]
    axes.set(
        xscale="log",
        xlabel="int8 latency of one image, one thread, ms",
        ylabel="int8 accuracy on test images, %",
        title=f"{rows[0].about['n_train']:,} training photographs",
    )
    axes.xaxis.set_minor_formatter("")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.legend(loc="lower right")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=160)
    return drawn.getvalue()
