"""The order of a search's steps, where what one finds decides which comes next."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from edgenas.runs import search as pipeline
from edgenas.runs.run import RunContext
from edgenas.runs.sources.board import Board
from edgenas.spaces import mbv3_tiny


class Steps:
    """Steps whose searches find the winners of `winners` in turn, the last one ever after."""

    def __init__(self, *winners: tuple[str, ...]) -> None:
        self.winners = winners
        self.found: tuple[str, ...] = ()
        source = SimpleNamespace(unevaluated=lambda: self.found)
        self.context = cast(RunContext, SimpleNamespace(source=source))
        self.evaluated: set[str] = set()
        self.fitted_with: list[set[str]] = []

    def step(self, context: object, name: str, **options: Any) -> Any:
        assert context is self.context
        if name == "fit":
            self.fitted_with.append(set(self.evaluated))
            return None
        if name == "optimize":
            self.found = self.winners[min(len(self.fitted_with), len(self.winners)) - 1]
            return None
        assert name == "evaluate"
        missing = set(options["networks"]) - self.evaluated
        self.evaluated |= missing
        return len(missing)


def search(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    monkeypatch.setattr(pipeline, "step", steps.step)
    pipeline.search_until_known(steps.context)
    return steps.fitted_with


def test_winners_are_evaluated_and_searched_with_until_all_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = Steps(("lucky", "a"), ("a", "b"))
    assert search(steps, monkeypatch) == [set(), {"lucky", "a"}, {"lucky", "a", "b"}]


def test_ever_new_winners_end_after_a_few_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(*((str(number),) for number in range(99)))
    assert len(search(steps, monkeypatch)) == pipeline.MOST_SEARCHES


def test_where_nothing_can_be_evaluated_there_is_one_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = Steps(())
    assert search(steps, monkeypatch) == [set()]
    assert not steps.evaluated


def test_without_real_images_winners_cannot_be_evaluated() -> None:
    for synthetic in (True, False):
        card = SimpleNamespace(synthetic=synthetic)
        space = mbv3_tiny.create(10, 1, 16)
        run = SimpleNamespace(data_card=card, winners=lambda: ["a"], space=space)
        assert bool(Board(cast(RunContext, run)).unevaluated()) is not synthetic
