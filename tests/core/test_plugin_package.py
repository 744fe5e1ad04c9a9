"""A distribution of its own, installed beside edgenas: its contracts, a search with its members."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[1] / "plugin"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a process that has the distribution installed."""
    pytest.importorskip("hatchling", reason="nothing can build a wheel here")
    site = tmp_path_factory.mktemp("site")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site))
    source = tmp_path_factory.mktemp("source") / "plugin"
    subprocess.run(["cp", "-r", str(PLUGIN), str(source)], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    return {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}


def run(environment: dict[str, str], *command: str, cwd: Path) -> str:
    answer = subprocess.run(
        [sys.executable, "-m", *command],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.mark.slow
def test_its_members_are_listed_and_keep_their_contracts(
    environment: dict[str, str], tmp_path: Path
) -> None:
    rows = json.loads(run(environment, "edgenas", "plugins", "--json", cwd=tmp_path))["plugins"]
    ours = {
        (row["family"], row["name"], row["version"], row["fault"])
        for row in rows
        if row["distribution"] == "edgenas-example"
    }
    assert ours == {
        ("spaces", "residual", "0.1.0", ""),
        ("targets", "example", "0.1.0", ""),
        ("predictors", "ridge", "0.1.0", ""),
        ("tasks", "multilabel", "0.1.0", ""),
    }
    pytest_options = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=")
    told = run(environment, "pytest", *pytest_options, str(PLUGIN / "contracts.py"), cwd=tmp_path)
    assert " passed" in told


@pytest.mark.slow
def test_a_search_takes_its_space_its_target_and_its_predictor(
    environment: dict[str, str], tmp_path: Path
) -> None:
    small = ("--epochs", "1", "--top", "1", "--device-time", "20s", "--engine", "onnxruntime")
    members = (
        "--space",
        "residual",
        "--predictor",
        "ridge",
        "--target",
        str(PLUGIN / "example.toml"),
    )
    for step in ("train", "measure", "evaluate", "fit", "optimize"):
        run(environment, "edgenas", step, "--json", "run", *members, *small, cwd=tmp_path)
    told = run(environment, "edgenas", "explain", "--json", "run", cwd=tmp_path)
    effects = [effect for report in json.loads(told)["result"] for effect in report["effects"]]
    assert effects == []  # ridge is no `Additive`
    search = json.loads((tmp_path / "run" / "search.json").read_text("utf-8"))
    assert search["method"] == "evolution"
    (best,) = search["candidates"]
    assert dict(best["architecture"]["others"]).keys() == {"gate", "inner_eighths"}
    again = ("--predictor", "regression", "--optimizer", "exact", "--json", "run")
    for step in ("fit", "optimize"):
        run(environment, "edgenas", step, *again, cwd=tmp_path)
    told = run(environment, "edgenas", "explain", "--json", "run", cwd=tmp_path)
    search = json.loads((tmp_path / "run" / "search.json").read_text("utf-8"))
    assert (search["method"], search["optimal"]) == ("exact", True)
    texts = {e["change"] for report in json.loads(told)["result"] for e in report["effects"]}
    assert "gate with instead of without in one block of stage 1" in texts
    assert "inner eighths 4 instead of 2 in one block of stage 2" in texts
