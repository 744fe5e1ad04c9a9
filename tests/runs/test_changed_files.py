"""One file of a finished run that is changed, cut or gone: no pass where a verdict rests on it,
and never a traceback.

`data/finished_run.zip` is a run of `edgenas search --epochs 2 --samples 10 --evaluate 10 --top 1
--seed 1` on the digits, with a line of text in place of each model and of the supernet.
"""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgenas.cli.main import edgenas
from edgenas.core.errors import EdgeNasError, TargetError
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.records import DeviceProfile
from edgenas.core.records.verdicts import seal
from edgenas.runs.config import read_config
from edgenas.runs.sources import board_document
from edgenas.runs.verdict.verdicts import verdict
from edgenas.targets.local import LocalTarget

STORED = Path(__file__).parents[1] / "data" / "finished_run.zip"
with zipfile.ZipFile(STORED) as _stored:
    FILES = {one.filename: _stored.read(one) for one in _stored.infolist() if not one.is_dir()}
# What a verdict rests on. run.json holds what is asked for next, too: see below.
VERIFIED = [
    name
    for name in FILES
    if name in ("verification.json", "search.json", "data.json", "supernet.safetensors")
    or (name.startswith("models/") and not name.endswith(".layers.json"))
    or (name.startswith("predictors/") and "/kept/" not in name)
]
DEEP = b"[" * 100_000 + b"]" * 100_000
ODD = (None, "x\x1b[31m", "[/red]", -1, 1e308, 10**40, [], {}, [[]], True, 0.5)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("stored") / "run"
    for name, content in FILES.items():
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(content)
    return run


@pytest.fixture
def run(stored: Path) -> Iterator[Path]:
    """The run, whose changed file is put back afterwards."""
    yield stored
    for path in stored.rglob("*"):
        if path.is_file() and path.relative_to(stored).as_posix() not in FILES:
            path.unlink()
    for name, content in FILES.items():
        path = stored / name
        if path.is_dir():
            shutil.rmtree(path)
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)


def damaged(name: str, how: str) -> bytes | None:
    """Return what is left of a file; None where it is gone."""
    content = FILES[name]
    half = len(content) // 2
    flipped = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
    others = {"empty": b"", "cut": content[:half], "flipped": flipped, "deep": DEEP}
    return None if how == "gone" else others[how]


def change(run: Path, name: str, content: bytes | None) -> None:
    (run / name).unlink()
    if content is not None:
        (run / name).write_bytes(content)


def status_of(run: Path) -> str:
    """Return the verdict's status; "refused" where it ends in an error of the tree."""
    folder = RunFolder(run)
    try:
        return verdict(folder, read_config(folder)).status
    except EdgeNasError as problem:
        assert problem.message and "\n" not in problem.message
        return "refused"


def asked(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the document of a command, which ends in no fault of edgenas."""
    done = CliRunner().invoke(edgenas, [*arguments, "--json"])
    if isinstance(done.exception, EdgeNasError):
        return done.exception.exit_code, {}
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    document: dict[str, Any] = json.loads(done.stdout)
    return done.exit_code, document


def test_the_run_as_it_was_stored_passes(run: Path) -> None:
    assert status_of(run) == "pass"
    code, document = asked("report", str(run))
    assert (code, document["status"]) == (0, "pass")


@pytest.mark.parametrize("name", VERIFIED)
@pytest.mark.parametrize("how", ["gone", "empty", "cut", "flipped"])
def test_what_is_verified_passes_only_as_it_was(run: Path, name: str, how: str) -> None:
    change(run, name, damaged(name, how))
    assert status_of(run) in ("not verified", "refused")


def places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value, of lists only that of the first."""
    items: Any = ()
    if isinstance(document, dict):
        items = document.items()
    elif isinstance(document, list):
        items = list(enumerate(document))[:1]
    for key, value in items:
        yield (*at, key)
        yield from places(value, (*at, key))


def changes(name: str, count: int) -> list[tuple[str, bytes]]:
    """Return so many changes of one value of a JSON file: what it is, and the new content."""
    rng = random.Random(name)
    document = json.loads(FILES[name])
    all_places = list(places(document))
    made = []
    for place in rng.sample(all_places, min(count, len(all_places))):
        new = json.loads(FILES[name])
        holder = new
        for key in place[:-1]:
            holder = holder[key]
        odd = rng.choice([one for one in ODD if one != holder[place[-1]]])
        holder[place[-1]] = odd
        what = f"{'.'.join(map(str, place))} = {odd!r}"
        made.append((what, json.dumps(new).encode()))
    return made


@pytest.mark.parametrize("name", [one for one in VERIFIED if one.endswith(".json")])
def test_no_value_of_what_is_verified_can_be_changed(run: Path, name: str) -> None:
    for what, content in changes(name, 40):
        if what.startswith("seconds"):
            continue  # not part of what is found
        (run / name).write_bytes(content)
        assert status_of(run) in ("not verified", "refused"), what


@pytest.mark.parametrize("option", ["target", "engine", "space", "seed", "supernet"])
def test_an_option_that_work_depends_on_cannot_be_edited(run: Path, option: str) -> None:
    document = json.loads(FILES["run.json"])
    document["config"][option] = 7 if option == "seed" else "litert"
    (run / "run.json").write_text(json.dumps(document))
    found = verdict(RunFolder(run), read_config(RunFolder(run)))
    assert found.status == "not verified"
    assert any(f"--{option} was changed in run.json" in text for text in found.outdated)


def test_no_damage_ends_a_report_in_a_traceback(run: Path) -> None:
    empty = {**json.loads(FILES["verification.json"]), "models": []}
    for name, content in (
        ("verification.json", json.dumps(empty).encode()),
        ("search.json", damaged("search.json", "cut")),
        ("verification.json", DEEP),
    ):
        change(run, name, content)
        code, document = asked("report", str(run))
        assert code == 2 and document.get("status") != "pass"
        change(run, name, FILES[name])


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("report", "{run}"),
        ("verify", "{run}"),
        ("explain", "{run}"),
        ("search", "--resume --out {run} --data digits"),
    ],
)
def test_a_card_of_images_that_is_gone_is_not_made_again(
    run: Path, command: str, what: str
) -> None:
    change(run, "data.json", None)
    assert status_of(run) == "not verified"
    code, _ = asked(command, *what.format(run=run).split())
    assert code in (2, 8)
    assert not (run / "data.json").exists()


@pytest.mark.parametrize(
    ("key", "value"), [("cpu", "Cortex-A72"), ("machine", "aarch64"), ("board", "Raspberry Pi 4")]
)
def test_a_pass_is_of_the_machine_that_was_measured(run: Path, key: str, value: str) -> None:
    """As of a run that was copied to another computer and probed there, or of an edited profile."""
    if key == "board":  # of a machine that has one
        stored = json.loads(FILES["verification.json"])
        seen = stored["models"][0]["outcome"]["environment"]["machine"]
        seen["model"] = "NVIDIA Jetson"
        stored["verified_from"]["seal"] = seal(stored)
        (run / "verification.json").write_text(json.dumps(stored))
    profile = {**json.loads(FILES["profile.json"]), key: value}
    (run / "profile.json").write_text(json.dumps(profile))
    found = verdict(RunFolder(run), read_config(RunFolder(run)))
    assert found.status == "not verified"
    assert any(f"profile.json is of {value}" in text for text in found.outdated)
    change(run, "profile.json", None)
    assert status_of(run) == "not verified"


@pytest.mark.parametrize(("seen", "differs"), [
    ({"machine": "aarch64", "model": "Raspberry Pi 5", "cpu": "unknown"}, False),
    ({"machine": "aarch64", "model": "Raspberry Pi 4", "cpu": "unknown"}, True),
    ({"machine": "x86_64", "model": None, "cpu": "unknown"}, True),
    ({"machine": "aarch64"}, False),
])  # fmt: skip
def test_a_board_is_known_by_its_model_where_a_job_knows_no_name_of_its_cores(
    seen: dict[str, str | None], differs: bool
) -> None:
    profile = DeviceProfile(
        "pi", "aarch64", "Linux", "Cortex-A76", 4, "3.11", board="Raspberry Pi 5"
    )
    assert bool(profile.other_machine(seen)) is differs


def test_a_run_is_not_gone_on_with_on_another_machine(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = LocalTarget.probe
    kept = json.loads(FILES["profile.json"])
    other = {name: kept[name] for name in ("cpu", "board")} | {"machine": "riscv64"}
    monkeypatch.setattr(LocalTarget, "probe", lambda self: replace(probe(self), **other))
    done = CliRunner().invoke(edgenas, ["search", "--out", str(run), "--resume"])
    assert isinstance(done.exception, TargetError)
    assert "is another machine" in str(done.exception) and "--warm-start" in done.exception.hint
    assert (run / "profile.json").read_bytes() == FILES["profile.json"]


@pytest.mark.parametrize("left", ["no hashes", "no key of hashes", "no seal"])
def test_a_verification_that_lost_its_hashes_is_no_pass(run: Path, left: str) -> None:
    document = json.loads(FILES["verification.json"])
    document["models"][0]["outcome"]["latency"]["median_ms"] /= 2
    if left == "no seal":
        del document["verified_from"]["seal"]
    else:
        document["verified_from"] = None
    if left == "no key of hashes":
        del document["verified_from"]
    (run / "verification.json").write_text(json.dumps(document))
    found = verdict(RunFolder(run), read_config(RunFolder(run)))
    # What an edgenas of before wrote, and only that, may be without: that stands in the verdict.
    assert found.status == "not verified" or found.reservations


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("predictor", "kriging"),
        ("optimizer", "nsga2"),
        ("confidence", 0.5),
        ("top", 9),
        ("finetune", 3),
        ("budget", 7),
        ("reward", "mixed"),
        ("warm_start", "/elsewhere"),
        ("objectives", ["latency_ms"]),
        ("epochs", 900),
        ("batch_size", 3),
        ("image_size", 99),
        ("fit", "pad"),
    ],
)
def test_a_pass_is_that_of_a_search_under_these_options(
    run: Path, option: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_document, "render", lambda data: "a page, which takes longest")
    document = json.loads(FILES["run.json"])
    document["config"][option] = value
    (run / "run.json").write_text(json.dumps(document))
    assert status_of(run) == "not verified"
    code, said = asked("report", str(run))
    if option in ("predictor", "warm_start"):  # the page is of other predictors, or of no run
        assert code in (2, 8) and said.get("status") != "pass"
        return
    assert (code, said["status"]) == (8, "not verified")
    assert said["next_command"] == f"edgenas search --out {run} --resume"
