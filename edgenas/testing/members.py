"""What a member of any family promises."""

from __future__ import annotations

from types import ModuleType
from typing import ClassVar

import pytest

from edgenas.core import plugins


class MemberContract:
    """A family's contract. A subclass called `Test…` says which member: `name = "ours"`.

    Or it gives a fixture `member` of its own, which returns the module.
    """

    family: ClassVar[str]
    protocol: ClassVar[type]
    name: ClassVar[str] = ""

    @pytest.fixture
    def member(self) -> ModuleType:
        """Return the member that is called `name` on the command line."""
        return plugins.load(self.family, self.name)

    def name_of(self, member: ModuleType) -> str:
        """Return what a member is called on the command line."""
        return next(
            one.name for one in plugins.members(self.family) if one.module == member.__name__
        )

    def test_it_defines_what_its_family_calls(self, member: ModuleType) -> None:
        assert plugins.lacks(self.protocol, member) == []
