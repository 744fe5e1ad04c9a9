"""The page of a comparison of predictors: Markdown tables and a plot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from predictor_results import Result, Results, median

OURS = "edgenas"
START, END = "<!-- predictors:start -->", "<!-- predictors:end -->"


def page(results: Results) -> str:
    """Return the tables with how ours stands to the best peer, and how often intervals hold."""
    counts = {
        method: sorted({len(found[method]) for found in _cells(results) if method in found})
        for method in dict.fromkeys(result.method for result in results.known.values())
    }
    most = max(max(count) for count in counts.values())
    fewer = [
        f"{method} {' to '.join(str(x) for x in dict.fromkeys((count[0], count[-1])))}"
        for method, count in counts.items()
        if count[0] < most
    ]
    said = f" (fewer: {', '.join(fewer)})" if fewer else ""
    return "\n".join(
        [
            "`python benchmarks/predictors.py --results FILE --docs docs/benchmarks`: medians",
            f"over {most} random splits{said}, the same for",
            "all; one thread. RMSE by number of rows (ms, mJ, top-1 points); MAPE, Kendall τ, mean",
            "coverage of the 90 % intervals and CPU seconds of the fit are at the greatest n.",
            "",
            "![RMSE by rows measured](predictors.png)",
            "",
            standing(results),
            "",
            coverage(results),
            "",
            *(table(results, task) for task in results.tasks()),
        ]
    ).rstrip()


def _cells(results: Results) -> Iterator[dict[str, dict[int, Result]]]:
    for task in results.tasks():
        for n in results.sizes(task):
            yield results.of(task, n)


def standing(results: Results) -> str:
    """Return a table of our RMSE over the best peer's."""
    sizes = sorted({n for task in results.tasks() for n in results.sizes(task)})
    lines = ["| RMSE over the best peer's | " + " | ".join(f"n = {n}" for n in sizes) + " |"]
    lines += ["|---" * (len(sizes) + 1) + "|"]
    ahead = within = cells = 0
    for task in results.tasks():
        shown = []
        for n in sizes:
            ratio, peer = _best_peer(results.of(task, n))
            if not peer:
                shown.append("-")
                continue
            cells, ahead, within = cells + 1, ahead + (ratio < 1), within + (ratio <= 1.03)
            shown.append(f"{ratio:.3f} ({peer})" if ratio > 1 else f"{ratio:.3f}")
        lines.append(f"| {task} | {' | '.join(shown)} |")
    return "\n".join(
        [*lines, "", f"Least error in {ahead} of {cells} cells, at most 1.03 of it in {within}."]
    )


def _best_peer(found: dict[str, dict[int, Result]]) -> tuple[float, str]:
    """Return our median RMSE over the best peer's, each on the splits that both have done."""
    ours = found.get(OURS, {})
    ratios = {}
    for name, theirs in found.items():
        shared = ours.keys() & theirs.keys()
        if name != OURS and shared:
            mine, other = ([side[split] for split in shared] for side in (ours, theirs))
            ratios[name] = median(mine, "rmse") / median(other, "rmse")
    if not ratios:
        return 0.0, ""
    peer = max(ratios, key=lambda name: ratios[name])
    return ratios[peer], peer


def coverage(results: Results) -> str:
    """Return a table of mean coverage, in all and by thirds of the response."""
    lines = [
        "| 90 % intervals cover | n = 20, 30 | n >= 50 | lowest third of the predictions | middle "
        "| highest | lowest third of the responses | middle | highest |",
        "|---" * 9 + "|",
    ]
    for task in results.tasks():
        done = [r for r in results.known.values() if (r.task, r.method) == (task, OURS)]
        few = [r.coverage for r in done if r.n < 50 and r.coverage is not None]
        many = [r for r in done if r.n >= 50 and r.predicted_thirds]
        if not many:
            continue
        thirds = np.mean([(*r.predicted_thirds, *r.thirds) for r in many], axis=0)
        cells = [np.mean(few) if few else np.nan, np.mean([r.coverage for r in many]), *thirds]
        lines.append(f"| {task} | " + " | ".join(f"{100 * x:.1f}" for x in cells) + " |")
    return "\n".join(lines)


def table(results: Results, task: str) -> str:
    """Return RMSE by n, and the other scores at the largest n."""
    sizes = results.sizes(task)
    by_size = {n: results.of(task, n) for n in sizes}
    names = list(dict.fromkeys(name for found in by_size.values() for name in found))
    lines = [f"### {task}", ""]
    lines += ["| RMSE | " + " | ".join(f"n = {n}" for n in sizes) + " | MAPE | Kendall τ |"]
    lines[-1] += " 90 % covers | fit s |"
    lines += ["|---" * (len(sizes) + 5) + "|"]
    for name in names:
        errors = [
            f"{median(found[name].values(), 'rmse'):.4g}" if name in found else "-"
            for found in by_size.values()
        ]
        rest = ["-"] * 4
        if last := list(by_size[max(sizes)].get(name, {}).values()):
            covers = [r.coverage for r in last if r.coverage is not None]
            rest = [
                f"{median(last, 'mape'):.2%}",
                f"{median(last, 'kendall_tau'):.3f}",
                f"{np.mean(covers):.1%}" if covers else "-",
                f"{median(last, 'seconds'):.2f}",
            ]
        lines.append(f"| {name} | {' | '.join([*errors, *rest])} |")
    return "\n".join([*lines, ""])


def plot(path: Path, results: Results) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    tasks = results.tasks()
    rows = -(-(len(tasks) + 1) // 3)  # one place more, for the legend
    figure, axes = plt.subplots(rows, 3, figsize=(13, 3.5 * rows), squeeze=False)
    for axis, task in zip(axes.flat, tasks, strict=False):
        by_size = {n: results.of(task, n) for n in results.sizes(task)}
        for name in dict.fromkeys(name for found in by_size.values() for name in found):
            sizes = [n for n, found in by_size.items() if name in found]
            errors = [median(by_size[n][name].values(), "rmse") for n in sizes]
            axis.loglog(sizes, errors, label=name, linewidth=2.5 if name == OURS else 1.0)
        axis.set(title=task, xlabel="rows measured", ylabel="RMSE")
        axis.set_xticks(list(by_size), [str(n) for n in by_size])
        axis.minorticks_off()
        low, high = axis.get_ylim()
        ticks = [t * 10.0**p for p in range(-4, 5) for t in (1, 2, 5) if low <= t * 10.0**p <= high]
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    for axis in axes.flat[len(tasks) :]:
        axis.axis("off")
    handles, names = max(
        (a.get_legend_handles_labels() for a in axes.flat), key=lambda x: len(x[1])
    )
    axes.flat[len(tasks)].legend(handles, names, loc="center")
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def write(document: Path, text: str) -> None:
    """Put `text` between the markers of `document`, which is made if it is not there."""
    before = document.read_text("utf-8") if document.exists() else "# Benchmarks\n"
    if START not in before:
        before += f"\n{START}\n{END}\n"
    head, rest = before.split(START, maxsplit=1)
    document.write_text(f"{head}{START}\n{text}\n{END}{rest.split(END, maxsplit=1)[1]}", "utf-8")
