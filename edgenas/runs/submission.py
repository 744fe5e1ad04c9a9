"""What leaves a run: submissions, files for another input; and the check of others' files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.challenges.base import DisqualifiedError, Finding, Parameters, status
from edgenas.core import plugins
from edgenas.core.errors import InputError
from edgenas.core.files.run_folder import RunFolder, read_json
from edgenas.core.progress import Progress
from edgenas.core.records import ExportedModel, from_json, to_json
from edgenas.int8.checks.file import unlike_lowered
from edgenas.int8.graph import graph_file
from edgenas.runs.models.c_files import write_c
from edgenas.runs.models.fed import write_fed
from edgenas.runs.open import open_run
from edgenas.runs.search import step

if TYPE_CHECKING:
    from edgenas.targets.config import Access


def submit(
    path: Path,
    challenge: str,
    given: Parameters,
    progress: Progress,
    access: Access | None = None,
    *,
    private: bool = True,
) -> dict[str, Any]:
    """Build, lint and score the submission of the run in `path`; see `steps.submit.run`."""
    with open_run(path, {}, progress, resume=True, create=False, access=access) as context:
        how = {"challenge": challenge, "given": given, "private": private}
        document: dict[str, Any] = step(context, "submit", **how)
        return {"run": str(path), **document}


def as_fed(
    path: Path,
    words: str,
    asked: dict[str, Any],
    progress: Progress,
    access: Access | None = None,
) -> dict[str, Any]:
    """Write the exported networks of the run in `path` for another input; see `models.fed`."""
    with open_run(path, asked, progress, resume=True, create=False, access=access) as context:
        return {"run": str(path), "step": "export", "result": to_json(write_fed(context, words))}


def as_c(path: Path, progress: Progress, access: Access | None = None) -> dict[str, Any]:
    """Write the exported networks of the run in `path` as C99 sources; see `models.c_files`."""
    with open_run(path, {}, progress, resume=True, create=False, access=access) as context:
        return {"run": str(path), "step": "export", "result": to_json(write_c(context))}


def check(challenge: str, file: Path, given: Parameters) -> dict[str, Any]:
    """Lint and score any file or folder by the rules of `challenge`.

    What disqualifies it when it is judged is a finding like those of the lint.
    """
    member = plugins.load("challenges", challenge)
    findings = [*member.lint(file), *_unlike_lowered(file)]
    try:
        score = to_json(member.score(file, None, given))
    except InputError as problem:
        score = {"value": None, "reason": str(problem)}
        if isinstance(problem, DisqualifiedError):
            findings.append(member.RULES.broken(problem.rule, problem.message, problem.hint))
    return {
        "challenge": challenge,
        "built": str(file),
        "findings": to_json(findings),
        "reservations": [one.message for one in findings if one.severity == "unchecked"],
        "score": score,
        "status": status(findings),
    }


def _unlike_lowered(file: Path) -> list[Finding]:
    """Hold an int8 file in a run's models/ against the graph that lies beside it."""
    name = file.name.split(".", maxsplit=1)[0]
    run = RunFolder(file.parent.parent)
    graph, card = (file.with_name(one(name).name) for one in (run.graph, run.card))
    if not (file.is_file() and graph.is_file() and card.is_file()):
        return []
    model = from_json(read_json(card), ExportedModel, str(card))
    if file.name != model.int8_file:
        return []
    lowered, ranges = graph_file.read(graph.read_bytes(), str(graph))
    how = {"exporter": model.format, "scheme": model.scheme}
    said = unlike_lowered(file.read_bytes(), lowered, ranges, **how)
    remedy = f"Export it again: edgenas export {file.parent.parent}"
    return [Finding("numbers", "error", said, remedy, str(graph))] if said else []
