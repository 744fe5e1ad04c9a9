"""Documents and run folders of before: what scripts read stays, and what was stored opens.

`data/golden` was stored by an edgenas that had a pipeline of its own for measured tables.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgenas.cli.main import edgenas
from edgenas.core.records import SearchResult, Verification, from_json, to_json
from helpers.scripted_source import scripted

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
TABLE = json.loads((GOLDEN / "table.json").read_text())
OF_THE_RUN = {"run", "report", "seconds"}
# How wide the intervals of few rows are, and their held-out errors, was made more honest since.
OF_THE_INTERVALS = {"lower", "upper", "heldout"}


def lasting(document: Any) -> Any:
    """Return a document without what differs from run to run."""
    if isinstance(document, dict):
        return {k: lasting(v) for k, v in document.items() if k not in OF_THE_RUN}
    return [lasting(one) for one in document] if isinstance(document, list) else document


def keys(document: Any, at: str = "") -> Iterator[str]:
    """Yield the path of every value, such as "candidates[].passed"."""
    if isinstance(document, dict):
        if not document:
            yield f"{at}{{}}"
        for key, value in document.items():
            yield from keys(value, f"{at}.{key}" if at else key)
    elif isinstance(document, list):
        if not document:
            yield f"{at}[]"
        for value in document:
            yield from keys(value, f"{at}[]")
    else:
        yield at


def alike(value: Any, other: Any) -> bool:
    """Whether a document has all that another has; numbers nearly: a BLAS has an order of its own.

    Keys may be added.
    """
    if isinstance(value, dict) and isinstance(other, dict):
        return all(
            k in value
            and (k in OF_THE_INTERVALS or alike(value[k], other[k]))
            and set(keys(value[k])) >= set(keys(other[k]))
            for k in other
        )
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(alike, value, other))
    if isinstance(value, float) and isinstance(other, float):
        return value == pytest.approx(other, rel=1e-6, abs=1e-9)
    return bool(value == other)


def printed(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(edgenas, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    path = next((one for one in arguments if Path(one).name == "run"), "run")
    document: dict[str, Any] = json.loads(result.stdout.replace(path, "run"))
    return document


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table as an earlier edgenas left it, and the table."""
    folder = tmp_path_factory.mktemp("stored")
    shutil.copytree(GOLDEN / "table_run", folder / "run")
    for name in ("board.csv", "board.toml"):
        shutil.copy(GOLDEN / name, folder / name)
    file = folder / "run" / "run.json"
    document = json.loads(file.read_text())
    document["config"]["target"] = str(folder / "board.toml")
    file.write_text(json.dumps(document))
    return folder / "run"


@pytest.fixture(scope="module")
def fresh(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The same search, made now."""
    run = tmp_path_factory.mktemp("fresh") / "run"
    target = str(stored.parent / "board.toml")
    asked = ("--max-latency", "5ms", "--samples", "30", "--evaluate", "40", "--out", str(run))
    return run, printed("search", "--target", target, *asked)


def test_a_search_on_a_table_prints_what_it_printed(fresh: tuple[Path, dict[str, Any]]) -> None:
    run, document = fresh
    assert alike(lasting(document), TABLE["search"])
    files = {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}
    assert files - {".lock"} == set(TABLE["files"])


def test_what_a_table_is_asked_afterwards_is_answered_as_before(
    fresh: tuple[Path, dict[str, Any]],
) -> None:
    run = str(fresh[0])
    assert alike(lasting(printed("pick", run, "--max-latency", "4ms")), TABLE["pick"])
    assert missing(printed("explain", run), TABLE["explain"]) == []
    assert alike(lasting(printed("optimize", run)), TABLE["optimize"])


def test_a_stored_run_on_a_table_is_read(stored: Path) -> None:
    assert alike(lasting(printed("pick", str(stored), "--max-latency", "4ms")), TABLE["pick"])
    document = lasting(printed("verify", str(stored)))
    before = TABLE["search"] | {"reused": document["reused"]}
    assert alike(document, before)


def test_a_search_of_a_stored_run_on_a_table_goes_on(stored: Path) -> None:
    document = printed("search", "--out", str(stored), "--resume")
    assert "the search and its verification" in document["reused"]
    assert alike(document["winner"], TABLE["search"]["winner"])


BOARD = json.loads((GOLDEN / "board.json").read_text())
# of a run in which nothing is trained, timed, or run: the job folders and what is worked out from
# layers are not there
ONLY_REAL = ("checkpoint.safetensors", "models/")


@pytest.fixture
def board_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A search on a scripted board."""
    scripted(monkeypatch)
    run = tmp_path / "run"
    asked = ("--samples", "16", "--evaluate", "16", "--top", "2", "--out", str(run))
    return run, printed("search", *asked)


def test_a_search_on_a_board_has_the_keys_that_scripts_read(
    board_run: tuple[Path, dict[str, Any]],
) -> None:
    run, document = board_run
    assert document["status"] == "pass"
    assert missing(document, BOARD["search"]) == []
    files = {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}
    real = {one for one in BOARD["files"] if not one.startswith((*ONLY_REAL, "predictors/kept"))}
    assert real <= files
    for command, *more in (("report",), ("pick", "--max-latency", "1ms"), ("explain",)):
        # what is known of the networks beside a picked one depends on which these are
        golden = [key for key in BOARD[command] if not key.startswith("between.")]
        assert missing(printed(command, str(run), *more), golden) == []
    assert missing(printed("optimize", str(run)), BOARD["optimize"]) == []


def missing(document: dict[str, Any], golden: list[str]) -> list[str]:
    """Return the golden keys that a document lacks, but for those of which it has no value."""

    def below(key: str, other: str) -> bool:
        return key == other or key.startswith((f"{other}.", f"{other}["))

    def bare(key: str) -> str:
        return key.removesuffix("[]").removesuffix("{}")

    here = {bare(key) for key in keys(document)}
    return sorted(
        key
        for key in map(bare, golden)
        if not any(below(key, one) or below(one, key) for one in here)
    )


@pytest.mark.parametrize("kind", [SearchResult, Verification])
def test_records_of_a_stored_run_on_a_board_are_read(kind: type[Any]) -> None:
    name = "search" if kind is SearchResult else "verification"
    document = json.loads((GOLDEN / "board_run" / f"{name}.json").read_text())
    record = from_json(document, kind, name)
    assert record.limit_ms == pytest.approx(0.181940323659)
    assert to_json(from_json(to_json(record), kind, name)) == to_json(record)
