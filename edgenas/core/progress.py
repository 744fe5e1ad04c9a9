"""Progress: what long work reports while it runs. The library never prints; the CLI draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One bar: `advance` by finished units of work, `note` for a short status text."""

    def advance(self, units: float = 1.0) -> None: ...

    def note(self, text: str) -> None: ...


class Progress(Protocol):
    """Where tasks, messages and warnings go; `warnings` keeps them for the result."""

    warnings: list[str]

    def task(self, title: str, total: float) -> AbstractContextManager[Task]: ...

    def expect(self, seconds: Mapping[str, float]) -> None:
        """Take note of how long tasks are planned to take, by how their titles begin."""

    def message(self, text: str) -> None: ...

    def warning(self, text: str) -> None: ...


class Labelled:
    """The `Progress` of one board among several: its label on everything, its own warnings."""

    def __init__(self, progress: Progress, label: str) -> None:
        self.warnings: list[str] = []
        self._progress = progress
        self._label = label

    def task(self, title: str, total: float) -> AbstractContextManager[Task]:
        said = title if title.endswith(f" {self._label}") else f"{title} for {self._label}"
        return self._progress.task(said, total)

    def expect(self, seconds: Mapping[str, float]) -> None:
        self._progress.expect(seconds)

    def message(self, text: str) -> None:
        self._progress.message(f"{self._label}: {text}")

    def warning(self, text: str) -> None:
        self.warnings.append(text)
        self._progress.warning(f"{self._label}: {text}")


class SilentTask:
    """A `Task` that draws nothing."""

    def advance(self, units: float = 1.0) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class Silent:
    """A `Progress` that draws nothing; it keeps the warnings so that no result can lose them."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    @contextmanager
    def task(self, title: str, total: float) -> Iterator[Task]:
        yield SilentTask()

    def expect(self, seconds: Mapping[str, float]) -> None:
        pass

    def message(self, text: str) -> None:
        pass

    def warning(self, text: str) -> None:
        self.warnings.append(text)
