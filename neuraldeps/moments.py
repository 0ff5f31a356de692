"""Uncentred second moments of logits, reduced in a fixed tree whatever the cores or the scheduler."""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product
from operator import getitem
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import xarray as xr
from dask.delayed import Delayed
from threadpoolctl import threadpool_limits

from neuraldeps.devices import check_device, one_torch_thread
from neuraldeps.errors import StoreError
from neuraldeps.logits.on_device import rows_on_device
from neuraldeps.logits.store import (
    Centering,
    Logits,
    LogitsFile,
    check_partners,
    side_coordinates,
)
from neuraldeps.stores import fingerprint, open_store, provenance
from neuraldeps.stores.layouts import SECOND_MOMENT

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 4096  # categories per side of a block of the second moment
LANES = 8  # sums that can grow side by side where the second moment is one small block
LANE_BYTES = 2**30
STEPS = 4096  # most steps, of whole shards: every step is a few dozen tasks of a graph in memory
log = logging.getLogger(__name__)


def _cuts(n: int) -> list[tuple[int, int]]:
    return list(pairwise([*range(0, n, BLOCK), n]))


def _load(
    file: Logits, first: int, last: int, cuts: list[tuple[int, int]], after: Any
) -> list[np.ndarray]:
    """Columns of some rows, block by block, not before `after` is done."""
    rows = file.rows(first, last)
    return [np.ascontiguousarray(rows[:, start:stop]) for start, stop in cuts]


def _load_on_device(
    file: Logits, first: int, last: int, cuts: list[tuple[int, int]], after: Any, device: str
) -> "list[Tensor]":
    """The same as tensors."""
    hold_torch()
    rows = rows_on_device(file, first, last, device)
    return [rows[:, start:stop].contiguous() for start, stop in cuts]


@lru_cache(maxsize=1)
def hold_blas() -> threadpool_limits:
    """Hold BLAS to one thread for the rest of this process: workers run tasks side by side.

    Returns
    -------
    threadpool_limits
        What holds it; it must not be let go.
    """
    return threadpool_limits(1, "blas")


def hold_torch() -> None:
    """Hold PyTorch's CPU operations of this thread to one, as `hold_blas` holds BLAS."""
    import torch

    torch.set_num_threads(1)


def _accumulate(
    total: Any, left: np.ndarray, right: np.ndarray | None, limit_blas: bool
) -> np.ndarray:
    """Add left^T right, of none left^T left, on one BLAS thread: the sum must not depend on cores."""
    if limit_blas:
        hold_blas()
    # NumPy has another routine, which rounds otherwise, for the square of one aligned array: what
    # comes from another process may be unaligned, or be there twice
    left = np.require(left, requirements="A")
    product = left.T @ (left if right is None else right)
    return product if total is None else np.add(total, product, out=product)


def _accumulate_on_device(
    total: "Tensor | None", left: "Tensor", right: "Tensor | None", limit_blas: bool
) -> "Tensor":
    """Add left^T right, in float64, to a total that stays on the device."""
    hold_torch()
    right = left if right is None else right
    # one stream for all threads: the library's own sums are then in one order too
    return left.T @ right if total is None else total.addmm_(left.T, right)


def _mark(total: Any) -> None:
    """Nothing, once a step is in a total: what a later step's rows wait for."""


def _gather(totals: list[Any]) -> list[np.ndarray]:
    return [total if isinstance(total, np.ndarray) else total.cpu().numpy() for total in totals]


def _accumulate_mean(total: Any, blocks: list[np.ndarray]) -> np.ndarray:
    sums = np.concatenate([block.sum(axis=0) for block in blocks])
    return sums if total is None else total + sums


def _accumulate_mean_on_device(total: "Tensor | None", blocks: "list[Tensor]") -> "Tensor":
    import torch

    hold_torch()
    sums = torch.cat([block.sum(dim=0) for block in blocks])
    return sums if total is None else total + sums


@dataclass(frozen=True)
class Moments:
    """E[f g^T] and the means of both sides.

    Attributes
    ----------
    second_moment : ndarray, shape (source categories, target categories), float64, squared logits
    source_mean, target_mean : ndarray, float64, logits
        Mean logit of every category.
    n_samples : int
    """

    second_moment: np.ndarray
    source_mean: np.ndarray
    target_mean: np.ndarray
    n_samples: int


def second_moment(
    source: Logits,
    target: Logits,
    *,
    compute: Callable[[Any], tuple[Any, ...]] = dask.compute,
    limit_blas: bool = False,
    threads: int = 8,
    device: str | None = None,
) -> Moments:
    """Uncentred second moment E[f g^T] of two networks' logits over the same images (the paper's Sec. 2).

    Parameters
    ----------
    source, target : LogitsFile or LogitsArray
        f and g. The same one twice gives the symmetric second moment within a network.
    compute : callable
        Computes a Dask collection: `dask.compute` in the caller's scheduler, or a client's.
    limit_blas : bool
        Hold BLAS to one thread inside each task; for workers in other processes. Where the
        tasks run in this process the caller holds it once for all.
    threads : int
        That `compute` has in all: what they need of rows is in memory at once, and no more.
    device : str, optional
        ``cpu``, ``cuda`` or ``cuda:N``: rows are widened and multiplied there by PyTorch, in the
        same tasks. Without, by NumPy.

    Returns
    -------
    Moments
        float64, summed in a fixed tree: step k, a shard (or some, so that there are at most
        `STEPS` steps), goes to lane `k % lanes`, a lane adds in order, and the lanes are added in
        order. Steps and lanes depend on the logits' shape and shards alone, so the bytes do not
        depend on cores, workers or timing. A device's are within 1e-12 of NumPy's, relative to the
        root of the product of the two categories' own second moments, and depend on its kind alone.

    Raises
    ------
    StoreError
        If the two files hold other numbers of images, or values that are not finite.
    InputError
        As `check_device`, where the tasks run in this process.

    Notes
    -----
    Memory: `lanes` partial sums, the rows of the steps that occupy all `threads`, two at least
    (a step is read when the one so many before it has been added: left alone, a scheduler reads far
    ahead), and a block per thread, whatever the number of images.

    On a device, `device_bytes` of it: the partial sums and those rows are there, and products are
    added in place, without a block per thread. The host then holds the rows as they are stored,
    and in the end the partial sums too.
    """
    (n_samples, n_source), (n_images, n_target) = source.shape, target.shape
    if n_images != n_samples:
        raise StoreError(
            f"{target.path}: {n_images} images where {source.path} has {n_samples}; "
            "extract both from the same split"
        )
    rows = source.rows_at_once
    rows *= -(-n_samples // (rows * STEPS))
    within = source == target
    source_cuts, target_cuts = _cuts(n_source), _cuts(n_target)
    lanes = int(np.clip(LANE_BYTES // (8 * n_source * n_target), 1, LANES))

    pairs = [
        (i, j)
        for i in range(len(source_cuts))
        for j in range(len(target_cuts))
        if not within or i <= j
    ]
    ahead = max(2, -(-threads // len(pairs)))
    if device is not None and not limit_blas:  # workers elsewhere are asked by `on_cluster`
        check_device(device, device_bytes(n_source, n_target, rows, lanes, ahead))
    load_rows, add, add_mean = (
        (_load, _accumulate, _accumulate_mean)
        if device is None
        else (_load_on_device, _accumulate_on_device, _accumulate_mean_on_device)
    )
    where = () if device is None else (device,)
    # a plain graph: the time to make one of nested delayed calls grows with the square of the steps
    graph: dict[tuple, tuple] = {}
    run = uuid.uuid4().hex

    def task(function: Callable[..., Any], *args: Any) -> tuple:
        key = (f"{function.__name__.strip('_')}-{run}", len(graph))
        graph[key] = (function, *args)
        return key

    def load(file: Logits, first: int, last: int, cuts: list, after: list[tuple]) -> list:
        rows = task(load_rows, file, first, last, cuts, after, *where)
        return [task(getitem, rows, block) for block in range(len(cuts))]

    totals: dict[tuple, tuple] = {}
    marks: dict[int, list[tuple]] = {}
    for step, first in enumerate(range(0, n_samples, rows)):
        last, lane = min(first + rows, n_samples), step % lanes
        after = marks.pop(step - ahead, [])
        left = load(source, first, last, source_cuts, after)
        right = left if within else load(target, first, last, target_cuts, after)
        added: dict[tuple, tuple] = {}
        for i, j in pairs:
            key = (lane, i, j)
            other = None if within and i == j else right[j]
            added[key] = task(add, totals.get(key), left[i], other, limit_blas)
        for side, blocks in (("source", left), ("target", right)):
            added[lane, side] = task(add_mean, totals.get((lane, side)), blocks)
        marks[step] = [task(_mark, total) for total in added.values()]
        totals |= added

    with one_torch_thread(device):
        (values,) = compute(Delayed(task(_gather, list(totals.values())), graph))
    sums = dict(zip(totals, values, strict=True))
    del values
    used = min(lanes, -(-n_samples // rows))

    def over_lanes(*key: Any) -> np.ndarray:
        total = sums.pop((0, *key))
        for lane in range(1, used):
            total += sums.pop((lane, *key))
        total /= n_samples
        return total

    result = np.empty((n_source, n_target))
    # row by row of blocks: what is already written never needs the memory of what is still to come
    for (i, source_cut), (j, target_cut) in product(enumerate(source_cuts), enumerate(target_cuts)):
        block, mirrored = (
            (slice(*source_cut), slice(*target_cut)),
            (slice(*target_cut), slice(*source_cut)),
        )
        result[block] = result[mirrored].T if within and j < i else over_lanes(i, j)
        if within and i == j and device is not None:  # NumPy has a routine that is symmetric
            upper = np.triu(result[block])
            result[block] = upper + np.triu(upper, 1).T
    return Moments(result, over_lanes("source"), over_lanes("target"), n_samples)


def device_bytes(n_source: int, n_target: int, rows: int, lanes: int, ahead: int) -> int:
    """Memory of a device that a reduction takes, at most.

    Parameters
    ----------
    n_source, n_target : int
        Categories of both sides.
    rows : int
        Images of a step.
    lanes, ahead : int
        Partial sums, and steps whose rows are there at once.

    Returns
    -------
    int
        Bytes: the partial sums, and of every step that is there, and one that is being read, both
        sides' rows and their blocks in float64.

    Examples
    --------
    >>> device_bytes(1000, 1000, 8192, 8, 2) / 1e9
    0.850432
    """
    return 8 * (lanes * n_source * n_target + 2 * (ahead + 1) * rows * (n_source + n_target))


def moments_of(source: Logits, target: Logits, **how: Any) -> Moments:
    """Second moment of two networks' logits as dependencies are solved from: without masked categories.

    Parameters
    ----------
    source, target : LogitsFile or LogitsArray
        f and g, as `second_moment` takes them.
    **how
        Passed to `second_moment`.

    Returns
    -------
    Moments
        Masked categories have zeros: like categories that are always 0, they are in no dependency.

    Raises
    ------
    StoreError
        As `second_moment`, or where masked categories meet `per_image`.
    """
    for side in (source, target):
        if side.masked and side.centering == "per_image":
            raise StoreError(
                f"centering is per_image, but {side.path} has masked categories, {side.masked}, whose "
                "logits dominate the mean; use none, or remove their columns from all logits"
            )
    moments = second_moment(source, target, **how)
    moments.second_moment[source.masked] = moments.second_moment[:, target.masked] = 0.0
    moments.source_mean[source.masked] = moments.target_mean[target.masked] = 0.0
    return moments


def reduce_second_moment(
    source_path: str, target_path: str, centering: Centering, models: tuple[str, str], **how: Any
) -> xr.Dataset:
    """Reduce two logits stores to a labelled dataset with provenance.

    Parameters
    ----------
    source_path, target_path : str
        Logits stores of the same images.
    centering : {"none", "per_image"}
        Whether each image's mean logit is subtracted.
    models : tuple of str
        Names of the two networks.
    **how
        Passed to `second_moment`.

    Returns
    -------
    xarray.Dataset
        `second_moment` (source_category, target_category), float64, squared logits, and
        `source_mean`, `target_mean`, float64, logits.

    Raises
    ------
    StoreError
        As `check_partners` and `moments_of`.
    """
    paths = source_path, target_path
    # stores of their own: the paths of all images, read here, are let go
    check_partners(open_store(source_path), open_store(target_path), paths)
    stores = [open_store(path) for path in paths]
    moments = moments_of(*(LogitsFile(path, centering) for path in paths), **how)
    log.info("%d images, mean logit %.6g", moments.n_samples, moments.source_mean.mean())
    coords: dict[str, Any] = {}
    coords |= side_coordinates(stores[0], "source")
    coords |= side_coordinates(stores[1], "target")
    return SECOND_MOMENT.dataset(
        {
            "second_moment": moments.second_moment,
            "source_mean": moments.source_mean,
            "target_mean": moments.target_mean,
        },
        coords=coords,
        attrs={
            "source": models[0],
            "target": models[1],
            "centering": centering,
            "n_samples": moments.n_samples,
            **provenance(
                "reduce_second_moment",
                f"Uncentred second moment of {models[0]} and {models[1]}",
                config={"centering": centering, "models": list(models)},
                sources={"source": fingerprint(source_path), "target": fingerprint(target_path)},
            ),
        },
    )
