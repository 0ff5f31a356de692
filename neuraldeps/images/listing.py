"""Images in folders and tar files: which there are, in timm's order, and what was skipped.

timm's own readers know three endings and say nothing of other files, follow a link to a parent folder
as long as the system lets them, skip folders that they may not read, and end with a traceback at a
damaged archive.
"""

import itertools
import logging
import os
from collections.abc import Mapping
from typing import Any

from neuraldeps.errors import InputError
from neuraldeps.images.archives import list_tar
from neuraldeps.images.folders import list_folder
from neuraldeps.images.found import LITTER, Found, counted, is_utf8, readable_name

logger = logging.getLogger(__name__)
# folders that timm takes for one another
SPLIT_FOLDERS = (("train", "training"), ("val", "valid", "validation", "eval", "evaluation"))
SPLIT_NAMES = {*itertools.chain(*SPLIT_FOLDERS), "test", "testing"}


LITTER |= {"thumbs.db", "ehthumbs.db", "desktop.ini"}


def find_split(root: str, split: str, key: str) -> str:
    """Folder of a split as timm finds it: by its name, or by another name for the same.

    Parameters
    ----------
    root : str
        Folder of the data set.
    split : str
        Name of the split.
    key : str
        The configuration key of the split, for error messages.

    Returns
    -------
    str
        Path of the folder.

    Raises
    ------
    InputError
        If there is none: timm would list everything.
    """
    if os.path.isfile(root):
        raise InputError(
            f"{key}.origin_split is {split!r}, but {root} is one file; remove origin_split"
        )
    name = split.split("[")[0]
    names = next((names for names in SPLIT_FOLDERS if name in names), (name,))
    for folder in (name, *names):
        if os.path.exists(found := os.path.join(root, folder)):
            return found
    raise InputError(
        f"{key}.origin_split is {split!r}, but {root} has no folder {' or '.join(names)}; "
        "correct origin_split, or give the folder itself as data_dir"
    )


def check_there(spec: Mapping[str, Any], key: str, categories: str | None = None) -> None:
    """Refuse a split whose folder, tar file or tables are not there; nothing is listed.

    Parameters
    ----------
    spec : mapping
        The split's entry in the configuration.
    key : str
        Its key, for error messages.
    categories : str, optional
        `dataset.categories`, which may be a table.

    Raises
    ------
    InputError
        If a path does not exist, or has no folder of that split.
    """
    paths = {f"{key}.csv": spec.get("csv")}
    if not spec.get("origin"):
        paths[f"{key}.data_dir"] = spec.get("data_dir")
    if categories and categories.endswith(".csv"):
        paths["dataset.categories"] = categories
    for name, path in paths.items():
        if path and not os.path.exists(path):
            raise InputError(f"{name}: {path} does not exist; correct the path")
    if spec.get("origin_split") and spec.get("data_dir") and not spec.get("origin"):
        find_split(spec["data_dir"], spec["origin_split"], key)


def find_images(spec: Mapping[str, Any], key: str) -> Found:
    """List the images of a split's folder or tar file.

    Parameters
    ----------
    spec : mapping
        `data_dir` and, of a folder, `origin_split`.
    key : str
        The configuration key of the split, for error messages.

    Returns
    -------
    Found
        Paths and class names.

    Raises
    ------
    InputError
        If they are not there, cannot be listed, or are several splits.
    """
    check_there(spec, key)
    root, split = str(spec.get("data_dir")), spec.get("origin_split")
    root = find_split(root, split, key) if split else root
    found = list_tar(root, key) if os.path.isfile(root) else list_folder(root, key)
    if not found.paths:
        passed = f" ({counted(found.passed)})" if found.passed else ""
        raise InputError(
            f"{key}.data_dir: {root} has no image that Pillow reads{passed}; correct the path, or "
            "convert the files"
        )
    if not split:
        check_splits(found, root, key)
    if bad := next((path for path in found.paths if not is_utf8(path)), None):
        raise InputError(
            f"{key}.data_dir: {readable_name(bad)} is not a name in UTF-8; rename it (convmv does many)"
        )
    if empty := [path for path, (_, n) in zip(found.paths, found.spans, strict=False) if n == 0]:
        raise InputError(
            f"{key}.data_dir: {root}: empty images: {len(empty)} ({empty[0]}); make it again without them"
        )
    logger.info("%s: %d images under %s", key, len(found.paths), root)
    return found


def check_splits(found: Found, root: str, key: str) -> None:
    """Refuse a folder or tar file that holds several splits where none is named.

    Parameters
    ----------
    found : Found
        What was listed.
    root : str
        Folder or tar file.
    key : str
        The configuration key of the split, for error messages.

    Raises
    ------
    InputError
        If, say, a folder train and a folder val hold images of the same categories.
    """
    base = root if os.path.isdir(root) else ""
    beside: dict[str, dict[str, bool]] = {}
    for folder in itertools.chain(*found.places.values()):
        inner = os.path.relpath(folder, base) if base else os.path.normpath(folder)
        parts = inner.split(os.sep)
        for depth, name in enumerate(parts):
            if name.casefold() in SPLIT_NAMES:
                names = beside.setdefault(os.path.join(base, *parts[:depth]), {})
                names[name] = names.get(name, False) or depth + 1 < len(parts)
    for folder, names in beside.items():
        if len(names) > 1 and any(names.values()):
            known = sorted(names)
            which = " or ".join(known)
            fix = f"give {key}.origin_split: {which}"
            if folder != base:
                fix = f"give {key}.data_dir: {folder} and origin_split: {which}"
            if not base:
                fix = "make a tar file of each"
            raise InputError(f"{key}.data_dir: {folder or root} holds {' and '.join(known)}; {fix}")
