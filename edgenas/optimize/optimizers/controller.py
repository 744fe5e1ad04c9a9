"""The controller of MONAS: an LSTM that writes an architecture, one choice after the other.

Hsu et al. 2018 (arXiv 1806.10332, section 3.1), after Zoph and Le 2017, trained by REINFORCE
(Williams 1992).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

WIDTH = 32
LEARNING_RATE = 0.05
ENTROPY = 0.15  # weight of the bonus for policies that have not made up their mind
EXPLORE = 0.15  # share of choices that are made evenly
CLIP_NORM = 1.0


class Controller(nn.Module):
    """A distribution over points, given a wish: what the reward will ask for.

    options : how many options each variable has. n_wishes : length of the wish vector.
    """

    def __init__(self, options: Sequence[int], n_wishes: int, seed: int) -> None:
        super().__init__()
        self._generator = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.empty(WIDTH))
        self.cell = nn.LSTMCell(WIDTH + n_wishes, WIDTH)
        self.embeddings = nn.ModuleList(nn.Embedding(n, WIDTH) for n in options)
        self.heads = nn.ModuleList(nn.Linear(WIDTH + n_wishes, n) for n in options)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1, self._generator)
        self._optimizer = torch.optim.Adam(self.parameters(), LEARNING_RATE)

    def sample(self, wishes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return one point a wish [n, n_wishes], int64 [n, n_variables], and log-probabilities."""
        with torch.no_grad():
            points, logs, _ = self._walk(torch.from_numpy(wishes).float(), None)
        return points.numpy(), logs.numpy()

    def reinforce(
        self, wishes: np.ndarray, points: np.ndarray, advantages: np.ndarray, logs: np.ndarray
    ) -> None:
        """Make points likelier under their wishes where the advantage [n] is positive.

        logs : float [n], log-probabilities under the wish that a point was drawn for; a point that
        is judged by another wish counts by its likelihood ratio, at most 1 (truncated importance
        sampling, Ionides 2008).
        """
        _, now, entropy = self._walk(torch.from_numpy(wishes).float(), torch.from_numpy(points))
        ratio = (now.detach() - torch.from_numpy(logs).float()).exp().clamp(max=1.0)
        gain = (torch.from_numpy(advantages).float() * ratio * now).sum() / ratio.sum()
        self._optimizer.zero_grad(set_to_none=True)
        (-gain - ENTROPY * entropy.mean()).backward()
        nn.utils.clip_grad_norm_(self.parameters(), CLIP_NORM)
        self._optimizer.step()

    def _walk(self, wishes: Tensor, points: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return points (drawn if they are None), their log-probabilities and entropies, [n]."""
        n = len(wishes)
        hidden = cell = torch.zeros(n, WIDTH)
        given = self.first.expand(n, WIDTH)
        chosen: list[Tensor] = []
        total, entropy = torch.zeros(n), torch.zeros(n)
        for variable, (embed, head) in enumerate(zip(self.embeddings, self.heads, strict=True)):
            hidden, cell = self.cell(torch.cat((given, wishes), 1), (hidden, cell))
            learnt = head(torch.cat((hidden, wishes), 1)).log_softmax(1)
            evenly = torch.full_like(learnt, math.log(EXPLORE / learnt.shape[1]))
            logs = torch.logaddexp(learnt + math.log(1 - EXPLORE), evenly)
            if points is None:
                choice = torch.multinomial(logs.exp(), 1, generator=self._generator)[:, 0]
            else:
                choice = points[:, variable]
            chosen.append(choice)
            total = total + logs.gather(1, choice[:, None])[:, 0]
            entropy = entropy - (logs.exp() * logs).sum(1)
            given = embed(choice)
        return torch.stack(chosen, 1), total, entropy
