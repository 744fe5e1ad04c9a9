"""Any finished runs on one page: fronts, choices, winners elsewhere, and what was otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgenas.core.errors import InputError
from edgenas.core.files.outputs import claim
from edgenas.core.files.run_folder import RunFolder, write_text
from edgenas.core.progress import Progress
from edgenas.core.records import to_json
from edgenas.reporting.compared import ComparisonData
from edgenas.reporting.document import ReportData
from edgenas.runs.boards.comparison import compare, document
from edgenas.runs.config import read_config
from edgenas.runs.run import RunContext

LEAST_RUNS = 2
OWN_PAGE = b'<p class="eyebrow">edgenas compare'


def compare_runs(
    paths: Sequence[Path], output: Path, progress: Progress, *, overwrite: bool = False
) -> dict[str, Any]:
    """Compare runs with the first; write a page to `output` and return the JSON of it.

    Raises
    ------
    InputError : fewer than two runs, one twice, or one on a measured table; or something is at
        `output` that edgenas did not write.
    RunFolderError : a run is not verified yet.
    """
    from edgenas.reporting.pages.comparison import render

    _require_several(paths)
    there = claim(output, "--output", _is_own_page, overwrite=overwrite)
    named = _named(paths, progress)
    data = _compared(there.parent.resolve(), named)
    write_text(there, render(data))
    runs = {name: str(path) for name, path in zip(named, paths, strict=True)}
    changed = [{"what": what, "values": list(values)} for what, values in data.changed]
    return {
        "step": "compare",
        "runs": runs,
        "changed": to_json(changed),
        **document(data),
        "report": str(there),
    }


def page(paths: Sequence[Path], folder: Path, progress: Progress) -> str:
    """Return the page that `compare_runs` writes to a file in `folder`; nothing is written.

    Raises
    ------
    InputError, RunFolderError : as for `compare_runs`.
    """
    from edgenas.reporting.pages.comparison import render

    _require_several(paths)
    return render(_compared(folder, _named(paths, progress)))


def _require_several(paths: Sequence[Path]) -> None:
    if len(paths) < LEAST_RUNS or len({path.resolve() for path in paths}) < len(paths):
        raise InputError(
            "A comparison takes two runs or more, each once.",
            "Say: edgenas compare runs/one runs/two",
        )


def _named(paths: Sequence[Path], progress: Progress) -> dict[str, RunContext]:
    contexts = [_opened(path, progress) for path in paths]
    return dict(zip(_names(paths, contexts), contexts, strict=True))


def _compared(folder: Path, named: Mapping[str, RunContext]) -> ComparisonData:
    data = compare(folder, named, {})
    changed = tuple(_changed([board.data for board in data.boards]))
    return replace(data, noun="run", changed=changed)


def _opened(path: Path, progress: Progress) -> RunContext:
    folder = RunFolder(path)
    config = read_config(folder)
    if folder.table.exists():
        raise InputError(
            f"{path} is a search on a measured table, which has no board to compare.",
            "Leave it out.",
        )
    folder.require(folder.verification, "verify")
    folder.require(folder.explanation, "explain")
    return RunContext(folder, config, progress, None)


def _names(paths: Sequence[Path], contexts: Sequence[RunContext]) -> list[str]:
    """Return a name for each run: its target, with its folder where targets are the same."""
    targets = Counter(context.target.name for context in contexts)
    return [
        context.target.name
        if targets[context.target.name] == 1
        else f"{context.target.name} ({path})"
        for path, context in zip(paths, contexts, strict=True)
    ]


def _changed(runs: Sequence[ReportData]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Yield what the runs were done with, by name, where they differ."""
    told = [_done_with(run) for run in runs]
    for name in dict.fromkeys(name for one in told for name in one):
        values = tuple(one.get(name, "not known") for one in told)
        if len(set(values)) > 1:
            yield name, values


def _done_with(run: ReportData) -> dict[str, str]:
    seen, data = run.environment, run.data
    found: dict[str, Any] = {
        "data": data.name,
        "images": f"{data.n_train:,} to train, {data.n_val:,} to choose, {data.n_test:,} to test",
        "processor": seen.profile.cpu,
        "system": seen.profile.system,
        "engine": f"{seen.engine} {seen.engine_version}, {seen.provider}, {seen.scheme}",
        "threads": seen.threads,
        "governor": seen.governor,
        "throttling": seen.throttling,
        **{f"option {name}": value for name, value in run.configuration.items()},
    }
    return {name: "not known" if value is None else str(value) for name, value in found.items()}


def _is_own_page(path: Path) -> bool:
    with path.open("rb") as stream:
        return OWN_PAGE in stream.read(60_000)
