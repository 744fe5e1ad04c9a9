"""Rounding in training against the int8 arithmetic of the exporters, and against ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgenas.core.progress import Silent
from edgenas.data import base
from edgenas.int8.engines.facts import find_engine
from edgenas.int8.engines.host import logits
from edgenas.int8.graph.ir import WeightedNode
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.quantize import find_scheme, quantize_tensor, quantize_weights
from edgenas.spaces import mbv3_tiny
from edgenas.supernet.deploy import deployable
from edgenas.supernet.fake_quant import fake_quantized, fake_quantized_weight
from edgenas.supernet.network import Supernet
from edgenas.supernet.recalibrate import calibrated_subnet, to_input

SPACE = mbv3_tiny.create(10, 1, 16)


@pytest.mark.parametrize("offset", [-3.0, 0.0, 5.0])
def test_activations_round_to_the_values_that_exporters_store(offset: float) -> None:
    values = torch.randn(4, 6, 5, 5, generator=torch.Generator().manual_seed(0)) + offset
    quant = quantize_tensor(float(values.min()), float(values.max()), find_scheme("u8s8"))
    stored = (values.numpy() / quant.scale).round() + float(quant.zero_point)
    expected = (stored.clip(0, 255) - float(quant.zero_point)) * quant.scale
    got = fake_quantized(values).numpy()
    assert np.abs(got - expected).max() < 1e-5
    assert len(np.unique(got)) > 50
    assert fake_quantized(torch.tensor([offset, 0.0]))[1] == 0.0


def test_weights_round_to_the_values_that_exporters_store_once_batch_norm_is_folded() -> None:
    subnet = Supernet(SPACE, 1).subnet(SPACE.smallest())
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, tensor in subnet.state_dict().items():
            if ".bn." in name:
                tensor.copy_(0.3 + torch.rand(tensor.shape, generator=generator))
    graph = lower(subnet.layers, subnet.numpy_state())
    state = subnet.state_dict()
    nodes = [node for node in graph.nodes if isinstance(node, WeightedNode)]
    for node in nodes[:-1]:
        quant = quantize_weights(node, np.float32(1), find_scheme("u8s8"))
        shape = (-1, *[1] * (node.weight.ndim - 1))
        norm = {
            part: state[f"{node.output}.bn.{part}"].numpy() for part in ("weight", "running_var")
        }
        gain = norm["weight"] / np.sqrt(norm["running_var"] + 1e-5)
        rounded = fake_quantized_weight(state[f"{node.output}.conv.weight"]).numpy()
        np.testing.assert_allclose(
            rounded * gain.reshape(shape), quant.weight * quant.scale.reshape(shape), atol=1e-5
        )


def test_gradients_pass_where_values_are_inside_the_range() -> None:
    values = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    fake_quantized(values).sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, torch.ones(3, 4))


def test_a_rounding_subnet_errs_as_much_as_its_int8_model() -> None:
    """Which way a value between two steps is rounded differs, so the errors are not the same."""
    digits = base.load("digits", seed=0, progress=Silent())
    supernet, architecture = Supernet(SPACE, 4), SPACE.largest()
    layers = SPACE.layers(architecture)
    network = deployable(supernet, architecture, layers, digits, find_engine("onnxruntime"))
    nodes = (  # what rounding takes from weights is given back in the file, not in training
        replace(node, bias_correction=None) if isinstance(node, WeightedNode) else node
        for node in network.graph.nodes
    )
    network = replace(network, graph=replace(network.graph, nodes=tuple(nodes)))
    images = digits.calibration(256).images
    int8, fp32 = (
        logits(network.emit(kind, None), digits.normalize(images), "onnxruntime")
        for kind in ("u8s8", None)
    )
    subnet = calibrated_subnet(supernet, architecture, digits)
    inputs = to_input(images, digits)
    with torch.no_grad():
        np.testing.assert_allclose(subnet(inputs).numpy(), fp32, atol=1e-4)
        subnet.round_like_int8(True)
        ours = subnet(inputs).numpy()
    assert np.abs(ours - fp32).mean() == pytest.approx(np.abs(int8 - fp32).mean(), rel=0.15)
