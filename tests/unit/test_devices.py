"""Devices are refused in one line before any work, and PyTorch is imported only where one is named."""

import platform
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from neuraldeps.devices import check_device, one_torch_thread
from neuraldeps.engines import in_threads
from neuraldeps.errors import InputError
from neuraldeps.logits.store import LogitsFile
from neuraldeps.moments import device_bytes, second_moment
from tests.unit.test_house import rules
from tests.unit.test_moments import write_logits

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("count", "device", "line"),
    [
        (0, "cuda", "is cuda: this machine has 0 CUDA devices; use cpu, or null for NumPy"),
        (1, "cuda:3", "is cuda:3: this machine has 1 CUDA device; use cuda, cpu, or null"),
        (2, "cuda:2", "is cuda:2: this machine has 2 CUDA devices; use cuda, cuda:1, cpu, or null"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(monkeypatch, count, device, line):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(InputError, match=f"^resources.reduction_device {line}") as caught:
        check_device(device)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=line), in_threads(1, "nothing", device):
        pass


def test_a_device_that_is_too_small_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2_000_000_000, 8_000_000_000))
    check_device("cuda", 2_000_000_000)
    line = "is cuda: it has 2.0 GB free and 3.8 GB are needed; use a larger one, or null for NumPy"
    with pytest.raises(InputError, match=line):
        check_device("cuda", 8 * 21841**2)


def test_without_pytorch_a_device_is_refused_and_none_is_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"is cpu, but PyTorch cannot be imported .*; install it"):
        check_device("cpu")
    check_device(None)


def test_no_torch_is_imported_without_a_device(tmp_path):
    """The whole reduction and the whole judgement, not only the imports."""
    values = np.random.default_rng(0).standard_normal((50, 6))
    path = write_logits(tmp_path / "f.zarr", values)
    code = f"""
import sys
import numpy as np
from neuraldeps.dependencies.candidates import Candidates
from neuraldeps.dependencies.scoring import evaluate
from neuraldeps.logits.store import LogitsFile
from neuraldeps.moments import second_moment
from neuraldeps.stability.halves import half_moments
file = LogitsFile({path!r})
second_moment(file, file)
list(half_moments(file, file, 1, 0))
support = np.arange(6, dtype=np.int32)[:, None, None] - 1
candidates = Candidates.from_padded(np.arange(6), support, np.ones(support.shape))
evaluate(file, file, candidates, np.full(50, -1))
print("torch" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr


def test_a_reduction_asks_for_the_memory_that_it_takes(tmp_path, monkeypatch):
    values = np.random.default_rng(0).standard_normal((50, 6))
    file = LogitsFile(write_logits(tmp_path / "f.zarr", values))
    asked = []
    module = import_module("neuraldeps.moments")
    monkeypatch.setattr(module, "check_device", lambda *given: asked.append(given))
    second_moment(file, file, device="cpu", threads=2)
    assert asked == [("cpu", device_bytes(6, 6, 64, 8, 2))]


def test_threads_of_pytorch_are_given_back():
    before = torch.get_num_threads()
    with one_torch_thread("cpu"):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_rules_whose_scripts_use_the_device_ask_for_its_environment_memory_and_gpu():
    asking = {
        name
        for name, text, _ in rules()
        if all(word in text for word in ("REDUCTION_ENV", "REDUCTION_GPUS", "with_device("))
    }
    using = {
        script.stem
        for script in (ROOT / "scripts").glob("*.py")
        if '["reduction_device"]' in script.read_text()
    }
    assert asking == using
    assert {"reduce_second_moment", "evaluate_dependencies", "measure_stability"} <= using


FAULTS = """
import resource, sys
import numpy as np
from neuraldeps.devices import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pieces = [np.ones(1 << 20) for _ in range(8)]  # 8 MB each
    del pieces
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of the GNU C library")
def test_memory_that_was_freed_is_kept_where_asked_for():
    def faults(how):
        command = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert faults("kept") < faults("not") / 10
