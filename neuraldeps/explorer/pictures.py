"""Small pictures: sample images of every category, and those that its dependency misses most."""

import logging
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from neuraldeps.images.reading import read_coords
from neuraldeps.stores import open_array

log = logging.getLogger(__name__)
QUALITY = 82


class Pictures:
    """Images of one split, made small.

    Parameters
    ----------
    images : str
        Store of a split's images, or their index.
    side : int
        Largest side of a picture, pixels; smaller images are left as they are.
    most : int
        How many pictures may be asked for in all.
    """

    def __init__(self, images: str, side: int, most: int) -> None:
        coords, _ = read_coords(images)
        self.side, self.left = side, most
        self._coords = coords
        self._pixels: np.ndarray | None = None
        access = coords.attrs.get("access")
        if access is None:
            self._pixels = np.asarray(open_array(images, "image")[:])
        elif access != "files":
            log.warning("%s: its images are no files of their own; none is shown", images)
            self.left = 0
        paths = coords["path"].values.tolist() if "path" in coords.coords else []
        self._row = {str(path): row for row, path in enumerate(paths)}
        label = coords["label"].values
        order = np.argsort(label, kind="stable")
        begins = np.searchsorted(label[order], np.arange(coords.sizes["category"] + 1))
        self._rows = [order[a:b] for a, b in pairwise(begins)]

    def of_category(self, category: int, n: int) -> list[int]:
        """The first images of a category.

        Parameters
        ----------
        category : int
            Its number.
        n : int
            How many at most.

        Returns
        -------
        list of int
            Rows of the store.
        """
        return self._rows[category][:n].tolist() if category < len(self._rows) else []

    def named(self, names: Sequence[str | int]) -> list[int]:
        """Images by what cards call them: their path, or where there is none their number.

        Parameters
        ----------
        names : sequence of str or int
            As cards have them.

        Returns
        -------
        list of int
            Rows of the store; empty if one of the images is not in it.
        """
        if self._row:
            rows = [self._row.get(str(name), -1) for name in names]
        else:
            rows = [int(name) for name in names]
        return rows if all(row >= 0 for row in rows) else []

    def save(self, path: Path, rows: Iterable[int]) -> bool:
        """Write images side by side into one file, unless there are none left to be written.

        Parameters
        ----------
        path : Path
            File to write, WebP.
        rows : iterable of int
            Images, from left to right.

        Returns
        -------
        bool
            Whether it was written.
        """
        rows = list(rows)
        if not rows or len(rows) > self.left:
            return False
        squares = [square for row in rows if (square := self._square(row)) is not None]
        if len(squares) < len(rows):
            return False
        side = max(one.width for one in squares)
        strip = Image.new("RGB", (side * len(squares), side))
        for place, one in enumerate(squares):
            strip.paste(one.resize((side, side)), (place * side, 0))
        self.left -= len(rows)
        path.parent.mkdir(parents=True, exist_ok=True)
        strip.save(path, "WEBP", quality=QUALITY, method=4)
        return True

    def _square(self, row: int) -> Image.Image | None:
        """The middle of an image, no larger than asked for."""
        if self._pixels is not None:
            pixels = self._pixels[row]
            if pixels.ndim == 3:
                pixels = np.moveaxis(pixels, 0, -1)[..., : 3 if len(pixels) >= 3 else 1].squeeze()
            return self._cut(Image.fromarray(pixels))
        file = Path(str(self._coords["path"].values[row]))
        if not file.is_file():
            log.warning("%s: is no longer there; shown without it", file)
            return None
        with Image.open(file) as image:
            image.draft("RGB", (2 * self.side, 2 * self.side))
            return self._cut(image)

    def _cut(self, image: Image.Image) -> Image.Image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.convert("RGB").crop((left, top, left + side, top + side))
        if side <= self.side:
            return square
        return square.resize((self.side, self.side), Image.Resampling.LANCZOS)
