"""Photos as a data set: which images a split has, of which categories, in which order.

Everything that timm's `create_dataset` reads (folders, tar files, webdataset, Hugging Face, torchvision)
and tables of path and label become one index; the pixels stay where they are.
"""

import hashlib
import logging
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from neuraldeps.errors import InputError
from neuraldeps.images.classes import (
    Categories,
    categories_of,
    find_meanings,
    load_categories,
    match_classes,
    match_labels,
)
from neuraldeps.images.delimited import read_rows, repeated
from neuraldeps.images.sources import Listing, check_positions, list_images
from neuraldeps.stores import provenance, strings
from neuraldeps.stores.layouts import BALANCED_INDEX, INDEX

logger = logging.getLogger(__name__)


def list_table(
    path: str,
    root: str | None,
    categories: Categories,
    key: str,
    *,
    labelled: bool = True,
) -> Listing:
    """List the images of a table with the columns path and, if any has one, label.

    Parameters
    ----------
    path : str
        CSV with a header (see `neuraldeps.images.delimited.read_rows`). A label is a category's number, code
        or name; empty is none.
    root : str, optional
        Folder that its paths are relative to; by default the working directory.
    categories : Categories
        Codes and names, in the order of the logits.
    key : str
        The configuration key of the split, for error messages.
    labelled : bool
        Whether labels are wanted.

    Returns
    -------
    Listing
        Paths, labels and positions of the images.

    Raises
    ------
    InputError
        If a column is missing, a label is unknown or a file is not there.
    """
    rows = read_rows(path, f"{key}.csv", ["path"], ["label"])
    others = [name.strip() for name in rows.columns if name.strip().lower() not in rows.values]
    others = [name for name in others if name]
    if labelled and others and "label" not in rows.values:
        raise InputError(
            f"{key}.csv: {path} has {', '.join(map(str.strip, rows.columns))} and no column label; rename "
            f"one to label, or give {key}.labels: false"
        )
    if others:
        logger.info("%s.csv: columns that are ignored: %s", key, ", ".join(others))
    words = rows.values.get("label", [""] * len(rows.lines)) if labelled else [""] * len(rows.lines)
    at = match_labels(words, rows.lines, categories, f"{key}.csv: {path}")
    paths = []
    for line, given in zip(rows.lines, rows.values["path"], strict=True):
        name = os.path.join(root or "", given)
        if not given or not os.path.isfile(name):
            raise InputError(
                f"{key}.csv: {path}, line {line}: {name or repr(given)} does not exist; correct it"
            )
        paths.append(name)
    if twice := repeated(paths):
        logger.warning(
            "%s.csv: images listed in several rows, counted once for each: %d (%s)",
            *(key, len(twice), twice[0]),
        )
    return Listing(paths, np.array([at[word] for word in words], np.int64), None, "files")


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
        Of all that is drawn.
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
    of_fit: Categories | None = None,
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
        Of all that is drawn.
    of_fit : Categories, optional
        Where `categories` names none: those of the images that CovLasso is solved on, which all
        splits share. By default the images' own.

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
    listing, known = _list_split(spec, categories, n_categories, key, of_fit)
    labels = _labels(listing, known, spec, key, of_fit=of_fit is not None)
    _tell_missing(labels, known, key)
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
        sources={"listing": _digest(paths, labels, listing.access, key)},
        seed=seed,
        packages=("timm",),
    )
    view = np.tile(np.arange(views, dtype=np.int16), len(chosen))
    coords = _indexed(listing, known, rows, labels, view)
    return INDEX.dataset({}, coords, {"access": listing.access, **attrs})


def index_balanced(
    index: xr.Dataset, base: np.ndarray, new: np.ndarray, *, n_each: int, seed: int
) -> xr.Dataset:
    """Index as many images of new categories as of all base categories: to learn from, and to evaluate on.

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
        Of all that is drawn.

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
    key, known = f"dataset.splits.{made['split']}", categories_of(index)
    listing, _ = _list_split(made["spec"], made["categories"], len(known.codes), key, known)
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
                f"images to {('learn from', 'evaluate on')[number]}; change {key}.samples_per_category"
            )
        rows += [np.sort(rng.choice(side, most, replace=False)) for side in sides]
        parts += [part] * (2 * most)
    chosen = np.concatenate(rows)
    logger.info(
        "balanced: %d images to learn from, %d to evaluate on", *map(parts.count, ("train", "test"))
    )
    attrs = provenance(
        "index_balanced",
        "Index of images, one category as often as all the others",
        config={**made, "n_each": n_each, "new": new.tolist()},
        sources={
            "listing": _digest(
                [listing.paths[row] for row in chosen], labels[chosen], listing.access, key
            )
        },
        seed=seed,
        packages=("timm",),
    )
    view = np.zeros(len(chosen), np.int16)
    coords = _indexed(listing, known, chosen, labels[chosen], view)
    attrs = {"access": listing.access, **attrs}
    return BALANCED_INDEX.dataset({}, coords | {"part": strings(parts)}, attrs)


def _indexed(
    listing: Listing,
    categories: Categories,
    rows: np.ndarray,
    labels: np.ndarray,
    view: np.ndarray,
) -> dict[str, np.ndarray]:
    """The coordinates of an index."""
    return {
        "label": labels.astype(np.int32),
        "path": strings([listing.paths[row] for row in rows]),
        "position": rows.astype(np.int64),
        "view": view,
        "category": np.arange(len(categories.codes), dtype=np.int32),
        "category_name": strings(categories.names),
        "category_code": strings(categories.codes),
    }


def _list_split(
    spec: Mapping[str, Any],
    categories: str | None,
    n_categories: int,
    key: str,
    known: Categories | None = None,
) -> tuple[Listing, Categories]:
    labelled = spec.get("labels", True)
    if spec.get("csv"):
        known = known or load_categories(categories, n_categories)
        root = spec.get("data_dir")
        return list_table(spec["csv"], root, known, key, labelled=labelled), known
    if known is None and categories is not None:
        # before the images are listed, which may take long
        known = load_categories(categories, n_categories)
    listing = list_images(spec, key)
    classes = listing.classes if labelled else None
    return listing, known or load_categories(None, n_categories, classes, listing.empty)


def _labels(
    listing: Listing,
    categories: Categories,
    spec: Mapping[str, Any],
    key: str,
    *,
    of_fit: bool = False,
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
    at = match_classes(listing.classes, categories, key, in_order=in_order, of_fit=of_fit)
    _check_empty(listing.empty, categories, key)
    return np.array([at.get(label, -1) for label in listing.labels.tolist()], np.int64)


def _check_empty(empty: Mapping[str, str], categories: Categories, key: str) -> None:
    """Refuse a category's folder whose files were all skipped."""
    held = {path: what for path, what in empty.items() if what != "nothing"}
    places = find_meanings([os.path.basename(path) for path in held], categories)
    for path, what in held.items():
        if places[os.path.basename(path)]:
            raise InputError(
                f"{key}: {path} has no image that Pillow reads ({what}); convert its files, or move it "
                "elsewhere"
            )


def _tell_missing(labels: np.ndarray, categories: Categories, key: str) -> None:
    """Say which categories have no image, where any has one."""
    known = labels[labels >= 0]
    missing = np.flatnonzero(np.bincount(known, minlength=len(categories.codes)) == 0)
    if len(known) and len(missing):
        logger.warning(
            "%s: categories without an image: %d of %d (%s)",
            *(key, len(missing), len(categories.codes)),
            ", ".join(repr(categories.names[at]) for at in missing[:5]),
        )


def _digest(paths: Sequence[str], labels: np.ndarray, access: str, key: str) -> str:
    """SHA-256 of what was listed; of files their sizes, too, none of which may be empty."""
    digest, empty = hashlib.sha256(), []
    for path, label in zip(paths, labels.tolist(), strict=True):
        try:
            size = os.path.getsize(path) if access == "files" else ""
        except OSError as error:
            raise InputError(
                f"{key}: {path} cannot be read ({error.strerror}); make it readable, or remove it"
            ) from error
        if size == 0:
            empty.append(path)
        digest.update(f"{path} {label} {size}\n".encode())
    if empty:
        raise InputError(
            f"{key}: empty image files: {len(set(empty))} ({empty[0]}); restore their contents, or remove "
            "them"
        )
    return digest.hexdigest()
