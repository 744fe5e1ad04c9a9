"""rich's console for text that is not trusted."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console, JustifyMethod, OverflowMethod
from rich.style import Style
from rich.text import Text

from edgenas.core.printable import printable


class Terminal(Console):
    """Prints on stdout, or with `err` on stderr; brackets are text, never markup.

    width : in characters, beyond which cells of tables are cut; None for lines of any length.
    """

    def __init__(self, *, width: int | None = None, err: bool = False, **options: Any) -> None:
        super().__init__(
            stderr=err, width=width, soft_wrap=width is None, highlight=False, **options
        )

    def render_str(
        self,
        text: str,
        *,
        style: str | Style = "",
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        **_: Any,
    ) -> Text:
        """Return a text that is to be printed, alone or in a table, as it is shown."""
        return super().render_str(
            printable(text),
            style=style,
            justify=justify,
            overflow=overflow,
            emoji=False,
            markup=False,
            highlight=False,
        )

    def on_broken_pipe(self) -> None:
        """Raise an error, in place of ending the program: `main` ends it."""
        error = sys.exc_info()[1]
        assert error is not None  # rich calls this where it handles one
        raise error
