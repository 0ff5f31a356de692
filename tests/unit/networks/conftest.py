"""Small networks with weights of their own."""

import pytest
import torch

from tests.unit.networks.test_checkpoints import build


@pytest.fixture(scope="module")
def trained():
    """A network that has counted batches."""
    network = build(0)
    network.train()(torch.randn(2, 1, 32, 32))
    return network.eval()


@pytest.fixture
def network():
    return build(0)


@pytest.fixture
def other():
    return build(1)
