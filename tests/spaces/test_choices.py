"""Choices by name: what was stored before there were others is the same; others work alike."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.records import Architecture, from_json
from edgenas.core.records.codec import canonical
from edgenas.explain.choices import changes
from edgenas.optimize.term_rows import TermRows
from edgenas.spaces.base import MobileSpace

# As edgenas wrote them when kernel sizes and expand ratios were the only choices of a block: the
# SHA-256 of keys, neighbours, stage choices, term names, rows and changes of 40 networks.
STORED = {
    "foxnas-cpu": "548a1dbb8b3e14a6416fdb57aea2a83e9faa4533b066e50f8c726a207339e3db",
    "mbv3-cpu": "03410b355b514e0b3f989fe981ddba54cf139bbe0e7f5677dfda17010e228b66",
    "mbv3-tiny": "03df3dffe08902a4672e04a33a9f493b4facb348c23ac915d6657ad1f3a6d28c",
    "mbv3-tpu": "f753475dcdbcb359ee348626924af074b7dede9f0bfb8de4452bfc87d4ad00d2",
}
OLD_KEY = (
    '{"expand_ratios":[[1],[2,3],[4]],"kernel_sizes":[[3],[3,5],[5]],'
    '"resolution":12,"space":"mbv3-tiny"}'
)


def digest(space: MobileSpace) -> str:
    """Return the hash of what a space says of 40 networks, as text."""
    rng = np.random.default_rng(7)
    networks = [space.sample(rng) for _ in range(40)]
    told: list[object] = [one.key for one in (space.smallest(), space.largest(), *networks)]
    told += [str(one) for one in networks]
    told += [other.key for one in networks[:3] for other in space.neighbors(one)]
    told.append(space.size)
    for stage in range(len(space.stages)):
        first = space.stage_choices(stage)[:500]
        told += [f"{one.kernel_sizes}{one.expand_ratios}" for one in first]
    for source in ("physical", "choices", "size"):
        rows = TermRows(space, source)
        told.append(list(rows.terms.names))
        told.append(np.round(rows.matrix(networks), 9).tolist())
        told += [
            [change.text, np.round(change.difference, 9).tolist()]
            for change in changes(rows, networks)
        ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@pytest.mark.parametrize("name", STORED)
def test_what_was_stored_means_the_same(name: str) -> None:
    assert digest(plugins.load("spaces", name).create(10, 3, 64)) == STORED[name]


class OtherTuple(tuple):
    """An empty one is not `()` itself, as some were not before Python 3.11."""


def test_a_key_does_not_tell_one_empty_tuple_from_another() -> None:
    others = OtherTuple()
    built = Architecture("mbv3-tiny", 12, ((3,), (3, 5), (5,)), ((1,), (2, 3), (4,)), others)
    assert built.key == OLD_KEY


def test_a_key_of_old_is_read_and_written_as_it_was() -> None:
    architecture = from_json(json.loads(OLD_KEY), Architecture, "a key")
    assert architecture.kernel_sizes == ((3,), (3, 5), (5,))
    assert architecture.expand_ratios == ((1,), (2, 3), (4,))
    assert architecture.key == canonical(architecture) == OLD_KEY
    assert str(architecture) == "12px: k3e1 | k3e2 k5e3 | k5e4"
