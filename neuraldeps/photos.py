"""Photos as a data set: which images a split has, of which categories, in which order.

Everything that timm's `create_dataset` reads (folders, tar files, webdataset, Hugging Face, torchvision)
and tables of path and label become one index; the pixels stay where they are.
"""

import csv
import hashlib
import logging
import os
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from timm.data import ImageNetInfo, create_dataset
from timm.data.dataset import IterableImageDataset
from timm.data.readers.reader_image_folder import ReaderImageFolder

from neuraldeps.errors import InputError, first_line
from neuraldeps.stores import provenance, strings

logger = logging.getLogger(__name__)

# folders that timm takes for one another
SPLIT_FOLDERS = (("train", "training"), ("val", "valid", "validation", "eval", "evaluation"))


class Categories(NamedTuple):
    """Categories in the order of a network's outputs: codes (synsets) and names."""

    codes: list[str]
    names: list[str]


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
    """

    paths: list[str]
    labels: np.ndarray
    classes: dict[str, int] | None
    access: str


def open_source(spec: Mapping[str, Any], key: str) -> Any:
    """Open what timm's `create_dataset` reads.

    Parameters
    ----------
    spec : mapping
        timm's options: `origin` (its name, empty for folders and tar files), `data_dir`,
        `origin_split`, `class_map`, and others in `origin_kwargs`.
    key : str
        The configuration key of the split, for error messages.

    Raises
    ------
    InputError
        If it cannot be opened.
    """
    name, root, split = spec.get("origin") or "", spec.get("data_dir"), spec.get("origin_split")
    if not name and not (root and Path(root).exists()):
        raise InputError(f"{key}.data_dir: {root} does not exist; correct the path")
    if not name and split:
        _check_split(Path(str(root)), split, key)
    options = dict(spec.get("origin_kwargs") or {})
    if spec.get("class_map") is not None:
        options["class_map"] = spec["class_map"]
    try:
        return create_dataset(name, root=root, split=split or "validation", **options)
    except ImportError as error:
        raise InputError(
            f"{key}.origin: {name} needs a package that is not installed ({first_line(error)}); install it"
        ) from error
    except (AssertionError, OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{key}: {name or root} cannot be opened ({first_line(error)}); correct origin, "
            "data_dir, origin_split or origin_kwargs"
        ) from error


def _check_split(root: Path, split: str, key: str) -> None:
    """Refuse a split that timm would pass over, and list everything."""
    if root.is_file():
        raise InputError(
            f"{key}.origin_split is {split!r}, but {root} is one file; remove origin_split"
        )
    name = split.split("[")[0]
    names = next((names for names in SPLIT_FOLDERS if name in names), (name,))
    if not any((root / folder).exists() for folder in names):
        raise InputError(
            f"{key}.origin_split is {split!r}, but {root} has no folder {' or '.join(names)}; "
            "correct origin_split, or give the folder itself as data_dir"
        )


def list_source(source: Any, key: str) -> Listing:
    """List the images of a source, without decoding them where it can be asked for a position.

    Raises
    ------
    InputError
        If its targets are not one class number per image.
    """
    if isinstance(source, IterableImageDataset):
        # images are decoded, and dropped: a stream has no other list of its targets
        targets = [target for _, target in source.reader]
        paths = [str(name) for name in source.filenames()]
        return Listing(paths, _numbers(targets, key), _classes(source.reader), "streamed")
    reader = getattr(source, "reader", None)
    if isinstance(reader, ReaderImageFolder):
        paths = [path for path, _ in reader.samples]
        numbers = _numbers([number for _, number in reader.samples], key)
        return Listing(paths, numbers, reader.class_to_idx, "files")
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
            f"{key}: holds other images than when it was indexed; remove results/images/{split}.zarr"
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

    Raises
    ------
    InputError
        If it cannot be opened, or holds other images than when it was indexed.
    """
    if access == "files":
        return None
    source = open_source(spec, key)
    if access == "indexed" and hasattr(source, "filenames"):
        check_positions([str(name) for name in source.filenames()], paths, positions, key)
    return source


def list_table(path: str, root: str | None, categories: Categories, key: str) -> Listing:
    """List the images of a table with the columns path and, if any has one, label.

    Parameters
    ----------
    path : str
        CSV with a header. A label is a category's number, code or name; empty is none.
    root : str, optional
        Folder that its paths are relative to; by default the working directory.
    categories : Categories
    key : str
        The configuration key of the split, for error messages.

    Raises
    ------
    InputError
        If a column is missing, a label is unknown or a file is not there.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{key}.csv: {path} cannot be read ({first_line(error)}); correct the path"
        ) from error
    if not rows or "path" not in rows[0]:
        columns = ", ".join(map(str, rows[0])) if rows else "no rows"
        raise InputError(f"{key}.csv: {path} has {columns}; give the columns path and label")
    positions = _positions(categories)
    labels, paths = [], []
    for line, row in enumerate(rows, start=2):
        label, name = (row.get("label") or "").strip(), os.path.join(root or "", row["path"])
        at = positions.get(label.casefold(), int(label) if label.isdecimal() else None)
        if label and (at is None or at >= len(categories.codes)):
            raise InputError(
                f"{key}.csv: {path}, line {line}: {label!r} is no category; give its number, code or "
                "name, or leave it empty"
            )
        if not Path(name).is_file():
            raise InputError(f"{key}.csv: {path}, line {line}: {name} does not exist; correct it")
        labels.append(-1 if not label else at)
        paths.append(name)
    return Listing(paths, np.array(labels, np.int64), None, "files")


def load_categories(
    given: str | None, n_categories: int, classes: Mapping[str, int] | None = None
) -> Categories:
    """Codes and names of the categories, without a network.

    Parameters
    ----------
    given : str, optional
        A subset of timm's `ImageNetInfo` (``imagenet-1k``, ``imagenet-21k-miil``, ...) or a CSV with
        the columns code and name; by default the class names that the images come with.
    n_categories : int
    classes : mapping, optional
        Class names of the images and their numbers.

    Raises
    ------
    InputError
        If there are none such, or of another number.

    Examples
    --------
    >>> found = load_categories("imagenet-1k", 1000)
    >>> found.codes[0], found.names[0]
    ('n01440764', 'tench, Tinca tinca')
    """
    if given is None:
        ordered = sorted(classes or {}, key=lambda name: (classes or {})[name])
        if ordered != sorted(ordered):
            logger.warning(
                "the categories are in timm's order (%s, ...), not in that of their characters (%s, ...): "
                "a network trained with torchvision's ImageFolder has the latter",
                ", ".join(ordered[:3]),
                ", ".join(sorted(ordered)[:3]),
            )
        found = Categories(ordered, ordered)
        if not classes:
            numbers = [str(number) for number in range(n_categories)]
            found = Categories(numbers, [f"category {number}" for number in numbers])
    elif Path(given).suffix == ".csv":
        found = _read_categories(given)
    else:
        try:
            info = ImageNetInfo(given)
        except AssertionError as error:
            raise InputError(
                f"dataset.categories: timm knows no {given!r}; give imagenet-1k, imagenet-12k, "
                "imagenet-22k, imagenet-21k-goog, imagenet-21k-miil, or a .csv of code,name"
            ) from error
        found = Categories(info.label_names(), list(info.label_descriptions()))
    if len(found.codes) != n_categories:
        raise InputError(
            f"dataset.categories: {given or 'the images'} gives {len(found.codes)} categories, "
            f"dataset.n_categories is {n_categories}; correct the one or the other"
        )
    return found


def match_classes(
    classes: Mapping[str, int], categories: Categories, key: str, *, in_order: bool = False
) -> dict[int, int]:
    """Find the category of each class of a source by its name.

    Parameters
    ----------
    classes : mapping of str to int
        Class names (folders' names, synsets) and the source's numbers.
    categories : Categories
    key : str
        The configuration key of the split, for error messages.
    in_order : bool
        Whether the numbers are the user's own (`class_map`) and must be those of the categories.

    Returns
    -------
    dict of int to int
        Number in the source to position among the categories.

    Raises
    ------
    InputError
        If a class is no category, two are the same, or the order differs.
    """
    positions, n = _positions(categories), len(categories.codes)
    found: dict[int, int] = {}
    unknown = []
    for name, number in classes.items():
        own = 0 <= number < n and name.casefold() in _words(categories, number)
        at = number if own else positions.get(str(name).casefold())
        if at is None:
            unknown.append(repr(name))
        elif in_order and at != number:
            raise InputError(
                f"{key}.class_map: {name!r} is number {number}, the categories have it at {at}; "
                "bring both into the order of the networks' outputs"
            )
        else:
            found[number] = at
    if unknown:
        raise InputError(
            f"{key}: {len(unknown)} of {len(classes)} class names are no code or name of "
            f"dataset.categories ({', '.join(unknown[:3])}); correct categories, give a class_map, "
            "or labels: false"
        )
    twice = [at for at, count in Counter(found.values()).items() if count > 1]
    if twice:
        raise InputError(
            f"{key}: two classes are both {categories.codes[twice[0]]!r}; give a class_map"
        )
    return found


def choose_images(labels: np.ndarray, spec: Mapping[str, Any], seed: int, split: str) -> np.ndarray:
    """Draw a sample of the images, in the source's order.

    Parameters
    ----------
    labels : ndarray of int, shape (sample,)
        Categories, -1 where there is none.
    spec : mapping
        `samples` in total, or `samples_per_category` (images without a label are left out); all
        images by default.
    seed : int
    split : str
        Its name: each split has draws of its own.

    Returns
    -------
    ndarray of int64
        Positions, rising.

    Raises
    ------
    InputError
        If there are fewer than asked for.
    """
    key, rng = f"dataset.splits.{split}", np.random.default_rng([seed, zlib.crc32(split.encode())])
    total, each = spec.get("samples"), spec.get("samples_per_category")
    if total is not None:
        if total > len(labels):
            raise InputError(f"{key}.samples is {total}; there are {len(labels)} images")
        return np.sort(rng.choice(len(labels), total, replace=False))
    if each is None:
        return np.arange(len(labels))
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] >= 0]
    category, first, count = np.unique(labels[order], return_index=True, return_counts=True)
    if not len(count) or count.min() < each:
        which = f"category {category[count.argmin()]}" if len(count) else "every category"
        raise InputError(
            f"{key}.samples_per_category is {each}; {which} has {count.min() if len(count) else 0} images"
        )
    drawn = [
        order[begin + rng.choice(n, each, replace=False)]
        for begin, n in zip(first, count, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def index_images(
    split: str,
    spec: Mapping[str, Any],
    *,
    categories: str | None,
    n_categories: int,
    seed: int,
) -> xr.Dataset:
    """Index the images of one split: paths, labels, categories, no pixels.

    Parameters
    ----------
    split : str
        Name of the split in the configuration.
    spec : mapping
        Its entry: options of `open_source`, or `csv` (with `data_dir`); `labels` (false: what the
        source says is no label); `samples`, `samples_per_category`; `n_views`, times that each image
        is there, all but the first augmented.
    categories, n_categories
        See `load_categories`.
    seed : int

    Returns
    -------
    xarray.Dataset
        Coordinates `path`, `label` (-1 is none), `position` (in the source) and `view` along
        `sample`; `category`, `category_code`, `category_name`. `attrs["access"]` as in `Listing`.

    Raises
    ------
    InputError
        If the images cannot be listed, or their classes are not the categories.
    """
    key = f"dataset.splits.{split}"
    listing, known = _list_split(spec, categories, n_categories, key)
    labels = _labels(listing, known, spec, key)
    chosen = choose_images(labels, spec, seed, split)
    views = spec.get("n_views") or 1
    rows = np.repeat(chosen, views)
    paths, labels = [listing.paths[row] for row in rows], labels[rows]
    if len(chosen) < n_categories:
        logger.warning(
            "split %s has %d images, fewer than the %d categories: their second moment has at most that "
            "rank",
            *(split, len(chosen), n_categories),
        )
    logger.info("split %s: %d images, %d with a label", split, len(rows), int((labels >= 0).sum()))
    config = {"split": split, "spec": dict(spec), "categories": categories}
    attrs = provenance(
        "index_images",
        f"Index of images, split {split}",
        config=config,
        sources={"listing": _digest(paths, labels, listing.access)},
        seed=seed,
        packages=("timm",),
    )
    view = np.tile(np.arange(views, dtype=np.int16), len(chosen))
    return _indexed(listing, known, rows, labels, view, attrs)


def index_balanced(
    index: xr.Dataset, base: np.ndarray, new: np.ndarray, *, n_each: int, seed: int
) -> xr.Dataset:
    """Index as many images of new categories as of all base categories: to learn from, and to judge.

    Parameters
    ----------
    index : xarray.Dataset
        What `index_images` made of the split that networks are trained on.
    base, new : ndarray of int
        Categories.
    n_each : int
        Images of either kind to learn from, of the split's. To judge as many, or as there are, of
        those that the split's own source holds besides.
    seed : int

    Returns
    -------
    xarray.Dataset
        As `index_images` gives it, with `part` (train, test) along `sample`.

    Raises
    ------
    InputError
        If there are too few images, or the source is not what was indexed.
    """
    made, path = index.attrs["config"], index["path"].values
    split, n_categories = made["split"], index.sizes["category"]
    key = f"dataset.splits.{split}"
    listing, known = _list_split(made["spec"], made["categories"], n_categories, key)
    labels = _labels(listing, known, made["spec"], key)
    taken = index["position"].values
    check_positions(listing.paths, path, taken, key)
    is_taken = np.zeros(len(labels), bool)
    is_taken[taken] = True
    rows, parts = [], []
    for number, part in enumerate(("train", "test")):
        rng = np.random.default_rng([seed, zlib.crc32(f"balanced/{part}".encode())])
        pool = np.flatnonzero(is_taken if part == "train" else ~is_taken)
        sides = [pool[np.isin(labels[pool], side)] for side in (new, base)]
        most = min(n_each, *map(len, sides))
        if most < (n_each if number == 0 else 1):
            raise InputError(
                f"generalizability.balanced is {n_each}; {known.names[new[0]]!r} has {len(sides[0])} "
                f"images to {('learn from', 'judge on')[number]}: change {key}.samples_per_category"
            )
        rows += [np.sort(rng.choice(side, most, replace=False)) for side in sides]
        parts += [part] * (2 * most)
    chosen = np.concatenate(rows)
    logger.info(
        "balanced: %d images to learn from, %d to judge on", *map(parts.count, ("train", "test"))
    )
    attrs = provenance(
        "index_balanced",
        "Index of images, one category as often as all the others",
        config={**made, "n_each": n_each, "new": new.tolist()},
        sources={
            "listing": _digest(
                [listing.paths[row] for row in chosen], labels[chosen], listing.access
            )
        },
        seed=seed,
        packages=("timm",),
    )
    view = np.zeros(len(chosen), np.int16)
    found = _indexed(listing, known, chosen, labels[chosen], view, attrs)
    return found.assign_coords(part=("sample", strings(parts)))


def _indexed(
    listing: Listing,
    categories: Categories,
    rows: np.ndarray,
    labels: np.ndarray,
    view: np.ndarray,
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    return xr.Dataset(
        coords={
            "label": ("sample", labels.astype(np.int32), {"long_name": "category; -1 is none"}),
            "path": ("sample", strings([listing.paths[row] for row in rows])),
            "position": ("sample", rows.astype(np.int64), {"long_name": "place in the source"}),
            "view": ("sample", view, {"long_name": "0 is the image itself, others are augmented"}),
            "category": np.arange(len(categories.codes), dtype=np.int32),
            "category_name": ("category", strings(categories.names)),
            "category_code": ("category", strings(categories.codes)),
        },
        attrs={"access": listing.access, **attrs},
    )


def _list_split(
    spec: Mapping[str, Any], categories: str | None, n_categories: int, key: str
) -> tuple[Listing, Categories]:
    if spec.get("csv"):
        known = load_categories(categories, n_categories)
        return list_table(spec["csv"], spec.get("data_dir"), known, key), known
    if categories is not None:
        load_categories(
            categories, n_categories
        )  # before the images are listed, which may take long
    listing = list_source(open_source(spec, key), key)
    classes = listing.classes if spec.get("labels", True) else None
    return listing, load_categories(categories, n_categories, classes)


def _labels(
    listing: Listing, categories: Categories, spec: Mapping[str, Any], key: str
) -> np.ndarray:
    """Positions among the categories, -1 where an image has no label."""
    if not spec.get("labels", True):
        return np.full(len(listing.paths), -1, np.int64)
    if listing.classes is None:
        if listing.labels.max(initial=-1) >= len(categories.codes):
            raise InputError(
                f"{key}: labels go up to {listing.labels.max()}; dataset.n_categories is "
                f"{len(categories.codes)}"
            )
        if not spec.get("csv"):
            logger.warning("%s: the images' classes have no names: their order is not checked", key)
        return listing.labels
    in_order = spec.get("class_map") is not None
    at = match_classes(listing.classes, categories, key, in_order=in_order)
    return np.array([at.get(label, -1) for label in listing.labels.tolist()], np.int64)


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


def _words(categories: Categories, position: int) -> set[str]:
    return {categories.codes[position].casefold(), categories.names[position].casefold()}


def _positions(categories: Categories) -> dict[str, int]:
    """Positions by code, and by name where only one category has it."""
    names = [name.casefold() for name in categories.names]
    count = Counter(names)
    found = {name: i for i, name in enumerate(names) if count[name] == 1}
    return found | {code.casefold(): i for i, code in enumerate(categories.codes)}


def _read_categories(path: str) -> Categories:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = Categories([row["code"] for row in rows], [row["name"] for row in rows])
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise InputError(
            f"dataset.categories: {path} cannot be read ({first_line(error)}); give the columns code "
            "and name"
        ) from error
    twice = [code for code, count in Counter(found.codes).items() if count > 1]
    if twice:
        raise InputError(f"dataset.categories: {path} has {twice[0]!r} twice; correct it")
    return found


def _digest(paths: Sequence[str], labels: np.ndarray, access: str) -> str:
    """SHA-256 of what was listed; of files their sizes, too."""
    digest = hashlib.sha256()
    for path, label in zip(paths, labels.tolist(), strict=True):
        size = os.path.getsize(path) if access == "files" else ""
        digest.update(f"{path} {label} {size}\n".encode())
    return digest.hexdigest()
