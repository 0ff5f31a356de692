"""A sample image per category, for data sets whose categories are no characters."""

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr
from PIL import Image

from neuraldeps.categories import categories

log = logging.getLogger(__name__)
SIDE = 192


def sample_pictures(
    logits: xr.Dataset, codes: Iterable[str], root: str = "."
) -> dict[str, np.ndarray]:
    """Read the first image of each category from the paths that a logits store names.

    Parameters
    ----------
    logits : xarray.Dataset
        `label` and `path` along `sample`; categories along `category`.
    codes : iterable of str
        Codes of the categories wanted; code points are left out, they are drawn from the font.
    root : str
        Folder that the paths are relative to.

    Returns
    -------
    dict of str to ndarray
        Per code an image (y, x, 3), uint8; a category without a readable image file is left out,
        and the log says so.
    """
    wanted = {code for code in codes if not code.startswith("U+")}
    if not wanted or "path" not in logits or "label" not in logits:
        return {}
    position = {category.code: number for number, category in enumerate(categories(logits))}
    label = logits.label.values
    pictures = {}
    for code in sorted(wanted & position.keys()):
        rows = np.flatnonzero(label == logits.category.values[position[code]])
        path = Path(root, str(logits.path.values[rows[0]])) if len(rows) else None
        if path is None or not path.is_file():
            log.warning("category %s is drawn without a picture: no image file %s", code, path)
            continue
        pictures[code] = _square(path)
    return pictures


def _square(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        cropped = image.convert("RGB").crop((left, top, left + side, top + side))
        return np.asarray(cropped.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
