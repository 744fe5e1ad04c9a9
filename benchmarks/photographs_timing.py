"""The thread time of one image in each of several ONNX files, in turns."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import onnxruntime

ROUNDS = 60


def thread_ms(models: Sequence[bytes]) -> list[float]:
    """Return the median thread time in ms of each model, of rounds in which all have a turn."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [onnxruntime.InferenceSession(model, options) for model in models]
    taken: list[list[float]] = [[] for _ in models]
    for _ in range(ROUNDS):
        for session, times in zip(sessions, taken, strict=True):
            entry = session.get_inputs()[0]
            image = {entry.name: np.zeros(entry.shape, np.float32)}
            session.run(None, image)  # the first run after another model finds cold caches
            started = time.thread_time()
            session.run(None, image)
            times.append(1e3 * (time.thread_time() - started))
    return [float(np.median(times)) for times in taken]
