"""Growing a run's network: what is refused before anything is trained, and what comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgenas.core.errors import EdgeNasError, InfeasibleError, RunFolderError
from edgenas.core.progress import Silent
from edgenas.core.records import Answers, Architecture, Interval, Limit, SearchResult
from edgenas.core.records.growth import Contender, Growth, Start, Way
from edgenas.int8.importer.read import import_onnx
from edgenas.runs.config import read_config
from edgenas.runs.growing import grow as growing
from edgenas.runs.run import RunContext
from edgenas.runs.sources import board_search
from edgenas.spaces.base import MobileSpace
from edgenas.supernet.imported.space import supernet_of
from helpers import scripted_clock
from helpers.cli import edgenas
from helpers.learnt_run import learnt
from helpers.own_networks import exported
from helpers.shrinkable import seeded


def searched(path: Path, **options: Any) -> RunContext:
    """A run with predictors and a search, of which nothing was verified."""
    context = learnt(path, **options)
    context.write(board_search.search(context))
    return context


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunContext:
    """One that is only refused."""
    return searched(tmp_path_factory.mktemp("grow") / "run")


def refusal(context: RunContext, start: Start = "smallest", **asked: float) -> EdgeNasError:
    before = read_config(context.folder)
    with pytest.raises(EdgeNasError) as refused:
        growing.grow(context.folder.path, asked, Silent(), start=start)
    assert read_config(context.folder) == before  # nothing is lost
    assert "\n" not in str(refused.value)
    return refused.value


def test_a_limit_below_what_the_network_takes_is_refused(run: RunContext) -> None:
    refused = refusal(run, max_latency_ms=1e-3)
    assert isinstance(refused, InfeasibleError)
    assert "below what the network takes before it grows" in str(refused)
    assert "smallest" not in refused.hint  # which it is


def test_a_run_without_a_winner_is_refused(run: RunContext) -> None:
    refused = refusal(run, "winner", max_latency_ms=9.0)
    assert isinstance(refused, RunFolderError)
    assert "edgenas verify" in refused.hint


def test_energy_that_was_not_measured_is_refused(run: RunContext) -> None:
    assert "What a channel costs in energy is not known" in str(refusal(run, max_energy_mj=2.0))


@pytest.mark.parametrize("asked", [{"max_latency_ms": 0.0}, {"max_energy_mj": -1.0}])
def test_a_limit_has_to_be_above_nothing(run: RunContext, asked: dict[str, float]) -> None:
    assert "must be above 0" in str(refusal(run, **asked))


def test_the_largest_network_cannot_grow(run: RunContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MobileSpace, "smallest", MobileSpace.largest)
    refused = refusal(run, max_latency_ms=1e3)
    assert "cannot grow" in str(refused)
    assert "hidden_widths" in refused.hint


def test_your_own_network_has_its_channels_already(
    run: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = seeded("mobilenet-v2")
    graph = import_onnx(exported(network, (3, 32, 32)), "net.onnx").graph
    monkeypatch.setattr(RunContext, "space", supernet_of(graph, "net.onnx", "1").space)
    refused = refusal(run, max_latency_ms=9.0)
    assert "is your own network to be shrunk" in str(refused)
    assert "edgenas pick" in refused.hint and "edgenas grow MODEL.onnx" in refused.hint


def test_a_run_without_an_imported_network_has_none_to_grow(run: RunContext) -> None:
    refused = refusal(run, "imported", max_latency_ms=9.0)
    assert "has no imported network" in str(refused)


def test_a_space_without_channels_to_split_is_refused(
    run: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing, "hidden_blocks", lambda layers: {})
    assert "no hidden channels" in str(refusal(run, max_latency_ms=9.0))


def test_epochs_and_time_are_not_both_said(tmp_path: Path) -> None:
    done = edgenas("grow", str(tmp_path), "--epochs", "2", "--time", "1m")
    assert done.returncode != 0
    assert "--epochs and --time" in done.stderr


def contender(way: Way, right: list[bool], network: Architecture) -> Contender:
    return Contender(way, network, Interval(1.0, 0.9, 1.1), Answers.of(right), 3, 10.0)


def growth(network: Architecture, kept: Way, limit_ms: float) -> Growth:
    n = 200
    worse, better = [i < 120 for i in range(n)], [i < 150 for i in range(n)]
    ways: tuple[Way, ...] = ("unchanged", "grown", "same shape from nothing", "pruned")
    return Growth(
        "smallest",
        network,
        (Limit("latency_ms", at_most=limit_ms),),
        (),
        tuple(contender(way, better if way == kept else worse, network) for way in ways),
        kept,
    )


def test_the_result_says_which_way_was_best(run: RunContext) -> None:
    network = run.space.smallest()
    said = growing.sentences(growth(network, "same shape from nothing", 2.0))
    assert said[0].startswith("Best on 200 validation images: same shape from nothing, 75.00%")
    assert "grown 60.00%" in said[0]
    assert "Growing did not pay here" in said[-1]
    assert "did not pay" not in " ".join(growing.sentences(growth(network, "grown", 2.0)))
    assert "it stays" in growing.sentences(growth(network, "unchanged", 2.0))[-1]


def test_what_was_kept_is_a_candidate_while_it_keeps_the_limits(tmp_path: Path) -> None:
    context = searched(tmp_path / "run", max_latency_ms=0.2)
    found: SearchResult = context.search_result()
    names = [one.architecture for one in found.candidates]
    kept = next(
        one
        for one in context.sampled(40)
        if one not in names and context.predictors().candidates([one])[0]["latency_ms"].upper <= 0.2
    )
    context.write(growth(kept, "grown", 0.2))
    with_it = board_search.search(context)
    assert kept in [one.architecture for one in with_it.candidates]
    assert len(with_it.candidates) <= with_it.top
    context.write(growth(kept, "unchanged", 0.2))
    assert kept not in [one.architecture for one in board_search.search(context).candidates]
    largest = context.space.largest()
    context.write(growth(largest, "grown", 0.2))
    assert largest not in [one.architecture for one in board_search.search(context).candidates]


@pytest.mark.slow
def test_a_run_grows_and_its_best_way_is_exported_and_verified(tmp_path: Path) -> None:
    widths = "depths = [1, 2]\nkernel_sizes = [3]\nhidden_widths = [8, 16, 24, 32]\nstride = 2\n"
    (tmp_path / "tiny.toml").write_text(
        "[stem]\nwidth = 8\nstride = 1\n[head]\nwidth = 16\n"
        f"[[stages]]\nwidth = 8\n{widths}[[stages]]\nwidth = 12\n{widths}"
    )
    run = str(tmp_path / "run")
    with scripted_clock.ticking(tmp_path):
        target = scripted_clock.target_file(tmp_path, "local", 'engine = "onnxruntime"')
        small = ("--epochs", "1", "--samples", "8", "--evaluate", "8", "--top", "2")
        space = ("--space", str(tmp_path / "tiny.toml"))
        found = edgenas("search", "--target", target, "--out", run, *space, *small)
        assert found.returncode == 0, found.stderr
        grown = edgenas("grow", run, "--from", "smallest", "--epochs", "3", "--json")
        assert grown.returncode == 0, grown.stderr
        document = json.loads(grown.stdout)
        growth = document["growth"]
        ways = {one["way"]: one for one in growth["contenders"]}
        assert set(ways) >= {"unchanged", "grown", "same shape from nothing"}
        best = ways[growth["kept"]]
        assert best["answers"]["right"] == max(one["answers"]["right"] for one in ways.values())
        at_most = growth["limits"][0]["at_most"]
        assert all(one["latency_ms"]["upper"] <= at_most for one in ways.values())
        assert growth["kept"] != "unchanged"  # one epoch of a supernet is not the last word
        exported = [one for one in document["candidates"] if one["architecture"] == best["network"]]
        assert exported[0]["val_accuracy"] == pytest.approx(
            best["answers"]["right"] / best["answers"]["n_images"]
        )
        again = edgenas("search", "--out", run, "--resume", "--json")
        assert again.returncode == 0, again.stderr
        assert "the search and its verification" in json.loads(again.stdout)["reused"]
