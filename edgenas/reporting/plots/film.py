"""A search as a film: the marks of its trade-off plot one by one, in an SVG that moves."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from edgenas.reporting.plots.marks import MARKS
from edgenas.reporting.plots.plot import PAPER, Plot

SECONDS = 12.0
OWN = 'data-film="edgenas"'  # in the first tag, by which an earlier film is known
# When each part comes, as shares of the film: what was measured one by one, then what follows.
_MEASURED_UNTIL, _FRONT_AT = 0.6, 0.68
_LATER = {"proposed (predicted)": 0.76, "verified on the target": 0.85, "failed": 0.85}
_WINNER_AT = 0.94
_SVG = "http://www.w3.org/2000/svg"


def film(tradeoff: Plot, seconds: float = SECONDS) -> str:
    """Return the plot as an SVG in which its marks come in the order of the search.

    What was measured comes network by network in the order of measuring, then the predicted
    frontier, what was proposed, what was verified, and the winner. It plays once, without a script.
    """
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(tradeoff.svg())
    _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())
    root.attrib |= {"width": f"{width:g}", "height": f"{height:g}", "data-film": "edgenas"}
    paper = ElementTree.Element(f"{{{_SVG}}}rect", width="100%", height="100%", fill=PAPER)
    root.insert(0, paper)
    series = [str(mark["series"]) for mark in tradeoff.specification["datasets"][MARKS]]
    marks = [element for element in root.iter() if element.get("class") == "tip"]
    for mark, begins in zip(marks, _begins(series), strict=True):
        _appear(mark, begins * seconds)
    for group in root.iter(f"{{{_SVG}}}g"):
        kind = group.get("class", "").split(" ")
        if "role-mark" in kind and "mark-line" in kind:
            _appear(group, _FRONT_AT * seconds)
        elif "role-mark" in kind and "mark-rule" in kind and not _is_dashed(group):  # intervals
            _appear(group, _LATER["proposed (predicted)"] * seconds)
        elif "role-mark" in kind and any(element.get("font-weight") == "bold" for element in group):
            _appear(group, _WINNER_AT * seconds)  # its name
    return ElementTree.tostring(root, encoding="unicode")


def _is_dashed(group: ElementTree.Element) -> bool:
    """Whether it is the limit, which stands from the beginning."""
    return any("stroke-dasharray" in element.attrib for element in group)


def _begins(series: Sequence[str]) -> list[float]:
    """Return when each mark comes, as a share of the film."""
    first = [i for i, name in enumerate(series) if name not in _LATER and i < len(series) - 1]
    place = {i: at for at, i in enumerate(first)}
    begins = []
    for i, name in enumerate(series):
        if name in _LATER:
            begins.append(_LATER[name])
        elif i in place:
            begins.append(_MEASURED_UNTIL * place[i] / len(first))
        else:
            begins.append(_WINNER_AT)
    return begins


def _appear(element: ElementTree.Element, begins_s: float) -> None:
    element.set("visibility", "hidden")
    element.append(
        ElementTree.Element(
            f"{{{_SVG}}}set",
            attributeName="visibility",
            to="visible",
            begin=f"{begins_s:.2f}s",
            fill="freeze",
        )
    )
