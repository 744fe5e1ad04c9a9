"""What `baselines.py` found as Markdown and as a plot; replaces the text in docs/benchmarks."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from edgenas.reporting.plots.plot import BLUE, RED

PLOT = "baselines.png"
MARKS = "sD^vPX*"
TICKS_MS = (0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20)


def page(found: dict[str, Any], docs: Path | None) -> str:
    """Return the tables; with `docs` write them and the plot there too."""
    loss = found["int8_loss"]
    text = "\n".join(
        [
            _introduction(found),
            "",
            "| network | MMAC | params | int8 ms (95 %) | int8 accuracy, % (95 %) |",
            "|---|---|---|---|---|",
            *map(_row, found["rows"]),
            "",
            "| within | best baseline | best searched | points gained (95 %) | "
            "fastest searched as accurate |",
            "|---|---|---|---|---|",
            *map(_comparison, found["comparisons"]),
            "",
            f"![accuracy against latency]({PLOT})",
            "",
            f"{loss['n']} random subnets lose {100 * loss['mean']:.2f} points by int8 on average, "
            f"{100 * loss['worst']:.2f} at worst ({loss['n_images']:,} validation images: one is "
            f"{100 / loss['n_images']:.2f} points).",
        ]
    )
    if docs:
        (docs / PLOT).write_bytes(draw(found))
        replace_between(docs, "baselines", text)
    return text


def ranks_page(tables: list[Path], docs: Path | None) -> str:
    """Return the tables of rank agreement, one file each; with `docs` write them there too."""
    introduction = """`OMP_NUM_THREADS=1 python benchmarks/baselines.py --ranks 8 --data NAME
--epochs N --docs docs/benchmarks`: subnets of `mbv3-tiny`, the smallest, the largest, and others
even in the rank of their MACs; int8 accuracy with the supernet's weights against that of the same
network trained alone, with the same images, epochs and recipe, from its own random weights; one
seed."""
    text = "\n".join([introduction, "", *(path.read_text("utf-8") for path in tables)])
    if docs:
        replace_between(docs, "ranks", text)
    return text


def replace_between(docs: Path, name: str, text: str) -> None:
    """Replace what stands between the markers called `name` of docs/benchmarks/index.md."""
    path = docs / "index.md"
    start, end = f"<!-- {name}:start -->\n", f"<!-- {name}:end -->"
    before, rest = path.read_text("utf-8").split(start)
    path.write_text(before + start + text.rstrip("\n") + "\n" + end + rest.split(end)[1], "utf-8")


def _introduction(found: dict[str, Any]) -> str:
    names = " ".join(row["name"] for row in found["rows"] if row["family"] == "baseline")
    loss, epochs = found["int8_loss"], found["epochs"]
    trained = f"{found['n_train']:,} images, {epochs} epoch{'s' * (epochs > 1)}"
    rows = found["rows"]
    ours = [row["name"] for row in rows if row["family"] == "searched"]
    winners = sum(name.endswith("*") for name in ours)
    n_groups = len(ours) - winners
    also = (
        ";\nwith *, a winner of `edgenas search` with these weights (`--runs`)" if winners else ""
    )
    n_disturbed = sum(row["stands_on_rejected"] for row in rows)
    n_open = sum(not row["converged"] for row in rows)
    space, kind = found["space"], found["data"].partition(":")[0]
    source = f"{kind}:DIR" if kind == "imagefolder" else kind
    return f"""`OMP_NUM_THREADS=1 python benchmarks/baselines.py --data {source}
--epochs {epochs} --baselines {names}
--test-images {found["n_test"]}{" --runs RUN …" * (winners > 0)} --docs docs/benchmarks`:
{found["data"]}, {trained} for the supernet and for each baseline by one recipe
(`edgenas.supernet.settings`, batches of 64), one seed. Accuracy of the int8 models in the host's
engine on {found["n_test"]:,} test images. All were timed in one job on the local target, pass by
pass in random order: of {len(rows)} latencies {n_disturbed} stand on passes in which
other work had the core, {n_open} have an interval wider than was asked for (2 %). The searched
networks of `{space}` are the best of {loss["candidates"]} random subnets, by int8 accuracy on
{found["n_val"]:,} validation images, in each of {n_groups} groups of like MACs{also};
within a latency the best of them by the same accuracy is taken, but the best baseline by its test
accuracy, and the fastest one that is as accurate, too.
MobileNets at 32 px keep the size in their stem; `-stem2` halves it there, as `{space}`
does."""


def _row(row: dict[str, Any]) -> str:
    shown = row["architecture"].replace("|", "/")
    name = f"{row['name']} ({shown})" if shown else f"**{row['name']}**"
    low, high = row["ci95_ms"]
    accuracy = "{:.1f} ({:.1f} to {:.1f})".format(
        *(100 * value for value in (row["accuracy"], *row["accuracy_ci95"]))
    )
    return (
        f"| {name} | {row['mmac']:.2f} | {row['params'] / 1e3:.0f} k | "
        f"{row['latency_ms']:.3f} ({low:.3f} to {high:.3f}) | {accuracy} |"
    )


def _comparison(found: dict[str, Any]) -> str:
    speed_up = found["speed_up"]
    faster = "none" if speed_up is None else f"{speed_up:.1f} times as fast"
    gained = "none"
    if found["searched"]:
        low, high = found["ci95"]
        gained = f"{100 * found['gained']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    return (
        f"| {found['limit_ms']:.3f} ms | {found['baseline']} | {found['searched'] or 'none'} | "
        f"{gained} | {faster} |"
    )


def draw(found: dict[str, Any]) -> bytes:
    """Return the plot of accuracy against latency as PNG; each baseline has a mark of its own."""
    ours = [row for row in found["rows"] if row["family"] == "searched"]
    others = [row for row in found["rows"] if row["family"] == "baseline"]
    figure = Figure(figsize=(7.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    _marks(axes, ours, "o", BLUE, f"searched in {found['space']}")
    for row, mark in zip(others, itertools.cycle(MARKS), strict=False):
        _marks(axes, [row], mark, RED, row["name"].replace("mobilenetv", "MobileNetV"))
    epochs = f"{found['epochs']} epoch{'s' * (found['epochs'] > 1)}"
    axes.set(
        xscale="log",
        xlabel="int8 latency on the local target, ms",
        ylabel="int8 accuracy on test images, %",
        title=f"{found['data']}: {found['n_train']:,} training images, {epochs}",
    )
    axes.xaxis.set_minor_formatter("")
    greatest = max(row["latency_ms"] for row in found["rows"])
    least = min(row["latency_ms"] for row in found["rows"])
    ticks = [tick for tick in TICKS_MS if least / 1.5 < tick < greatest * 1.5]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0))
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=160)
    return drawn.getvalue()


def _marks(axes: Any, rows: list[dict[str, Any]], mark: str, colour: str, label: str) -> None:
    times = [row["latency_ms"] for row in rows]
    shares = [100 * row["accuracy"] for row in rows]
    axes.errorbar(
        times,
        shares,
        xerr=_arms(times, [row["ci95_ms"] for row in rows], 1),
        yerr=_arms(shares, [row["accuracy_ci95"] for row in rows], 100),
        fmt=mark,
        color=colour,
        elinewidth=0.9,
        label=label,
    )


def _arms(values: list[float], intervals: list[list[float]], scale: float) -> list[list[float]]:
    pairs = list(zip(values, intervals, strict=True))
    low = [max(0.0, value - scale * interval[0]) for value, interval in pairs]
    return [low, [max(0.0, scale * interval[1] - value) for value, interval in pairs]]
