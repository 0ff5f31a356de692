"""Reading images in batches, whatever they lie in."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import xarray as xr
import zarr

from neuraldeps.errors import StoreError
from neuraldeps.stores import fingerprint, open_store

Range = tuple[int, int]


class Images(Protocol):
    """Images in a fixed order, as 8-bit pixels: the network's own mean and deviation come later."""

    fingerprint: str
    coords: xr.Dataset

    def __len__(self) -> int:
        """Count images."""

    def stream(self, ranges: Sequence[Range], size: int) -> Iterator[tuple[int, np.ndarray]]:
        """Read ranges of images, each in batches of its own.

        Yields
        ------
        int
            Which of the ranges.
        ndarray, shape (image, channel, y, x), uint8
        """


class StoredImages:
    """Images in a store of this project: `image` (sample, y, x) or (sample, channel, y, x), uint8.

    Parameters
    ----------
    path : str
        Store with the coordinates `label` (-1: none) and `path` along `sample`, and
        `category_name` along `category`.

    Raises
    ------
    StoreError
        If it is not such a store.
    """

    def __init__(self, path: str) -> None:
        dataset = open_store(path)
        if "image" not in dataset or dataset["image"].dtype != np.uint8:
            raise StoreError(f"{path}: holds no array `image` of uint8; remove it and run again")
        self.path = path
        self.fingerprint = fingerprint(path)
        self.coords = dataset.drop_vars("image").load()
        self._array = zarr.open_array(f"{path}/image", mode="r")

    def __len__(self) -> int:
        return self._array.shape[0]

    def batches(self, first: int, last: int, size: int) -> Iterator[np.ndarray]:
        """Read images `first` to `last` in batches (image, channel, y, x), uint8.

        Reads whole chunks of the store at a time, and cuts batches from them.
        """
        step = size * -(-self._array.chunks[0] // size)
        for start in range(first, last, step):
            pixels = np.asarray(self._array[start : min(start + step, last)])
            pixels = pixels[:, None] if pixels.ndim == 3 else pixels
            for row in range(0, len(pixels), size):
                yield pixels[row : row + size]

    def stream(self, ranges: Sequence[Range], size: int) -> Iterator[tuple[int, np.ndarray]]:
        """Read ranges of images, each in batches of its own: the range's number, and pixels."""
        for number, (first, last) in enumerate(ranges):
            for pixels in self.batches(first, last, size):
                yield number, pixels


def open_images(path: str, data_config: Mapping[str, Any], workers: int = 0) -> Images:
    """Open a store of images, or an index of photos.

    Parameters
    ----------
    path : str
        What `render_glyphs` or `index_images` wrote.
    data_config : mapping
        timm's data configuration of the network: how photos are resized and cropped.
    workers : int
        Processes that decode photos.

    Raises
    ------
    StoreError
        If it is neither.
    """
    if open_store(path).attrs.get("access") is None:
        return StoredImages(path)
    from neuraldeps.decoding import IndexedPhotos

    return IndexedPhotos(path, data_config, workers)


def read_coords(path: str) -> tuple[xr.Dataset, str]:
    """Coordinates of a store or index of images, and its fingerprint; no pixels.

    Raises
    ------
    StoreError
        If nothing of the kind stands there.
    """
    dataset = open_store(path)
    return dataset.drop_vars("image", errors="ignore").load(), fingerprint(path)
