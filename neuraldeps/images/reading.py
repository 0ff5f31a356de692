"""Reading images in batches, whatever they lie in."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from neuraldeps.images.protocol import Images
from neuraldeps.images.stored import StoredImages
from neuraldeps.stores import fingerprint, open_store


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

    Returns
    -------
    Images
        To be streamed.

    Raises
    ------
    StoreError
        If it is neither.
    """
    if open_store(path).attrs.get("access") is None:
        return StoredImages(path)
    from neuraldeps.images.photos import IndexedPhotos

    return IndexedPhotos(path, data_config, workers)


def read_coords(path: str) -> tuple[xr.Dataset, str]:
    """Coordinates of a store or index of images, and its fingerprint; no pixels.

    Parameters
    ----------
    path : str
        Store of a split's images, or of their index.

    Returns
    -------
    tuple of xarray.Dataset and str
        Coordinates along `sample` and `category`, and the store's fingerprint.

    Raises
    ------
    StoreError
        If nothing of the kind stands there.
    """
    dataset = open_store(path)
    return dataset.drop_vars("image", errors="ignore").load(), fingerprint(path)
