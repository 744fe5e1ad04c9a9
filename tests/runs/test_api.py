"""The Python API: what it offers, what it loads, and that it says what the command line says."""

from __future__ import annotations

import inspect
import itertools
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import edgenas
from edgenas.cli.main import edgenas as command_line
from edgenas.runs.api import SearchOptions
from edgenas.runs.config import RunConfig
from edgenas.runs.loading import AccessOptions

TARGET = """kind = "table"
path = "table.csv"
architecture = ["width*", "op"]
[responses]
latency_ms = "latency_ms"
accuracy = "accuracy"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a measured table, made up, and a run on it in `run`."""
    folder = tmp_path_factory.mktemp("api")
    rng = np.random.default_rng(0)
    lines = ["width1,width2,width3,op,latency_ms,accuracy"]
    for *widths, op in itertools.product((8, 16, 24), (8, 16, 24), (8, 16, 32), ("conv", "pool")):
        latency = np.dot(widths, (0.1, 0.05, 0.02)) + (op == "conv") + rng.normal(0, 0.02)
        accuracy = 0.7 + np.dot(widths, (2e-3, 1e-3, 7e-4)) + rng.normal(0, 2e-3)
        lines.append(",".join(map(str, (*widths, op, latency, accuracy))))
    (folder / "table.csv").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "target.toml").write_text(TARGET, "utf-8")
    options = {"max_latency_ms": 3.0, "samples": 20, "evaluate": 20}
    edgenas.search(str(folder / "target.toml"), out=folder / "run", **options)
    return folder


def test_it_has_at_most_25_names_and_each_is_documented() -> None:
    assert len(edgenas.__all__) <= 25
    assert edgenas.__all__ == sorted(edgenas.__all__)
    for name in edgenas.__all__:
        if name != "__version__":
            assert inspect.getdoc(getattr(edgenas, name)), name


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = {"torch", "statsmodels", "pandas", "scipy", "numpy"}
    code = f"import sys, edgenas; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_a_function_is_not_hidden_by_a_folder_of_its_name() -> None:
    code = "import edgenas.cli.search, edgenas.optimize.front, edgenas; edgenas.search.__call__"
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
    folders = {path.name for path in Path(edgenas.__file__).parent.iterdir() if path.is_dir()}
    assert not folders & set(edgenas.__all__)


def test_a_search_takes_every_option_of_a_run() -> None:
    # two have a place of their own, three are no options
    own = {"target", "data", "space_sha256", "reports_sha256", "scheme"}
    asked = SearchOptions.__annotations__.keys() - AccessOptions.__annotations__
    assert own | asked == {one.name for one in fields(RunConfig)}


def test_an_unknown_option_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Did you mean 'max_latency_ms'"):
        edgenas.search(out=tmp_path / "run", max_latency=3.0)
    assert not (tmp_path / "run").exists()


def test_a_run_says_what_the_command_line_says(folder: Path) -> None:
    printed = CliRunner().invoke(command_line, ["report", str(folder / "run"), "--json"])
    run = edgenas.open_run(folder / "run")
    document = json.loads(json.dumps(run.document))  # lists, where records have tuples
    assert document == json.loads(printed.stdout)
    assert run.status == "looked up"
    winner = run.winner
    assert winner is not None
    assert winner.measured["latency_ms"] <= 3.0
    assert winner in list(run.candidates)
    assert len(run.frontier) == len(run.document["frontier"])


def test_pick_is_that_of_the_command_line(folder: Path) -> None:
    best = edgenas.open_run(folder / "run").pick(2.5, ["accuracy>=60%"])
    arguments = ["pick", str(folder / "run"), "--max-latency", "2.5ms", "--json"]
    printed = CliRunner().invoke(command_line, [*arguments, "--constraint", "accuracy>=60%"])
    document = json.loads(printed.output)
    del document["seconds"]
    assert best.document() == document
    assert best.network.name == document["network"]
    assert best.network.predicted["latency_ms"].upper <= 2.5


def test_a_limit_record_limits_as_its_text_does(folder: Path) -> None:
    run = edgenas.open_run(folder / "run")
    of_record = run.pick(constraints=[edgenas.Limit("latency_ms", at_most=2.5)])
    assert of_record.network == run.pick(2.5).network


def test_a_pick_that_nothing_keeps_is_refused(folder: Path) -> None:
    with pytest.raises(edgenas.InfeasibleError, match="least upper bound"):
        edgenas.open_run(folder / "run").pick(0.01)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(edgenas.InputError, match="not a run folder"):
        edgenas.open_run(tmp_path)


def test_explain_says_what_a_choice_costs(folder: Path) -> None:
    reports = edgenas.open_run(folder / "run").explain().predictors
    latency = next(one for one in reports if one["response"] == "latency_ms")
    pool = next(one for one in latency["effects"] if "pool instead of conv" in one["change"])
    assert pool["lower"] < -1 < pool["upper"]  # what the table was made with


def test_results_are_tables_in_a_notebook(folder: Path) -> None:
    run = edgenas.open_run(folder / "run")
    shown = [run, run.frontier, run.winner, run.pick(2.5), run.explain()]
    for one in shown:
        assert "<table>" in one._repr_html_()
    assert one._repr_html_().count("<tr>") > 5


def test_names_of_networks_are_text_in_a_notebook() -> None:
    network = edgenas.Network("<script>alert(1)</script>", {})
    assert "<script" not in network._repr_html_()


def test_a_table_is_read_fitted_and_kept(folder: Path, tmp_path: Path) -> None:
    table = edgenas.read_csv(folder / "table.csv")
    fitted = edgenas.TableRegression().fit(table, "latency_ms", exclude=["accuracy"])
    fitted.write(tmp_path / "latency.json")
    again = edgenas.TableRegression.read(tmp_path / "latency.json")
    assert np.array_equal(again.predict(table), fitted.predict(table))
    assert "latency_ms: 54 rows" in fitted._repr_html_()


def test_spaces_data_and_targets_are_loaded_by_name() -> None:
    space = edgenas.load_space("mbv3-tiny", num_classes=7, in_channels=1, image_size=16)
    assert space.layers(next(space.distinct(np.random.default_rng(0))))[-1].out_channels == 7
    assert len(edgenas.load_data("digits").class_names) == 10
    assert edgenas.load_target("local").name == "local"
    with pytest.raises(edgenas.InputError, match="Did you mean 'mbv3-tiny'"):
        edgenas.load_space("mbv3-tinny")
