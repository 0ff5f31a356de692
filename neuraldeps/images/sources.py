"""Images as timm opens them: folders, archives and data sets, listed in their own order.

timm is imported where it is needed: who lists a folder does not wait for PyTorch.
"""

import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from neuraldeps.errors import InputError, first_line
from neuraldeps.images.archives import TarImages
from neuraldeps.images.delimited import repeated
from neuraldeps.images.found import Found, counted, number_classes, readable_name
from neuraldeps.images.listing import find_images

logger = logging.getLogger(__name__)


class Listing(NamedTuple):
    """What a source holds, in its own order.

    Attributes
    ----------
    paths : list of str
        Paths of files, or names inside archives.
    labels : ndarray of int64, shape (sample,)
        The source's own class numbers, -1 where it has none.
    classes : dict of str to int, optional
        Its class names and their numbers, where it knows names.
    access : {"files", "indexed", "streamed"}
        Whether `paths` can be opened, the source be asked for a position, or only be read through.
    empty : dict of str to str
        Folders without an image, and what is in them.
    """

    paths: list[str]
    labels: np.ndarray
    classes: dict[str, int] | None
    access: str
    empty: Mapping[str, str] = MappingProxyType({})


def list_images(spec: Mapping[str, Any], key: str) -> Listing:
    """List the images of a split's folder, tar file or data set.

    Parameters
    ----------
    spec : mapping
        The split's entry in the configuration, without `csv`.
    key : str
        Its key, for error messages.

    Returns
    -------
    Listing
        Paths, class numbers and positions.

    Raises
    ------
    InputError
        If they cannot be listed.
    """
    if spec.get("origin"):
        return list_source(open_source(spec, key), key)
    found, numbers = _images(spec, key)
    labels = np.array([numbers[name] for name in found.classes], np.int64)
    access = "indexed" if found.spans else "files"
    _tell(found, key)
    if spec.get("labels", True):
        _check_folders(found, key)
    return Listing(found.paths, labels, numbers, access, found.empty)


def _open_torchvision(name: str, options: Mapping[str, Any]) -> Any:
    from timm.data import create_dataset

    return create_dataset(name, **options)


def _open_timm(name: str, options: Mapping[str, Any]) -> Any:
    from timm.data import create_dataset

    # as it is: timm would clip 16 bits to 8
    return create_dataset(name, **{**options, "input_img_mode": ""})


# By how an origin's name begins, what opens it; the first that fits. It takes the name and timm's options
# (`root`, `split`, those of `origin_kwargs`) and gives a data set of timm's, or one like torchvision's:
# `[i]` gives a Pillow image and its class number, `targets` has all numbers, `class_to_idx` their names.
ORIGINS: dict[str, Callable[[str, Mapping[str, Any]], Any]] = {
    "torch/": _open_torchvision,
    "": _open_timm,
}


def open_source(spec: Mapping[str, Any], key: str) -> Any:
    """Open a data set by its name: one of `ORIGINS`.

    Parameters
    ----------
    spec : mapping
        timm's options: `origin` (its name), `data_dir`, `origin_split`, `class_map`, and others in
        `origin_kwargs`.
    key : str
        The configuration key of the split, for error messages.

    Returns
    -------
    Any
        A data set like torchvision's.

    Raises
    ------
    InputError
        If it cannot be opened.
    """
    name = spec["origin"]
    options = dict(spec.get("origin_kwargs") or {})
    options |= {"root": spec.get("data_dir"), "split": spec.get("origin_split") or "validation"}
    if spec.get("class_map") is not None:
        options["class_map"] = spec["class_map"]
    opener = next(ORIGINS[start] for start in ORIGINS if name.lower().startswith(start))
    try:
        return opener(name, options)
    except ImportError as error:
        raise InputError(
            f"{key}.origin: {name} needs a package that is not installed ({first_line(error)}); install it"
        ) from error
    except (AssertionError, OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{key}: {name} cannot be opened ({first_line(error)}); correct origin, data_dir, "
            "origin_split or origin_kwargs"
        ) from error


def list_source(source: Any, key: str) -> Listing:
    """List the images of a source, without decoding them where it can be asked for a position.

    Parameters
    ----------
    source : Any
        As `open_source` gives it.
    key : str
        The configuration key of the split, for error messages.

    Returns
    -------
    Listing
        Paths, class numbers and positions.

    Raises
    ------
    InputError
        If its targets are not one class number per image.
    """
    from timm.data.dataset import IterableImageDataset

    if isinstance(source, IterableImageDataset):
        # images are decoded, and dropped: a stream has no other list of its targets
        targets = [target for _, target in source.reader]
        paths = [str(name) for name in source.filenames()]
        return Listing(paths, _numbers(targets, key), _classes(source.reader), "streamed")
    reader = getattr(source, "reader", None)
    if reader is None:  # torchvision's own data sets
        given = getattr(source, "targets", None)
        targets = [source[i][1] for i in range(len(source))] if given is None else list(given)
        paths = [str(i) for i in range(len(source))]
        return Listing(paths, _numbers(targets, key), _classes(source), "indexed")
    targets = reader.targets if hasattr(reader, "targets") else list(reader.iter_targets())
    paths = [str(name) for name in source.filenames()]
    return Listing(paths, _numbers(targets, key), _classes(reader), "indexed")


def check_positions(now: Sequence[str], paths: np.ndarray, positions: np.ndarray, key: str) -> None:
    """Refuse a source whose images are not, at their positions, those that were indexed.

    Parameters
    ----------
    now : sequence of str
        All paths of the source.
    paths, positions : ndarray, shape (sample,)
        Indexed paths, and where they stood.
    key : str
        The configuration key of the split, for error messages.

    Raises
    ------
    InputError
        If another image stands at a position.
    """
    if positions.max() >= len(now) or [now[at] for at in positions] != paths.tolist():
        split = key.removeprefix("dataset.splits.")
        raise InputError(
            f"{key}: has different images than when it was indexed; remove results/images/{split}.zarr "
            "and run again"
        )


def open_indexed(
    access: str, spec: Mapping[str, Any], key: str, paths: np.ndarray, positions: np.ndarray
) -> Any:
    """Open a source whose images are read by position, and none where they are files.

    Parameters
    ----------
    access : str
        Of the index: ``files``, ``indexed`` or ``streamed``; a stream has no list to check.
    spec, key
        See `open_source`.
    paths, positions : ndarray, shape (sample,)
        See `check_positions`.

    Returns
    -------
    Any
        A data set like torchvision's.

    Raises
    ------
    InputError
        If it cannot be opened, or has different images than when it was indexed.
    """
    if access == "files":
        return None
    if not spec.get("origin"):
        found, _ = _images(spec, key)
        check_positions(found.paths, paths, positions, key)
        return TarImages(str(spec["data_dir"]), found)
    source = open_source(spec, key)
    if access == "indexed" and hasattr(source, "filenames"):
        check_positions([str(name) for name in source.filenames()], paths, positions, key)
    return source


def _images(spec: Mapping[str, Any], key: str) -> tuple[Found, dict[str, int]]:
    """Images of a folder or tar file but for those that a class map leaves out, and their classes."""
    found = find_images(spec, key)
    if spec.get("class_map") is None:
        return found, number_classes(found.classes)
    numbers = _class_map(spec["class_map"], str(spec.get("data_dir")), key)
    kept = [i for i, name in enumerate(found.classes) if name in numbers]
    left = sorted(set(found.classes) - set(numbers))
    if not kept:
        raise InputError(
            f"{key}.class_map: {spec['class_map']} names none of the folders ({', '.join(left[:3])}); "
            "correct it"
        )
    if left:
        logger.warning(
            "%s.class_map: images in folders that it does not name, left out: %d (%s)",
            *(key, len(found.paths) - len(kept), ", ".join(left[:3])),
        )
    found.places = {name: found.places[name] for name in found.places if name in numbers}
    for name in "paths", "classes", "spans":
        column = getattr(found, name)
        setattr(found, name, [column[i] for i in kept] if column else [])
    return found, numbers


def _class_map(path: str, root: str, key: str) -> dict[str, int]:
    """Folders' names and numbers: of a text file its lines, else as timm reads them."""
    if not os.path.exists(path):
        path = os.path.join(root, path)
    if not os.path.exists(path):
        raise InputError(f"{key}.class_map: {path} does not exist; correct the path")
    try:
        if not path.endswith(".txt"):
            from timm.data.readers.class_map import load_class_map

            return dict(load_class_map(path, root))
        text = Path(path).read_text(encoding="utf-8-sig")
    except (AssertionError, OSError, ValueError, UnpicklingError) as error:
        raise InputError(
            f"{key}.class_map: {path} cannot be read ({first_line(error)}); give a .txt in UTF-8 with a "
            "folder's name in each line"
        ) from error
    names = [line.strip() for line in text.rstrip().splitlines()]
    if twice := repeated(names):
        raise InputError(f"{key}.class_map: {path} has {twice[0]!r} twice; correct it")
    return {name: number for number, name in enumerate(names)}


def _check_folders(found: Found, key: str) -> None:
    """Refuse folders that do not say which category an image is of."""
    if "" in found.places:
        loose = [path for path, name in zip(found.paths, found.classes, strict=True) if not name]
        raise InputError(
            f"{key}.data_dir: images in no folder that names their category: {len(loose)} ({loose[0]}); "
            f"move them into one, or give {key}.labels: false"
        )
    composed = Counter(unicodedata.normalize("NFC", name) for name in found.places)
    if twice := [name for name, count in composed.items() if count > 1]:
        raise InputError(
            f"{key}.data_dir: two folders are called {twice[0]!r}, one with composed and one with decomposed "
            "letters; make them one"
        )
    shared = {name: places for name, places in found.places.items() if len(places) > 1}
    if shared:
        name, places = next(iter(shared.items()))
        logger.warning(
            "%s: categories with images in several folders of one name: %d (%s: %s)",
            *(key, len(shared), name, ", ".join(sorted(places)[:3])),
        )


def _tell(found: Found, key: str) -> None:
    """Say what was skipped."""
    for note in found.notes:
        logger.warning("%s: %s", key, note)
    if found.passed:
        logger.warning(
            "%s: skipped, not images that Pillow reads by their extension: %s (%s)",
            *(key, counted(found.passed), readable_name(found.example)),
        )
    if found.empty:
        path, what = next(iter(sorted(found.empty.items())))
        logger.warning(
            "%s: folders without an image: %d (%s: %s)",
            *(key, len(found.empty), readable_name(path), what),
        )


def _numbers(targets: Sequence[Any], key: str) -> np.ndarray:
    numbers = np.array([-1 if target is None else target for target in targets])
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise InputError(
            f"{key}: targets are not one class number per image; name another target_key in origin_kwargs"
        )
    return np.maximum(numbers.astype(np.int64), -1)


def _classes(source: Any) -> dict[str, int] | None:
    """Class names and numbers of a reader, None where it has none."""
    for name in "class_to_idx", "class_name_to_idx":
        found = getattr(source, name, None)
        if found and all(isinstance(word, str) for word in found):
            return dict(found)
    return None
