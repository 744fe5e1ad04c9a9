"""The command line."""

import os

# Before numpy is loaded: regressions' matrices are small, and where other work has the cores BLAS's
# threads wait for each other for ten times as long as they compute (docs/decisions).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
