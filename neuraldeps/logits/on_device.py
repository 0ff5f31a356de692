"""Logits as tensors: read as they are stored, widened and centred where they are used."""

from typing import TYPE_CHECKING

import numpy as np

from neuraldeps.logits.store import Logits

if TYPE_CHECKING:
    from torch import Tensor


def rows_on_device(
    file: Logits, first: int, last: int, device: str, dtype: type[np.floating] = np.float64
) -> "Tensor":
    """Rows `first:last` as `Logits.rows` gives them, as a tensor on a device.

    Parameters
    ----------
    file : Logits
        Of any real type of numbers; they travel as they are stored.
    first, last : int
        First image, and one past the last.
    device : str
        As PyTorch calls it.
    dtype : type
        Of what is returned; centred in float64 in any case.

    Returns
    -------
    Tensor, shape (last - first, category)
        In logits. Centred ones differ from `Logits.rows` by the rounding of their mean.

    Raises
    ------
    StoreError
        As `Logits.rows`.
    """
    import torch

    wanted = getattr(torch, np.dtype(dtype).name)
    worked = torch.float64 if file.centering == "per_image" else wanted
    stored = torch.from_numpy(file.stored(first, last)).to(device)
    # a copy in any case: what NumPy allocates may begin at an address that rounds otherwise
    rows = stored.to(worked, copy=True)
    if not bool(torch.isfinite(rows).all()):
        raise file.not_finite(first, last)
    if file.centering == "per_image":
        rows = rows - rows.mean(dim=1, keepdim=True)
    return rows.to(wanted)
