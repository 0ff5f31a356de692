"""Weight files of any origin: read as weights alone, or refused by the name of what they are."""

import argparse
import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from neuraldeps.errors import InputError, StoreError
from neuraldeps.stores.weights import check_weights

# what checkpoints often hold beside weights, and what runs no code when it is read
HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(code)) for code in "?bhilqBHILQefdU"),
    *(
        (np._core.multiarray.scalar, f"numpy.{core}.multiarray.scalar")
        for core in ("core", "_core")
    ),
]
ELSEWHERE = "save its weights with PyTorch, or give its logits as models.{name}.logits"
UNPACK = "unpack it and give the weight file in it"
# how files begin that are no weights, what they are, and what to do
SIGNATURES = {
    b"version https://git-lfs": ("a pointer of Git LFS", "fetch the file with `git lfs pull`"),
    b"\x89HDF\r\n\x1a\n": ("an HDF5 file, as Keras writes", ELSEWHERE),
    b"\x93NUMPY": ("an array of NumPy", ELSEWHERE),
    b"GGUF": ("a GGUF file", ELSEWHERE),
    b"\x1f\x8b": ("compressed by gzip", UNPACK),
    b"BZh": ("compressed by bzip2", UNPACK),
    b"\xfd7zXZ": ("compressed by xz", UNPACK),
    b"\x28\xb5\x2f\xfd": ("compressed by Zstandard", UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", UNPACK),
    b"Rar!": ("a RAR archive", UNPACK),
}
# formats without a signature of their own, known by their names
SUFFIXES = {
    ".onnx": "ONNX",
    ".pb": "TensorFlow",
    ".index": "TensorFlow",
    ".tflite": "TensorFlow Lite",
    ".msgpack": "Flax",
    ".pdparams": "PaddlePaddle",
}


def read_weight_file(path: str, name: str) -> tuple[Mapping[Any, Any], bool]:
    """Read what a weight file holds, whatever it is called; never run code.

    Parameters
    ----------
    path : str
        Safetensors, or what `torch.save` wrote.
    name : str
        Name of the model in the configuration, for error messages.

    Returns
    -------
    mapping
        Tensors by name, perhaps in mappings of mappings, and whatever stands beside them.
    bool
        Whether tensors stand in the order of the network that was saved; safetensors sorts them.

    Raises
    ------
    InputError
        If the file is not there, is of another kind, is cut or damaged, or cannot be read without
        running code.
    """
    key = f"models.{name}.checkpoint: {path}"
    if Path(path).is_dir():
        raise InputError(f"{key} is a folder; give the weight file in it")
    if not Path(path).is_file():
        raise InputError(f"{key} does not exist; correct the path")
    try:
        head = _read_head(path)
    except OSError as error:
        raise InputError(f"{key} cannot be opened ({error.strerror}); make it readable") from error
    if known := _recognise(path, head):
        kind, fix = known
        fix = fix.format(name=name)
        raise InputError(f"{key} cannot be read as weights alone: it is {kind}; {fix}")
    is_safetensors = _is_safetensors(head)
    try:
        if is_safetensors:
            check_weights(path)
        content = load_file(path) if is_safetensors else _load_weights_only(path)
    except StoreError as error:
        raise InputError(f"models.{name}.checkpoint: {error}") from error
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(
            f"{key} cannot be read as weights alone: {_why(error, path, name)}"
        ) from error
    if not isinstance(content, Mapping):
        raise InputError(
            f"{key} holds {type(content).__name__} and no weights by name; "
            "save the network's state_dict() and give that"
        )
    return content, not is_safetensors


def _read_head(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(1024)


def _is_safetensors(head: bytes) -> bool:
    """Tell by the beginning: the length of a header (8 bytes), and the header, which is JSON."""
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32


def _load_weights_only(path: str) -> Any:
    # opened here: by its name alone, PyTorch would take a file for safetensors
    with torch.serialization.safe_globals(HARMLESS), open(path, "rb") as file:
        return torch.load(file, map_location="cpu", weights_only=True)


def _recognise(path: str, head: bytes) -> tuple[str, str] | None:
    """Say what a file is that is no weight file, and what to do; None if it may be one."""
    if not head:
        return "empty", "fetch or copy it again"
    for signature, known in SIGNATURES.items():
        if head.startswith(signature):
            return known
    if head.startswith(b"PK"):
        return _recognise_zip(path)
    if tarfile.is_tarfile(path):
        return "a tar archive", UNPACK
    return _recognise_text(head)


def _recognise_zip(path: str) -> tuple[str, str] | None:
    """Tell what `torch.save` writes, which is a zip archive, from others."""
    try:
        if not zipfile.is_zipfile(path):  # cut, perhaps
            return None
        with zipfile.ZipFile(path) as archive:
            members = {member.rpartition("/")[2] for member in archive.namelist()}
    except Exception as error:  # a damaged archive can fail in any way
        return f"a damaged zip archive ({type(error).__name__})", "fetch or copy it again"
    if "constants.pkl" in members:
        return "a TorchScript program", "save the network's state_dict() and give that"
    if "data.pkl" in members:
        return None
    if "model.weights.h5" in members:
        return "a network of Keras", ELSEWHERE
    if any(member.endswith(".npy") for member in members):
        return "an archive of NumPy arrays", ELSEWHERE
    return "a zip archive that torch.save did not write", UNPACK


def _recognise_text(head: bytes) -> tuple[str, str] | None:
    text = head.decode("utf-8", "ignore").lstrip("\ufeff \t\r\n")
    if text.lower().startswith(("<!doctype html", "<html")):
        return "a web page (HTML)", "download the file itself"
    if not text or not all(letter.isprintable() or letter.isspace() for letter in text):
        return None
    return f"text ({text.splitlines()[0][:60]!r})", "give the weight file itself"


def _why(error: Exception, path: str, name: str) -> str:
    """Say in one line why a file cannot be read, and what to do."""
    text = str(error)
    if blocked := re.search(r"GLOBAL (\S+)", text):
        return (
            f"it holds {blocked[1]}, which is code and is not run; where the file was made, save the "
            "network's state_dict() alone and give that"
        )
    if kind := SUFFIXES.get(Path(path).suffix.lower()):
        return f"it is a file of {kind} by its name; {ELSEWHERE.format(name=name)}"
    reason = text.rpartition("WeightsUnpickler error:")[2].strip().partition("\n")[0]
    return (
        f"it is truncated, damaged or in another format ({reason or type(error).__name__}); "
        "fetch it again, or give safetensors or a state_dict() that torch.save wrote by default"
    )
