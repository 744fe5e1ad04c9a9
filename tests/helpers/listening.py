"""A progress that keeps what it is told."""

from __future__ import annotations

from edgenas.core.progress import Silent


class Listening(Silent):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)
