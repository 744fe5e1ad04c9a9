"""A line of OpenSSH's configuration as words: two ways of quoting, as its client reads them."""

from __future__ import annotations

_SPACE = " \t\r\n"


def keyword_and_rest(line: str) -> tuple[str, str]:
    """Return the keyword in lower case and the raw text of its arguments; or empty texts."""
    word, rest = next_word(line.rstrip(_SPACE + "\f"))
    if word == "":
        word, rest = next_word(rest)
    if not word or word.startswith("#"):
        return "", ""
    return word.lower(), (rest or "").lstrip(_SPACE)


def next_word(text: str | None) -> tuple[str | None, str | None]:
    """Split the first word off: it ends at a space or `=`, and may stand in double quotes.

    A quote that does not end gives no word; no text is left after the last one.
    """
    if text is None:
        return None, None
    ends = [index for index, sign in enumerate(text) if sign in _SPACE + '"=']
    if not ends:
        return text, None
    end = ends[0]
    if text[end] == '"':
        before, quoted = text[:end], text[end + 1 :]
        close = quoted.find('"')
        if close < 0:
            return None, None
        return before + quoted[:close], quoted[close + 1 :].lstrip(_SPACE)
    rest = text[end + 1 :].lstrip(_SPACE)
    if text[end] != "=" and rest.startswith("="):
        rest = rest[1:].lstrip(_SPACE)
    return text[:end], rest


def arguments(text: str, comments: bool = True) -> list[str] | None:
    """Return the words of `text`, until a comment where it may have one.

    None: a quote does not end.
    """
    words: list[str] = []
    index = 0
    while index < len(text):
        if text[index] in " \t":
            index += 1
            continue
        if comments and text[index] == "#":
            break
        word, quote = "", ""
        while index < len(text):
            sign, following = text[index], text[index + 1 : index + 2]
            if sign == "\\":
                if following and (following in "'\"\\" or (not quote and following == " ")):
                    index += 1
                    sign = following
                word += sign
            elif not quote and sign in " \t":
                break
            elif not quote and sign in "\"'":
                quote = sign
            elif sign == quote:
                quote = ""
            else:
                word += sign
            index += 1
        if quote:
            return None
        words.append(word)
    return words
