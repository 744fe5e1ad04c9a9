"""What every task promises."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
import torch

from edgenas.core.contracts import TaskMember
from edgenas.core.records.goals import SCORE
from edgenas.testing.members import MemberContract

CLASS_NAMES = ("ant", "bee", "cat")
SINGLE = (("ant",), ("cat",), ("bee",), ("cat",))
SEVERAL = (("ant",), ("cat", "ant"), ("bee",), ("bee", "cat"))
STEPS, LEARNING_RATE = 200, 0.5


class TaskContract(MemberContract):
    """What a member of the family "tasks" promises.

    of_images : the classes of some images; class_names : of all.
    """

    family = "tasks"
    protocol = TaskMember
    class_names: ClassVar[Sequence[str]] = CLASS_NAMES

    def of_images(self, member: ModuleType) -> Sequence[Sequence[str]]:
        """Return the classes of some images."""
        return SEVERAL if member.SEVERAL_CLASSES else SINGLE

    @pytest.fixture
    def labels(self, member: ModuleType) -> np.ndarray:
        return np.asarray(member.labels(self.of_images(member), self.class_names))

    @pytest.fixture
    def learnt(self, member: ModuleType, labels: np.ndarray) -> np.ndarray:
        """Return outputs, float32 [n, outputs], that descent on the loss made of noise."""
        return self._descended(member, torch.from_numpy(labels))

    def test_the_score_has_a_label_and_a_direction(self, member: ModuleType) -> None:
        metric = member.METRIC
        assert (metric.name, metric.unit, metric.goal) == (SCORE, "fraction", "max")
        assert metric.label

    def test_labels_are_one_entry_an_image(self, member: ModuleType, labels: np.ndarray) -> None:
        assert labels.dtype == np.int64
        assert len(labels) == len(self.of_images(member))

    def test_less_loss_leads_to_the_labels(
        self, member: ModuleType, labels: np.ndarray, learnt: np.ndarray
    ) -> None:
        answers = member.decode(learnt)
        assert answers.shape == labels.shape
        np.testing.assert_array_equal(answers, labels)
        assert member.right(answers, labels).tolist() == [True] * len(labels)

    def test_an_answer_of_another_image_is_wrong(
        self, member: ModuleType, labels: np.ndarray, learnt: np.ndarray
    ) -> None:
        answers = member.decode(learnt[[1, 0, 2, 3]])
        assert member.right(answers, labels).tolist() == [False, False, True, True]

    def test_what_a_network_teaches_leads_to_its_answers(
        self, member: ModuleType, labels: np.ndarray, learnt: np.ndarray
    ) -> None:
        taught = member.soft_targets(torch.from_numpy(learnt))
        assert taught.shape == learnt.shape
        np.testing.assert_array_equal(member.decode(self._descended(member, taught)), labels)

    @pytest.mark.parametrize("smoothing", [0.0, 0.1])
    def test_dense_targets_lead_to_the_labels(
        self, member: ModuleType, labels: np.ndarray, learnt: np.ndarray, smoothing: float
    ) -> None:
        number = member.outputs(self.class_names)
        dense = member.dense_targets(torch.from_numpy(labels), number, smoothing)
        assert dense.shape == learnt.shape and dense.is_floating_point()
        np.testing.assert_array_equal(member.decode(self._descended(member, dense)), labels)

    def test_the_loss_is_a_mean(self, member: ModuleType, labels: np.ndarray) -> None:
        outputs = torch.from_numpy(self._noise(len(labels), member))
        targets = torch.from_numpy(labels)
        once = member.loss(outputs, targets)
        twice = member.loss(torch.cat((outputs, outputs)), torch.cat((targets, targets)))
        assert once.shape == ()
        torch.testing.assert_close(once, twice)

    def test_classes_are_of_all_images_or_of_none(
        self, member: ModuleType, labels: np.ndarray
    ) -> None:
        classes = member.classes(labels)
        if member.SEVERAL_CLASSES:
            assert classes is None
        else:
            names = [self.class_names[number] for number in classes]
            assert names == [name for (name,) in self.of_images(member)]

    def _noise(self, n: int, member: ModuleType) -> np.ndarray:
        shape = (n, member.outputs(self.class_names))
        return np.random.default_rng(0).standard_normal(shape, np.float32)

    def _descended(self, member: ModuleType, targets: torch.Tensor) -> np.ndarray:
        """Return outputs that gradient descent on the loss to `targets` makes of noise."""
        outputs = torch.from_numpy(self._noise(len(targets), member)).requires_grad_()
        optimizer = torch.optim.SGD([outputs], lr=LEARNING_RATE * len(targets))
        for _ in range(STEPS):
            optimizer.zero_grad()
            member.loss(outputs, targets).backward()
            optimizer.step()
        return outputs.detach().numpy()
