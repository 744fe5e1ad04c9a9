"""Networks as other people train and export them: small ones of torch, and their ONNX files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional


def exported(module: nn.Module, shape: tuple[int, ...], *, opset: int = 17) -> bytes:
    """Return the module as an ONNX file for any number of images of `shape` [c, h, w]."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (torch.zeros(1, *shape),),
            stream,
            dynamo=False,
            opset_version=opset,
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}},
        )
    return stream.getvalue()


def settled(module: nn.Module, seed: int = 0) -> nn.Module:
    """Return the module with seeded statistics in its batch norms, as if it had been trained."""
    generator = torch.Generator().manual_seed(seed)
    for one in module.modules():
        if isinstance(one, nn.BatchNorm2d):
            for values, least, greatest in (
                (one.running_mean, -0.2, 0.2),
                (one.running_var, 0.5, 1.5),
                (one.weight.data, 0.5, 1.5),
                (one.bias.data, -0.2, 0.2),
            ):
                values.uniform_(least, greatest, generator=generator)
    return module.eval()


def unit(inputs: int, outputs: int, k: int = 3, stride: int = 1, **how: int) -> list[nn.Module]:
    """Return a convolution without bias and its batch norm."""
    convolution = nn.Conv2d(inputs, outputs, k, stride, k // 2, bias=False, **how)
    return [convolution, nn.BatchNorm2d(outputs)]


def classifier(channels: int, classes: int = 5) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


class Inverted(nn.Module):
    """An inverted residual, with squeeze-and-excite in the manner of MobileNet V3 if asked for."""

    def __init__(self, channels: int, act: Callable[[], nn.Module], gate: nn.Module | None) -> None:
        super().__init__()
        wide = 3 * channels
        self.expand = nn.Sequential(*unit(channels, wide, 1), act())
        self.depth = nn.Sequential(*unit(wide, wide, 3, groups=wide), act())
        self.gate = gate
        if gate is not None:
            self.squeeze, self.excite = nn.Conv2d(wide, 4, 1), nn.Conv2d(4, wide, 1)
        self.project = nn.Sequential(*unit(wide, channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.depth(self.expand(x))
        if self.gate is not None:
            pooled = y.mean((2, 3), keepdim=True)
            y = y * self.gate(self.excite(functional.relu(self.squeeze(pooled))))
        return x + self.project(y)


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *unit(inputs, outputs, 3, stride),
            nn.ReLU(),
            *unit(outputs, outputs, 3, groups=groups),
        )
        self.short = nn.Sequential(*unit(inputs, outputs, 1, stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.body(x) + self.short(x))


class Shuffled(nn.Module):
    """ShuffleNet V2's unit: half the channels pass, the halves are joined and shuffled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(
            *unit(half, half, 1), nn.ReLU(), *unit(half, half, 3, groups=half), nn.ReLU()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, 1)
        joined = torch.cat((first, self.body(second)), 1)
        n, c, h, w = joined.shape
        return joined.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Branches(nn.Module):
    """MobileOne in training: a 3 x 3, a 1 x 1 and a batch norm alone, added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.three = nn.Sequential(*unit(channels, channels, 3, groups=channels))
        self.one = nn.Sequential(*unit(channels, channels, 1, groups=channels))
        self.skip = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.three(x) + self.one(x) + self.skip(x))


class UNet(nn.Module):
    """Down and up again, by a transposed convolution and by a bilinear resize."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(*unit(3, 8), nn.ReLU())
        self.second = nn.Sequential(*unit(8, 16), nn.ReLU())
        self.third = nn.Sequential(*unit(16, 16), nn.ReLU())
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.last = nn.Sequential(*unit(24, 8), nn.ReLU(), nn.Conv2d(8, 2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.first(x)
        b = self.second(functional.max_pool2d(a, 2))
        c = self.third(functional.max_pool2d(b, 2))
        c = functional.interpolate(c, scale_factor=2.0, mode="bilinear", align_corners=False)
        up = functional.interpolate(self.up(b + c), scale_factor=1.0, mode="nearest")
        wide = functional.interpolate(b, scale_factor=2.0, mode="nearest")
        return self.last(torch.cat((up, wide), 1))


class Decoder(nn.Module):
    """Transposed convolutions whose windows overlap, and a difference of two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(*unit(3, 8, 3, 2), nn.ReLU(), *unit(8, 8, 3, 2), nn.ReLU())
        self.up = nn.Sequential(
            nn.ConvTranspose2d(8, 6, 4, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.BatchNorm2d(6)
        )
        self.further = nn.ConvTranspose2d(6, 3, 3, 2, 1, output_padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.further(self.up(self.down(x))) - x


def sequence(*modules: nn.Module, channels: int) -> nn.Module:
    return nn.Sequential(*unit(3, channels, 3, 2), nn.ReLU(), *modules, *classifier(channels))


def networks() -> dict[str, Callable[[], nn.Module]]:
    """Return small networks with what each family is made of, by its name."""
    return {
        "mobilenet-v1": lambda: nn.Sequential(
            *unit(3, 8, 3, 2),
            nn.ReLU6(),
            *unit(8, 8, 3, groups=8),
            nn.ReLU6(),
            *unit(8, 16, 1),
            nn.ReLU6(),
            *classifier(16),
        ),
        "mobilenet-v2": lambda: sequence(Inverted(8, nn.ReLU6, None), channels=8),
        "mobilenet-v3": lambda: nn.Sequential(
            *unit(3, 8, 3, 2),
            nn.Hardswish(),
            Inverted(8, nn.Hardswish, nn.Hardsigmoid()),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 12),
            nn.Hardswish(),
            nn.Dropout(),
            nn.Linear(12, 5),
        ),
        "efficientnet": lambda: sequence(Inverted(8, nn.SiLU, nn.Sigmoid()), channels=8),
        "resnet": lambda: nn.Sequential(
            *unit(3, 8, 7, 2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
            Residual(8, 16, 2),
            *classifier(16),
        ),
        "regnet": lambda: sequence(Residual(8, 8, 1, groups=4), channels=8),
        "shufflenet": lambda: sequence(Shuffled(8), Shuffled(8), channels=8),
        "mobileone": lambda: sequence(Branches(8), channels=8),
        "ds-cnn": lambda: nn.Sequential(
            nn.ZeroPad2d((1, 1, 4, 5)),
            nn.Conv2d(3, 8, (10, 4), 2),
            nn.ReLU(),
            *unit(8, 8, 3, groups=8),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.LazyLinear(5),
            nn.Softmax(1),
        ),
        "vgg": lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.LazyLinear(12),
            nn.ReLU(),
            nn.Linear(12, 5),
        ),
        "squeezenet": lambda: nn.Sequential(
            nn.Conv2d(3, 5, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        ),
        "u-net": UNet,
        "dilated": lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 2, dilation=2),
            nn.LeakyReLU(0.1),
            nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8),
            nn.GELU(),
            nn.AvgPool2d(3, 1, 1),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.Hardtanh(-1.0, 2.0),
            nn.Conv2d(8, 8, 1),
            nn.Tanh(),
            nn.Conv2d(8, 8, 1),
            nn.Hardtanh(0.0, 1.0),
            nn.PReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 5),
        ),
        "decoder": Decoder,
        "preactivation": lambda: sequence(
            nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), channels=8
        ),
    }


class Enlarged(nn.Module):
    """Larger by other than a whole factor, which no int8 file here can be."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, scale_factor=1.5, mode="bilinear", align_corners=False)


def not_covered() -> nn.Module:
    """Return a network with operators that have no int8 form."""
    return sequence(nn.ELU(), nn.Conv2d(8, 8, 3, padding=1), Enlarged(), *unit(8, 8), channels=8)


def built(name: str, size: int = 16) -> nn.Module:
    """Return a network of `networks`, or "elu", with seeded weights, for `size` pixels a side."""
    torch.manual_seed(0)
    module = {**networks(), "elu": not_covered}[name]()
    with torch.no_grad():
        module.eval()(torch.zeros(1, 3, size, size))
    return settled(module)


def pictures(count: int, size: int = 16, seed: int = 0) -> np.ndarray:
    shape = (count, 3, size, size)
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits, uint8 [n, 8, 8, 3] and their classes."""
    digits = load_digits()
    pixels = (digits.images / 16 * 255).round().astype(np.uint8)
    return np.repeat(pixels[:, :, :, None], 3, 3), digits.target


def normalised(pixels: np.ndarray) -> np.ndarray:
    """Return pixels as a network takes them whose mean and std are 0.5."""
    values = (pixels.astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def write_own_folder(root: Path) -> None:
    """Write digits as images and as arrays, a network that knows them, and its classes.

    model.onnx is 8 px, with h-swish and squeeze-and-excite of seeded weights, and a classifier
    that is fitted by least squares; spiked.onnx is as accurate in float, and not in int8.
    """
    pixels, labels = images_and_labels()
    for split, part in (("train", slice(0, 300)), ("test", slice(1400, 1700))):
        for at, (image, label) in enumerate(zip(pixels[part], labels[part], strict=True)):
            path = root / "digits" / split / f"class{label}" / f"{at}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    for name, spike in (("model", 0.0), ("spiked", 3000.0)):
        network = _digits_network(pixels, labels, spike)
        (root / f"{name}.onnx").write_bytes(exported(network, (3, 8, 8)))
    np.savez(root / "arrays.npz", inputs=normalised(pixels[1000:1400]), labels=labels[1000:1400])
    (root / "classes.txt").write_text("".join(f"class{n}\n" for n in range(10)))


def _digits_network(pixels: np.ndarray, labels: np.ndarray, spike: float) -> nn.Module:
    """Return a network that knows digits. spike : a channel's value that nothing later reads, which
    makes the steps of an int8 tensor coarse; 0 for none.
    """
    torch.manual_seed(0)
    body = nn.Sequential(
        *unit(3, 12),
        nn.ReLU(),
        Inverted(12, nn.Hardswish, nn.Hardsigmoid()),
        *unit(12, 12, 3, 2),
        nn.ReLU(),
        nn.Flatten(),
    )
    settled(body)
    if spike:
        with torch.no_grad():
            body[5].bias[0] = spike
    head = nn.Linear(12 * 4 * 4, 10)
    with torch.no_grad():
        features = body(torch.from_numpy(normalised(pixels[:1000]))).double()
        if spike:
            features[:, : 4 * 4] = 0
        ones = torch.ones(len(features), 1, dtype=torch.double)
        wide = torch.cat((features, ones), 1)
        gram = wide.T @ wide + 10 * torch.eye(wide.shape[1], dtype=torch.double)
        target = nn.functional.one_hot(torch.from_numpy(labels[:1000]), 10).double() - 0.1
        solved = torch.linalg.solve(gram, wide.T @ target)
        head.weight.copy_(solved[:-1].T)
        head.bias.copy_(solved[-1])
    return nn.Sequential(body, head)
