"""Images that lie in a store of this project."""

from collections.abc import Iterator, Sequence

import numpy as np

from neuraldeps.errors import StoreError
from neuraldeps.images.protocol import Range
from neuraldeps.stores import fingerprint, open_array, open_store


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
            raise StoreError(f"{path}: has no array `image` of uint8; remove it and run again")
        self.path = path
        self.fingerprint = fingerprint(path)
        self.coords = dataset.drop_vars("image").load()
        self._array = open_array(path, "image")

    def __len__(self) -> int:
        return self._array.shape[0]

    def batches(self, first: int, last: int, size: int) -> Iterator[np.ndarray]:
        """Read images `first` to `last` in batches (image, channel, y, x), uint8.

        Reads whole chunks of the store at a time, and cuts batches from them.

        Parameters
        ----------
        first, last : int
            First image, and one past the last.
        size : int
            Most images of a batch.

        Yields
        ------
        ndarray, shape (image, channel, y, x), uint8
            Pixels.
        """
        step = size * -(-self._array.chunks[0] // size)
        for start in range(first, last, step):
            pixels = np.asarray(self._array[start : min(start + step, last)])
            pixels = pixels[:, None] if pixels.ndim == 3 else pixels
            for row in range(0, len(pixels), size):
                yield pixels[row : row + size]

    def stream(self, ranges: Sequence[Range], size: int) -> Iterator[tuple[int, np.ndarray]]:
        """Read ranges of images, each in batches of its own: the range's number, and pixels.

        Parameters
        ----------
        ranges : sequence of tuple of int
            First image and one past the last, of each range.
        size : int
            Most images of a batch.

        Yields
        ------
        tuple of int and ndarray
            Number of the range, and (image, channel, y, x) uint8.
        """
        for number, (first, last) in enumerate(ranges):
            for pixels in self.batches(first, last, size):
                yield number, pixels
