"""Sets for re-identification and retrieval: identities, of which the test images have others.

Their folders are parts or cameras, and no classes: no classifier can be trained on them.
"""

from __future__ import annotations

import re

from edgenas.data.split_names import part_of
from edgenas.data.tree import Folder, as_text

_QUERY = re.compile(r"(?:.*[_ -])?(?:query|queries)(?:[_ -].*)?", re.IGNORECASE)
_PROBE = re.compile(r"(?:.*[_ -])?probes?(?:[_ -].*)?", re.IGNORECASE)  # or a class: space probe
_GALLERY = re.compile(
    r"(?:.*[_ -])?(?:gallery|galleries|distractors?|bounding[_ ]box|bbox)(?:[_ -].*)?",
    re.IGNORECASE,
)
_CAMERA = re.compile(r"cam(?:era)?[_ -]?(?:[a-z]|\d{1,2})", re.IGNORECASE)
# 0002_c1s1_000451_03.jpg, 0005_c003_00077625_0.jpg, 0010C2T0001F003.jpg
_SIGHTING = re.compile(r"(-?\d{3,6})_?[cC](\d{1,3})(?!\d)")
_NUMBER = re.compile(r"\D*(\d{1,6})")
_MOST_LOOKED_AT = 500  # images of a folder
_NEARLY_ALL = 0.9


def identities(root: Folder) -> str:
    """Return the sign that the images are of identities, in words; "" where there is none."""
    for folder in (root, *root.filled.values()):
        seen = _query_and_gallery(folder) or _cameras(folder)
        if seen:
            return seen
    return _sightings(root)


def _query_and_gallery(folder: Folder) -> str:
    stock = [name for name in folder.filled if _GALLERY.fullmatch(name)]
    parts = [name for name in folder.filled if part_of(name) is not None]
    for name in folder.filled:
        others = (
            stock + parts if _QUERY.fullmatch(name) else stock if _PROBE.fullmatch(name) else []
        )
        beside = [other for other in others if other != name]
        if beside:
            return f"it has {as_text(name)}/ beside {as_text(beside[0])}/"
    return ""


def _cameras(folder: Folder) -> str:
    """Return that the folders are cameras that saw the same identities."""
    cameras = [one for name, one in folder.filled.items() if _CAMERA.fullmatch(name)]
    if len(cameras) < 2 or len(cameras) < len(folder.filled):
        return ""
    seen = [_numbers(one) for one in cameras]
    shared = set.intersection(*seen)
    if len(shared) < 2 or 2 * len(shared) < len(set.union(*seen)):
        return ""
    first, second = (as_text(one.name) for one in cameras[:2])
    return f"{first}/ and {second}/ hold images of the same numbers, {min(shared)} among them"


def _numbers(folder: Folder) -> set[str]:
    names = [*folder.filled, *(path.stem for path in folder.images[:_MOST_LOOKED_AT])]
    return {found[1] for name in names if (found := _NUMBER.match(name))}


def _sightings(root: Folder) -> str:
    """Return that images are called by identity and camera, several in what would be one class."""
    for folder in root.filled.values():
        names = [path.name for path in folder.images[:_MOST_LOOKED_AT]]
        found = [match for name in names if (match := _SIGHTING.match(name))]
        several = len({one[1] for one in found}) > 1 and len({one[2] for one in found}) > 1
        if several and len(found) >= _NEARLY_ALL * len(names):
            where = f"{as_text(folder.name)}/{as_text(found[0].string)}"
            return f"{where} is called by an identity and a camera, as all images there are"
    return ""
