"""The layout of a table that is text: its encoding, comments, separator and line of names."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgenas.core.errors import PredictorError

SEPARATORS = (",", ";", "\t", "|")
LINES_ABOVE = 10  # the most that may stand above the line of names
_RULE = re.compile(r"[\s|:+-]*-{2,}[\s|:+-]*")  # below the names, as Markdown draws it


@dataclass(frozen=True)
class TextForm:
    """How the text of a table is laid out.

    separator : " " stands for any white space. body : the text from the line of names on, without
    comments. comments : those that were passed over. above : lines above that of the names.
    repeated : how often that line stands there again, as in files that were joined.
    """

    separator: str
    body: str
    comments: tuple[str, ...] = ()
    above: tuple[str, ...] = ()
    repeated: int = 0


def text_form(path: Path) -> TextForm:
    """Return the layout of a table that is text; `PredictorError` if it is no text."""
    text = decoded(path, uncompressed(path))
    lines = text.splitlines(keepends=True)
    said = re.fullmatch(r"sep=(.)\s*", lines[0]) if lines else None
    lines = lines[1:] if said else lines
    kept, comments, quotes = [], [], 0
    for line in lines:
        if line.lstrip().startswith("#") and quotes % 2 == 0:
            comments.append(line)
        else:
            quotes += line.count('"')
            kept.append(line)
    if not any(line.strip() for line in kept):
        raise PredictorError(f"{path} has no rows.")
    first = next(line for line in kept if line.strip())
    separator = said[1] if said else _separator(first, kept)
    if comments and (names := _commented_names(comments[-1], first, separator)):
        kept, comments = [names, *kept], comments[:-1]
    kept = [line for line in kept if line.strip()] if quotes == 0 else kept
    above, body = _below_titles(kept, separator)
    rows = [line for line in body[1:] if line.strip() != body[0].strip()]
    repeated = len(body) - 1 - len(rows)
    return TextForm(separator, "".join([body[0], *rows]), tuple(comments), above, repeated)


def uncompressed(path: Path) -> bytes:
    """Return what a file holds, out of gzip if it is in it."""
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def decoded(path: Path, content: bytes) -> str:
    """Return the text of a file in UTF-8, in UTF-16 as spreadsheets write it, or in Latin-1.

    Each line ends in a line feed, as the csv module wants it: some spreadsheets end them in a
    carriage return alone.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _with_line_feeds(content.decode("utf-16", "replace"))
    if (form := _wide(content)) is not None:
        return _with_line_feeds(content.decode(form, "replace"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if what := _no_table(content):
        raise PredictorError(f"Cannot read {path} as a table: {what[0]}.", what[1])
    if "\0" in text:
        raise PredictorError(f"Cannot read {path} as a table: it is no text.")
    return _with_line_feeds(text)


def _wide(content: bytes) -> str | None:
    """Return which UTF-16 a text without a mark is in: every other byte of it is 0."""
    sample = content[:2000]
    for start, form in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros = sample[start::2].count(0)
        if (
            len(sample) > 8
            and zeros > 0.4 * len(sample) / 2
            and not sample[1 - start :: 2].count(0)
        ):
            return form
    return None


def _no_table(content: bytes) -> tuple[str, str] | None:
    """Return what a file is that is called a table, and the remedy; None if that is not known."""
    start = content[:200].lstrip().lower()
    if content[:4] == b"PK\x03\x04":
        return "it is a workbook or a zip archive", "Call a workbook .xlsx; unpack an archive."
    if content[:4] == b"PAR1":
        return "it is a parquet file", "Call it .parquet."
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is a web page", "Download the file itself, not the page that shows it."
    if start.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the file", "Get the file: git lfs pull"
    return None


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def names_row(rows: Sequence[Sequence[str]]) -> int:
    """Return which row names the columns: 0, or one below titles.

    Names are no numbers, and more than half as many as the rows below have cells; titles are at
    most half as many as the names.
    """
    for place, row in enumerate(rows[: LINES_ABOVE + 1]):
        above = max(map(_filled, rows[:place]), default=0)
        below = max(map(_filled, rows[place + 1 : place + 4]), default=0)
        count = _filled(row)
        if count > 1 and 2 * above <= count and 2 * count > below:
            return 0 if any(map(_written_number, row)) else place
    return 0


def joined_names(above: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return names that stand in two rows as one each, where the lower row names some twice."""
    told = [name.strip() for name in names]
    if len(set(told)) == len(told) or sum(bool(cell.strip()) for cell in above) < 2:
        return list(names)
    groups, group = [], ""
    for cell in above:
        group = cell.strip() or group
        groups.append(group)
    groups += [group] * (len(told) - len(groups))
    return [f"{group} {name}".strip() for group, name in zip(groups, told, strict=False)]


def _below_titles(lines: list[str], separator: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the lines above the names, and the rest: without a rule that is drawn below them."""
    place = names_row([_split(line, separator) for line in lines[: LINES_ABOVE + 3]])
    body = lines[place:]
    if place:
        names = _split(body[0], separator)
        joined = joined_names(_split(lines[place - 1], separator), names)
        if joined != names and separator != " ":
            body[0] = separator.join(joined) + "\n"
    if separator == "|" and len(body) > 1 and _RULE.fullmatch(body[1]):
        del body[1]
    return tuple(line.strip() for line in lines[:place]), body


def _split(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])


def _filled(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _written_number(cell: str) -> bool:
    return re.match(r"\s*[+\-\u2212]?[.,]?\d", cell) is not None


def _separator(first: str, lines: Sequence[str]) -> str:
    """Return what parts the cells: what the names and the rows below have alike."""
    below = [line for line in lines if line.strip()][1:6]
    counts = {x: cells(first, x) for x in SEPARATORS}
    usable = {x: n for x, n in counts.items() if n > 1}
    alike = {x: n for x, n in usable.items() if all(cells(line, x) > 1 for line in below)}
    later = [line for line in lines if line.strip()][1 : LINES_ABOVE + 3]
    if not alike and (found := _of_most(later)):  # the first line is a title
        return found
    if usable:
        chosen = alike or usable
        return max(chosen, key=lambda x: chosen[x])
    words, wide = len(first.split()), {len(line.split()) for line in below}
    if words > 1 and wide in ({words}, {words + 1}):  # one more: R's row names
        return " "
    return ","


def _of_most(lines: Sequence[str]) -> str:
    """Return what parts most of the lines into as many cells each, more than one; "" if nothing."""
    best, found = 0, ""
    for separator in SEPARATORS:
        counts = [cells(line, separator) for line in lines]
        usual = max(set(counts), key=counts.count, default=1)
        if usual > 1 and 2 * counts.count(usual) > len(lines) and counts.count(usual) > best:
            best, found = counts.count(usual), separator
    return found


def cells(line: str, separator: str) -> int:
    return len(next(csv.reader([line], delimiter=separator, skipinitialspace=True), ()))


def _commented_names(comment: str, first: str, separator: str) -> str:
    """Return the names that stand in a comment ("# a,b,ms"), "" if the first row has its own."""
    text = comment.lstrip()[1:].lstrip()
    if separator == " ":
        names, cells = text.split(), first.split()
    else:
        names, cells = (
            [x.strip() for x in next(csv.reader([line], delimiter=separator), [])]
            for line in (text, first)
        )
    numbers = any(re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", x, re.IGNORECASE) for x in cells)
    if len(names) != len(cells) or not numbers or any(re.match(r"[\d.]", x) for x in names):
        return ""
    return f"{text.rstrip()}\n"
