"""The answer as a few lines of plain text for the terminal. It prints nothing."""

from __future__ import annotations

import textwrap

from edgenas.reporting.document import ReportData
from edgenas.reporting.words.verdict import verdict

_WIDTH = 100
_LABEL = 26


def summary(data: ReportData) -> str:
    """Return the verdict, the key figures, where the files are, and every warning."""
    answer = verdict(data)
    lines = [_loud(answer.headline)]
    lines += _wrapped(answer.sentence)
    lines += _items(answer.problems, "!")
    lines.append("")
    for fact in answer.facts:
        lines += _line(fact.label, f"{fact.value}. {fact.note}" if fact.note else fact.value)
    if data.winner is not None:
        lines += _line("Network", str(data.winner.predicted.architecture))
    for label, path in data.files.items():
        lines.append(_printable(f"{label:<{_LABEL}}{path}"))
    if data.reused:
        lines += ["", "Reused:", *_items(data.reused, "-")]
    if data.warnings:
        lines += ["", f"Warnings ({len(data.warnings)}):", *_items(data.warnings, "-")]
    return "\n".join(lines) + "\n"


def _line(label: str, text: str) -> list[str]:
    return _wrapped(f"{label:<{_LABEL}}{text}", " " * _LABEL)


def _items(texts: tuple[str, ...], bullet: str) -> list[str]:
    return [line for text in texts for line in _wrapped(f"{bullet} {text}", "  ")]


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        _printable(text),
        _WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _loud(headline: str) -> str:
    word, _, rest = headline.partition(":")
    return _printable(f"{word.upper()}:{rest}")


def _printable(text: str) -> str:
    # a board's words may carry escape sequences that would drive the terminal
    return "".join(c if c.isprintable() else " " for c in text)
