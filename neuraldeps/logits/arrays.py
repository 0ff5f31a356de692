"""Arrays that a user gives as files: checked by their headers, before any work; no Zarr, no xarray."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuraldeps.errors import InputError, first_line
from neuraldeps.images.classes import load_categories

NPY, ZIP = b"\x93NUMPY", b"PK\x03\x04"
KINDS = {"i": "integers", "u": "integers", "b": "truth values", "c": "complex numbers"}


def open_npy(path: str, key: str) -> np.ndarray:
    """Map the array of a ``.npy`` file into memory, without reading it.

    Parameters
    ----------
    path : str
        The file.
    key : str
        The configuration key that gave the path, for error messages.

    Returns
    -------
    ndarray
        Read-only, in the file.

    Raises
    ------
    InputError
        If the file is missing, is none of NumPy's, is cut short or holds Python objects.
    """
    try:
        with open(path, "rb") as file:
            begin = file.read(len(NPY))
        if begin.startswith(ZIP):
            raise InputError(
                f"{key}: {path} is an archive of several arrays (.npz); save the one you mean "
                "with numpy.save"
            )
        if begin != NPY:
            raise InputError(f"{key}: {path} is not a .npy file; save the array with numpy.save")
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except InputError:
        raise
    except Exception as error:  # NumPy reads a header as Python, which fails in many ways
        raise InputError(
            f"{key}: {path} cannot be opened ({first_line(error)}); save a plain array with numpy.save"
        ) from error


def check_logits(array: Any, where: str, n_categories: int | None = None) -> None:
    """Refuse what cannot be logits, by shape and type.

    Parameters
    ----------
    array : array-like
        Only its shape and type are looked at.
    where : str
        What the messages call it: the configuration key and the path.
    n_categories : int, optional
        Of the data set.

    Raises
    ------
    InputError
        If they are not floating point, not (sample, category), of no image, or of other categories.
    """
    if array.ndim != 2 or array.dtype.kind != "f":
        raise InputError(
            f"{where} has shape {array.shape} and holds {_kind(array.dtype)}; "
            "give floating-point logits (sample, category), saved as float32"
        )
    if not array.shape[0]:
        raise InputError(f"{where} has no images; give the logits of at least one")
    if n_categories is not None and array.shape[1] != n_categories:
        raise InputError(
            f"{where} has {array.shape[1]} categories, dataset.n_categories is {n_categories}; "
            "correct the one or the other"
        )


def check_column(values: Any, where: str, length: int) -> None:
    """Refuse values that are not one for each image, or for each category.

    Parameters
    ----------
    values : array
        Labels, paths or names.
    where : str
        What errors call it.
    length : int
        How many there must be.

    Raises
    ------
    InputError
        If there are others.
    """
    if values.shape != (length,):
        raise InputError(
            f"{where} has shape {values.shape}, its logits need ({length},); correct it"
        )


def check_label_type(dtype: np.dtype, where: str) -> None:
    """Refuse labels that are not integers.

    Parameters
    ----------
    dtype : dtype
        Of the labels.
    where : str
        What errors call them.

    Raises
    ------
    InputError
        If it is none of integers.
    """
    if dtype.kind not in "iu":
        raise InputError(
            f"{where} holds {_kind(dtype)}; give each image's category as an integer, counted from "
            "0 in the logits' order, or -1 for none"
        )


def as_labels(values: np.ndarray, where: str, n_categories: int) -> np.ndarray:
    """Labels, unless they are not categories.

    Parameters
    ----------
    values : ndarray
        One for each image.
    where : str
        What errors call them.
    n_categories : int
        How many categories there are.

    Returns
    -------
    ndarray of int
        The same.

    Raises
    ------
    InputError
        If they are no integers, or beyond the categories.
    """
    check_label_type(values.dtype, where)
    if values.min() < -1 or values.max() >= n_categories:
        raise InputError(
            f"{where}: labels of type {values.dtype} go from {values.min()} to {values.max()}; "
            f"give integers from 0 to {n_categories - 1}, or -1 for none"
        )
    return values


def check_headers(config: Mapping[str, Any]) -> None:
    """Look at the headers of all ``.npy`` logits and labels that a run will import and that are there.

    A table of imported logits' categories is read as a whole.

    Parameters
    ----------
    config : mapping
        A checked configuration, with its defaults.

    Raises
    ------
    InputError
        At the first that does not fit. Missing files are Snakemake's to find: who has imported
        logits may have moved them since.
    """
    named, n_categories = config["dataset"]["categories"], config["dataset"]["n_categories"]
    if config["dataset"]["kind"] == "logits" and named and Path(named).is_file():
        load_categories(named, n_categories)
    for split in dict.fromkeys(config["roles"][role] for role in ("fit", "test")):
        counts: dict[str, int] = {}
        for model, path in _given(config, "logits", split):
            where = f"models.{model}.logits.{split}"
            array = open_npy(path, where)
            check_logits(array, f"{where}: {path}", n_categories)
            counts[model] = len(array)
            first = next(iter(counts))
            if counts[model] != counts[first]:
                raise InputError(
                    f"{where}: {path} has {counts[model]} images where models.{first} has "
                    f"{counts[first]}; give logits of the same images"
                )
        for model, path in _given(config, "labels", split):
            where = f"models.{model}.labels.{split}"
            label = open_npy(path, where)
            check_label_type(label.dtype, f"{where}: {path}")
            if model in counts:
                check_column(label, f"{where}: {path}", counts[model])


def folder_state(path: str) -> str:
    """A digest of names, sizes and times of the files in a folder; of anything else nothing.

    A folder's own time does not change when a file deep in it is written over.

    Parameters
    ----------
    path : str
        A folder, or a file.

    Returns
    -------
    str
        SHA-256, hexadecimal, or empty where `path` is no folder.
    """
    if not os.path.isdir(path):
        return ""
    lines = sorted(
        f"{os.path.relpath(entry.path, path)} {entry.stat().st_size} {entry.stat().st_mtime_ns}"
        for entry in _files(path)
    )
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def _files(path: str) -> Iterator[os.DirEntry]:
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path)
            elif entry.name != ".snakemake_timestamp":
                yield entry


def _given(config: Mapping[str, Any], part: str, split: str) -> Iterator[tuple[str, str]]:
    """Models with a .npy file of some part for a split, and its path, where the file is there."""
    for model, spec in config["models"].items():
        path = spec.get(part, {}).get(split, "")
        if path.endswith(".npy") and Path(path).is_file():
            yield model, path


def _kind(dtype: np.dtype) -> str:
    """What people call a type of numbers."""
    if dtype.kind == "V":
        return f"{dtype.itemsize}-byte values of no type that NumPy knows (bfloat16?)"
    if dtype == np.uint16:
        return "integers of type uint16 (perhaps the bits of bfloat16)"
    if dtype.kind in "SUTO":
        return f"words or objects (type {dtype})"
    return f"{KINDS.get(dtype.kind, 'values')} of type {dtype}"
