"""Stores of logits: how they are laid out, read, centred and held against each other."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import xarray as xr

from neuraldeps.errors import StoreError
from neuraldeps.stores import (
    ShardedArray,
    open_array,
    open_store,
    provenance,
    rows_per_shard,
    to_be_written,
)
from neuraldeps.stores.layouts import LOGITS


def labels_of(logits: str) -> np.ndarray:
    """Labels of a logits store, -1 where an image has none.

    Parameters
    ----------
    logits : str
        Path of a logits store.

    Returns
    -------
    ndarray of int, shape (sample,)
        Categories.
    """
    store = open_store(logits)
    return store["label"].values if "label" in store else np.full(store.sizes["sample"], -1)


def lay_out_logits(
    path: str,
    coords: xr.Dataset,
    *,
    made_by: str,
    config: Mapping[str, Any],
    sources: Mapping[str, str],
    rows: int | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> ShardedArray:
    """Lay out a store of logits.

    Parameters
    ----------
    path : str
        Declared path of the finished store.
    coords : xarray.Dataset
        Coordinates along `sample` and `category`, which are carried over.
    made_by : str
        Name of the rule.
    config, sources : mapping
        For `neuraldeps.stores.provenance`.
    rows : int, optional
        Rows per shard; as many as take `SHARD_BYTES` by default.
    attrs : mapping, optional
        Further attributes; what they say must follow from `config` and `sources`.

    Returns
    -------
    ShardedArray
        `logits` (sample, category), float32.
    """
    shape = (coords.sizes["sample"], coords.sizes["category"])
    title = "Logits of every image: raw, neither centred nor normalised"
    template = LOGITS.dataset(
        {"logits": to_be_written(shape, np.float32)},
        dict(coords.coords),
        {
            **(attrs or {}),
            **provenance(
                made_by, title, config=config, sources=sources, packages=("torch", "timm")
            ),
        },
    )
    return ShardedArray(template, "logits", path, rows or rows_per_shard(4 * shape[1]))


Centering = Literal["none", "per_image"]
COMPARED = 2**18  # images whose paths are compared at a time


class Logits(ABC):
    """The logits of one network over one set of images, read a few images at a time.

    Attributes
    ----------
    path : str
        What errors call them.
    centering : {"none", "per_image"}
        Whether each image's mean logit is subtracted.
    """

    path: str
    centering: Centering

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Numbers of images and of categories."""

    @property
    @abstractmethod
    def rows_at_once(self) -> int:
        """Images that are best read at once."""

    @property
    @abstractmethod
    def masked(self) -> list[int]:
        """Categories that take no part: they hold the least float in every image."""

    @abstractmethod
    def _read(self, first: int, last: int) -> np.ndarray: ...

    def stored(self, first: int, last: int) -> np.ndarray:
        """Rows `first:last` as they are stored, neither widened, checked nor centred.

        Parameters
        ----------
        first, last : int
            First image, and one past the last.

        Returns
        -------
        ndarray, shape (last - first, category)
            Of the type that is stored.

        Raises
        ------
        StoreError
            If a shard is missing or its checksum does not match.
        """
        return self._read(first, last)

    def rows(self, first: int, last: int, dtype: type[np.floating] = np.float64) -> np.ndarray:
        """Rows `first:last`, centred as asked for.

        Parameters
        ----------
        first, last : int
            First image, and one past the last.
        dtype : type
            Of what is returned; centred in float64 in any case.

        Returns
        -------
        ndarray, shape (last - first, category)
            In logits.

        Raises
        ------
        StoreError
            If a value is not finite, or a shard is missing or its checksum does not match.
        """
        worked = np.float64 if self.centering == "per_image" else dtype
        logits = np.asarray(self.stored(first, last), dtype=worked)
        if not np.isfinite(logits).all():
            raise self.not_finite(first, last)
        return apply_centering(logits, self.centering).astype(dtype, copy=False)

    def not_finite(self, first: int, last: int) -> StoreError:
        """The error that `rows` and `rows_on_device` raise.

        Parameters
        ----------
        first, last : int
            First image, and one past the last.

        Returns
        -------
        StoreError
            To be raised.
        """
        return StoreError(
            f"{self.path}: rows {first}:{last} hold values that are not finite; "
            "remove the store and extract again"
        )


@dataclass(frozen=True)
class LogitsFile(Logits):
    """Logits in a store, as a path that any worker can open.

    Attributes
    ----------
    path : str
        Zarr store with an array `logits` (sample, category), float32.
    centering : {"none", "per_image"}
        Whether each image's mean logit is subtracted.
    """

    path: str
    centering: Centering = "none"

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of images and of categories."""
        n_images, n_categories = open_array(self.path, "logits").shape
        return n_images, n_categories

    @property
    def rows_at_once(self) -> int:
        """Images of a shard."""
        array = open_array(self.path, "logits")
        return (array.shards or array.chunks)[0]

    @property
    def masked(self) -> list[int]:
        """Categories that take no part, as `masked_categories` finds them."""
        return masked_categories(self.path)

    def _read(self, first: int, last: int) -> np.ndarray:
        return np.asarray(open_array(self.path, "logits")[first:last])


@dataclass(frozen=True, eq=False)
class LogitsArray(Logits):
    """Logits in memory.

    Attributes
    ----------
    path : str
        What errors call them.
    values : ndarray, shape (sample, category), float32
        Raw logits, all finite.
    centering : {"none", "per_image"}
        Whether each image's mean logit is subtracted.
    left_out : list of int
        What `masked` gives.
    """

    path: str
    values: np.ndarray
    centering: Centering = "none"
    left_out: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of images and of categories."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def rows_at_once(self) -> int:
        """Images that a store's shard would have: sums have the same steps as a store's."""
        return rows_per_shard(4 * self.shape[1])

    @property
    def masked(self) -> list[int]:
        """Categories that take no part."""
        return self.left_out

    def _read(self, first: int, last: int) -> np.ndarray:
        return self.values[first:last]


def apply_centering(logits: np.ndarray, centering: Centering) -> np.ndarray:
    """Logits, centred or not: softmax does not see a constant added to all logits of an image, M does.

    Parameters
    ----------
    logits : ndarray, shape (samples, categories), float64
        Raw logits.
    centering : {"none", "per_image"}
        `none` leaves the logits as the network gave them (the paper's way); `per_image`
        subtracts each image's mean logit.

    Returns
    -------
    ndarray, shape (samples, categories), float64
        The same array where nothing is done.

    Examples
    --------
    >>> apply_centering(np.array([[1.0, 3.0]]), "per_image").tolist()
    [[-1.0, 1.0]]
    """
    return logits - logits.mean(axis=1, keepdims=True) if centering == "per_image" else logits


def check_partners(source: xr.Dataset, target: xr.Dataset, names: tuple[str, str]) -> None:
    """Refuse two logits stores that are not over the same categories and images, in the same order.

    Codes, paths and labels are compared where both stores have them; -1 is no label.

    Parameters
    ----------
    source, target : xarray.Dataset
        Logits stores.
    names : tuple of str
        What errors call them.

    Raises
    ------
    StoreError
        One line with both stores' names, the first difference and the fix.
    """
    for coordinate, dimension, called, what in (
        ("category_code", "category", "category {} is", "categories"),
        ("path", "sample", "image {} is", "images"),
        ("label", "sample", "the label of image {} is", "images"),
    ):
        counts = source.sizes[dimension], target.sizes[dimension]
        if counts[0] != counts[1]:
            raise StoreError(
                f"{names[1]}: {counts[1]} values along {dimension} where {names[0]} has {counts[0]}; "
                "extract both networks from the same data set"
            )
        if coordinate not in source or coordinate not in target:
            continue
        # a part at a time: the paths of fourteen million images are gigabytes
        for start in range(0, counts[0], COMPARED):
            ours, theirs = (
                store[coordinate][start : start + COMPARED].values for store in (source, target)
            )
            differ = ours != theirs
            if coordinate == "label":
                differ &= (ours >= 0) & (theirs >= 0)
            if differ.any():
                at = int(differ.argmax())
                raise StoreError(
                    f"{names[1]}: {called.format(start + at)} {theirs[at]} where {names[0]} has "
                    f"{ours[at]}; bring both networks' {what} into the same order"
                )


def masked_categories(path: str) -> list[int]:
    """Categories of a logits store that hold the least float in every image: they take no part.

    Parameters
    ----------
    path : str
        Of a logits store.

    Returns
    -------
    list of int
        In rising order.
    """
    return open_store(path).attrs.get("masked_categories", [])


def side_coordinates(store: xr.Dataset, side: Literal["source", "target"]) -> dict[str, Any]:
    """Category coordinates of a logits store, renamed for one side of a pair.

    Parameters
    ----------
    store : xarray.Dataset
        Logits store.
    side : {"source", "target"}
        Of the pair.

    Returns
    -------
    dict
        Number, and name and code where the store has them.
    """
    dimension = f"{side}_category"
    coords: dict[str, Any] = {dimension: store["category"].values}
    for suffix in ("name", "code"):
        if f"category_{suffix}" in store:
            coords[f"{dimension}_{suffix}"] = store[f"category_{suffix}"].values
    return coords
