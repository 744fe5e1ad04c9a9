"""What predictors are compared on: responses of the shared tables, and the peers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LassoCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edgenas.core.tables.file import read_table

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Task:
    """One response of one table. categorical : its features are categories."""

    name: str
    response: str
    columns: Columns
    categorical: bool
    test_rows: int

    def part(self, rows: np.ndarray) -> Columns:
        return {name: values[rows] for name, values in self.columns.items()}

    def features(self, rows: np.ndarray) -> np.ndarray:
        """What peers see, float64 [n, p]."""
        names = [name for name in self.columns if name != self.response]
        if not self.categorical:
            return np.column_stack([self.columns[name][rows] for name in names])
        marks = [(n, v) for n in names for v in np.unique(self.columns[n])]
        return np.column_stack([self.columns[n][rows] == v for n, v in marks]).astype(float)


class Mlp:
    """The 3 x 400 network of OFA's predictors (Cai et al. 2020), on standardised rows."""

    def fit(self, rows: np.ndarray, response: np.ndarray) -> Mlp:
        torch.manual_seed(0)
        self.shift = rows.mean(axis=0)
        self.scale = np.where(rows.std(axis=0) > 0, rows.std(axis=0), 1.0)
        self.mean, self.spread = response.mean(), response.std()
        x = torch.tensor((rows - self.shift) / self.scale, dtype=torch.float32)
        y = torch.tensor((response - self.mean) / self.spread, dtype=torch.float32)
        widths = (rows.shape[1], 400, 400, 400)
        layers: list[torch.nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
        self.network = torch.nn.Sequential(*layers, torch.nn.Linear(400, 1))
        optimizer = torch.optim.Adam(self.network.parameters(), 1e-3, weight_decay=1e-4)
        for _ in range(300):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(self.network(x)[:, 0], y).backward()
            optimizer.step()
        return self

    def predict(self, rows: np.ndarray) -> np.ndarray:
        x = torch.tensor((rows - self.shift) / self.scale, dtype=torch.float32)
        with torch.no_grad():
            return self.network(x)[:, 0].numpy() * self.spread + self.mean


def gaussian_process() -> GaussianProcessRegressor:
    kernel = ConstantKernel(1.0) * RBF(3.0) + WhiteKernel(0.1)
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)


def catboost() -> object:
    from catboost import CatBoostRegressor

    return CatBoostRegressor(
        random_seed=0, thread_count=1, verbose=False, allow_writing_files=False
    )


def explainable_boosting() -> object:
    from interpret.glassbox import ExplainableBoostingRegressor

    return ExplainableBoostingRegressor(random_state=0, n_jobs=1)


# Of other packages (pip install catboost interpret-core); EBM takes 3 to 20 s a fit.
MORE_PEERS: dict[str, Callable[[], object]] = {"CatBoost": catboost, "EBM": explainable_boosting}
PEERS: dict[str, Callable[[], object]] = {
    "ridge": lambda: make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15))),
    "lasso": lambda: make_pipeline(StandardScaler(), LassoCV(cv=5, max_iter=5000)),
    "random forest": lambda: RandomForestRegressor(random_state=0),
    "gradient boosting": lambda: GradientBoostingRegressor(random_state=0),
    "Gaussian process": lambda: make_pipeline(StandardScaler(), gaussian_process()),
    "MLP 3x400": Mlp,
}


def tasks(data: Path) -> Iterator[Task]:
    """Yield every response; NAS-Bench-201 with one row per distinct, live architecture."""
    fox = read_table(data / "fox_nas_cpu256" / "fox_nas_cpu256.csv")
    terms = {k: v for k, v in fox.items() if k not in ("acc", "latency", "acc/latency")}
    for name in ("latency", "acc"):
        yield Task(f"fox_nas_cpu256 {name}", name, {**terms, name: fox[name]}, False, 300)
    help_ = read_table(data / "nb201_help_latency" / "nb201_help_latency.csv.gz")
    pi5 = read_table(data / "nb201_hw360_pi5_pixel" / "nb201_hw360.csv.gz")
    keep = live_and_distinct(data, help_)
    responses = {name: help_[f"lat_ms_{name}"] for name in ("raspi4", "pixel3")}
    for kind in ("lat_ms", "energy_mj"):
        for engine in ("onnx", "litert"):
            responses[f"pi5_{engine}_{kind}"] = pi5[f"{kind}_pi5_{engine}_cifar100"]
    ops = {k: np.array([f"{x:g}" for x in v[keep]]) for k, v in help_.items() if "op_" in k}
    for name, values in responses.items():
        yield Task(f"nb201 {name}", name, {**ops, name: values[keep]}, True, 1000)


def live_and_distinct(data: Path, help_: Columns) -> np.ndarray:
    """Return one row of each distinct architecture with a live path, bool [n]."""
    distinct = read_table(data / "nb201_accuracy" / "nb201_accuracy.csv.gz")["iso_rep_arch_idx"]
    on = {k: v != 0 for k, v in help_.items() if k.startswith("op_")}
    live = on["op_0_3"] | on["op_0_1"] & on["op_1_3"] | on["op_0_2"] & on["op_2_3"]
    live |= on["op_0_1"] & on["op_1_2"] & on["op_2_3"]
    return np.asarray((distinct == np.arange(len(distinct))) & live)
