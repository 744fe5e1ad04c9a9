"""Settings of the whole suite."""

from __future__ import annotations

import os

# Two OpenMP threads that contend with other workers make small networks several times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
