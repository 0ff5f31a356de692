"""Files that hold no weights, other things or damage: one line each, and no code is run."""

import argparse
import gzip
import pickle
import re
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from neuraldeps.networks.checkpoints import load_checkpoint, save_checkpoint
from tests.unit.networks.test_checkpoints import (
    assert_loads,
    build,
    refused,
    saved,
)


def test_files_without_weights_say_what_they_hold(other, tmp_path):
    for content, message in (
        ({"epoch": 3, "args": {}}, "holds no tensors but epoch, args; give weights"),
        ({}, "holds no tensors but nothing"),
        ([torch.ones(2)], "holds list and no weights by name"),
        (torch.ones(2), "holds Tensor and no weights by name"),
        ({"total_ops": torch.ones(1)}, r"lacks 77 tensors"),
    ):
        path = saved(content, tmp_path / "a.pth")
        refused(message, load_checkpoint, other, path, "net")
    content["itself"] = content
    refused("lacks 77", load_checkpoint, other, saved(content, tmp_path / "a.pth"), "net")


def test_a_file_is_what_it_holds_and_not_what_it_is_called(trained, tmp_path):
    save_checkpoint(trained, str(tmp_path / "model.pth"))
    assert_loads(tmp_path / "model.pth", build(1), trained)
    assert_loads(saved(trained.state_dict(), tmp_path / "a.safetensors"), build(1), trained)


def foreign_files(folder, network):
    """Files that are no weights, and what is said of each."""

    def zipped(name):
        with zipfile.ZipFile(folder / "zipped", "w") as archive:
            archive.writestr(name, b"anything")
        return (folder / "zipped").read_bytes()

    torch.save(network.state_dict(), folder / "a.pth")
    whole, tensors = (folder / "a.pth").read_bytes(), save(network.state_dict())
    with tarfile.open(folder / "a.tar", "w") as archive:
        archive.add(folder / "a.pth")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), folder / "script.pt")
    torch.save(network, folder / "whole.pth")
    np.save(folder / "a.npy", np.ones(3))
    np.savez(folder / "a.npz", np.ones(3))
    return {
        "empty.pth": (b"", "empty; fetch or copy it again"),
        "lfs.pth": (b"version https://git-lfs.github.com/spec/v1\noid", "fetch .*git lfs pull"),
        "page.pth": (b"\n<!DOCTYPE html><html><body>404", r"web page \(HTML\); download"),
        "denied.pth": (b"Entry not found", r"text \('Entry not found'\); give the weight file"),
        "index.json": (b'{"metadata": {}}', "text"),
        "keras.h5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5 .*give its logits as models.net.log"),
        "keras.keras": (zipped("model.weights.h5"), "Keras; save its weights with PyTorch"),
        "zipped.zip": (zipped("model.pth"), "zip archive that torch.save did not write; unpack"),
        "array.npy": ((folder / "a.npy").read_bytes(), "an array of NumPy; save"),
        "arrays.npz": ((folder / "a.npz").read_bytes(), "an archive of NumPy arrays; save"),
        "a.pth.gz": (gzip.compress(whole), "compressed by gzip; unpack it"),
        "a.pth.tar": ((folder / "a.tar").read_bytes(), "a tar archive; unpack it"),
        "net.onnx": (b"\x08\x07\x12\x07pytorch\x1a\x051.0", "a file of ONNX by its name; save"),
        "frozen.pb": (b"\n\x0f\n\x05input\x12\x0bPlaceholder\xff", "TensorFlow by its name"),
        "script.pt": ((folder / "script.pt").read_bytes(), "a TorchScript program; save"),
        "whole.pth": ((folder / "whole.pth").read_bytes(), "timm.*, which is code and is not run;"),
        "arrays.pkl": (pickle.dumps({"a": np.ones(3)}), "another format"),
        "cut.pth": (
            whole[: len(whole) // 2],
            "truncated, damaged or in another format .*fetch it again",
        ),
        "cut.safetensors": (
            tensors[:-9],
            "truncated, damaged or in another format .*fetch it again",
        ),
        "noise.pth": (
            np.random.default_rng(0).bytes(5000),
            "truncated, damaged or in another format",
        ),
    }


def test_foreign_files_are_refused_in_one_line_that_says_what_they_are(network, tmp_path):
    for name, (content, message) in foreign_files(tmp_path, network).items():
        path = tmp_path / name
        path.write_bytes(content)
        key = f"models.net.checkpoint: {re.escape(str(path))} cannot be read as weights alone: "
        refused(f"^{key}.*{message}", load_checkpoint, network, str(path), "net")
    refused("is a folder; give", load_checkpoint, network, str(tmp_path), "net")
    (tmp_path / "dangling").symlink_to("nowhere")
    refused("does not exist", load_checkpoint, network, str(tmp_path / "dangling"), "net")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_damaged_file_loads_or_is_refused_in_one_line(network, tmp_path, kind):
    path, rng = tmp_path / "a", np.random.default_rng(0)
    small = {"model": {"weight": torch.ones(3), "bias": torch.zeros(2)}, "epoch": 3}
    if kind == "safetensors":
        save_file(small["model"], path)
    else:
        torch.save(small, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    for _ in range(150):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 4)):
            damaged[at] = rng.integers(0, 256)
        path.write_bytes(damaged[: rng.integers(1, len(whole))] if rng.random() < 0.3 else damaged)
        refused(r"^models\.net\.checkpoint: ", load_checkpoint, network, str(path), "net")


def test_code_is_not_run_wherever_it_stands(network, tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "was_here"), "w"))

    class Evaluated:
        def __reduce__(self):
            return (eval, (f"open({str(tmp_path / 'was_here')!r}, 'w')",))

    class Built:
        def __reduce__(self):
            return (argparse.Namespace, (), {"x": Harmful()})

    path = tmp_path / "a.pth"
    for harm in Harmful(), Evaluated(), Built(), np.array([Harmful()], dtype=object):
        for content in harm, {"model": network.state_dict(), "args": harm}, {"model": [harm]}:
            for how in {}, {"_use_new_zipfile_serialization": False}:
                torch.save(content, path, **how)
                refused("which is code and is not run", load_checkpoint, network, str(path), "net")
            torch.save(content, path, pickle_protocol=4)
            refused("cannot be read as weights", load_checkpoint, network, str(path), "net")
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            path.write_bytes(pickle.dumps(harm, protocol=protocol))
            refused("cannot be read as weights", load_checkpoint, network, str(path), "net")
    assert not (tmp_path / "was_here").exists()
    pickle.loads(pickle.dumps(Harmful())).close()
    assert (tmp_path / "was_here").exists()  # that it would have been seen
