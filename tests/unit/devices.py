"""Devices that tests run on: PyTorch's CPU everywhere, and a GPU where there is one."""

import pytest
import torch

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=NO_GPU)]
EVERY_DEVICE = pytest.mark.parametrize("device", DEVICES)
