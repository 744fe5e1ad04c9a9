"""The plots of one page: as pictures, and as what its script draws them from, nothing twice.

The records of a plot are written by columns, the names of networks by their numbers, and a dataset
that several plots show once. page.js makes the specification of these again.
"""

from __future__ import annotations

import base64
from typing import Any

from markupsafe import Markup

from edgenas.reporting.pages.columns import packed
from edgenas.reporting.pages.script import data
from edgenas.reporting.plots.plot import Plot

NAMES, FACTS = "names", "network-facts"  # classes of the elements with these
MOST_DRAWN = 400  # records of a plot that is a picture of lines; of more they are dots
_NETWORK, _TIP = "net", "tip"


class PagePlots:
    """Gives each plot of a page as elements; `names` comes after the last of them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._datasets: dict[str, list[dict[str, Any]]] = {}

    def inline(self, plot: Plot | None) -> Markup | None:
        """Return a plot for a template: its picture, and the specification that the page draws."""
        if plot is None:
            return None
        given = plot.specification
        packed = {
            name: self._dataset(f"{plot.name}/{name}", records)
            for name, records in given.get("datasets", {}).items()
        }
        specification = {**given, "datasets": packed} if packed else given
        return _picture(plot) + data("plot-specification", specification, plot.name)

    def facts(self, facts: dict[str, Any]) -> Markup:
        """Return what is known of networks; these by their numbers, as in the plots."""
        columns = {
            kind: {label: packed(column) for label, column in facts[kind].items()}
            for kind in ("metrics", "choices")
        }
        return data(
            FACTS, {"networks": [self._number(one) for one in facts["networks"]], **columns}
        )

    def names(self) -> Markup:
        """Return the names of the networks that the plots have by their numbers."""
        return data(NAMES, list(self._numbers))

    def _dataset(self, name: str, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Return a dataset by columns, or which one before it is the same."""
        for known, before in self._datasets.items():
            if records and before == records:
                return {"same": known}
        self._datasets[name] = records
        columns = dict.fromkeys(key for one in records for key in one)
        return {
            "length": len(records),
            "columns": {key: self._column(key, records) for key in columns},
        }

    def _column(self, key: str, records: list[dict[str, Any]]) -> Any:
        values = [one.get(key) for one in records]
        if key == _NETWORK:
            return [None if one is None else self._number(one) for one in values]
        if key == _TIP:  # it begins with the network's name, on a line of its own
            return packed([_without_name(one) for one in records])
        return packed(values)

    def _number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))


def _without_name(record: dict[str, Any]) -> str | None:
    tip, name = record.get(_TIP), record.get(_NETWORK)
    if tip and name and tip.startswith(f"{name}\n"):
        return str(tip[len(name) :])
    return tip


def _picture(plot: Plot) -> Markup:
    """Return what stands where nothing draws: an SVG; of many marks a PNG, which is smaller."""
    n_records = sum(map(len, plot.specification.get("datasets", {}).values()))
    if n_records <= MOST_DRAWN:
        return Markup(plot.svg())  # safe: ElementTree escapes every text of it
    content = base64.b64encode(plot.small_png()).decode()
    return Markup('<img class="picture" alt="" src="data:image/png;base64,{}">').format(content)
