"""Submissions: of a run, or the check of a file that was made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas import plugins
from edgenas.challenges.base import DisqualifiedError, Finding, Parameters
from edgenas.errors import InputError
from edgenas.file_check import unlike_lowered
from edgenas.graph import graph_file
from edgenas.open_run import open_run
from edgenas.pipeline import step
from edgenas.progress import Progress
from edgenas.records import ExportedModel, from_json, to_json
from edgenas.run_folder import read_json

if TYPE_CHECKING:
    from edgenas.targets.config import Access


def submit(
    path: Path,
    challenge: str,
    given: Parameters,
    progress: Progress,
    access: Access | None = None,
) -> dict[str, Any]:
    """Build, lint and score the submission of the run in `path`; see `steps.submit.run`."""
    with open_run(path, {}, progress, resume=True, create=False, access=access) as context:
        document: dict[str, Any] = step(context, "submit", challenge=challenge, given=given)
        return {"run": str(path), **document}


def check(challenge: str, file: Path, given: Parameters) -> dict[str, Any]:
    """Lint and score any file or folder by the rules of `challenge`.

    What disqualifies it when it is judged is a finding like those of the lint.
    """
    member = plugins.load("challenges", challenge)
    findings = to_json([*member.lint(file), *_unlike_lowered(file)])
    try:
        score = to_json(member.score(file, None, given))
    except InputError as problem:
        score = {"value": None, "reason": str(problem)}
        if isinstance(problem, DisqualifiedError):
            broken = member.RULES.broken(problem.rule, problem.message, problem.hint)
            findings.append(to_json(broken))
    return {
        "challenge": challenge,
        "built": str(file),
        "findings": findings,
        "score": score,
        "status": "fail" if any(f["severity"] == "error" for f in findings) else "pass",
    }


def _unlike_lowered(file: Path) -> list[Finding]:
    """Hold an int8 file in a run's models/ against the graph that lies beside it."""
    name = file.name.split(".", maxsplit=1)[0]
    graph, card = (file.with_name(f"{name}.{end}") for end in ("graph.safetensors", "json"))
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
