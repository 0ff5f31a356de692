"""What every source of images can do, whatever the images lie in."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import xarray as xr

Range = tuple[int, int]


class Images(Protocol):
    """Images in a fixed order, as 8-bit pixels: the network's own mean and deviation come later."""

    fingerprint: str
    coords: xr.Dataset

    def __len__(self) -> int:
        """Count images."""

    def stream(self, ranges: Sequence[Range], size: int) -> Iterator[tuple[int, np.ndarray]]:
        """Read ranges of images, each in batches of its own.

        Parameters
        ----------
        ranges : sequence of tuple of int
            First image and one past the last, of each range.
        size : int
            Most images of a batch.

        Yields
        ------
        int
            Which of the ranges.
        ndarray, shape (image, channel, y, x), uint8
        """
