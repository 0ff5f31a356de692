"""Second moments of random halves of the images, in one pass over the logits."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from neuraldeps.devices import check_device, one_torch_thread
from neuraldeps.logits.on_device import rows_on_device
from neuraldeps.logits.store import Logits
from neuraldeps.logs import progress

ROWS = 4096  # images at once


class HalfMoments(NamedTuple):
    """What a solver needs to know of one half of the images; all float64, squared logits.

    Attributes
    ----------
    second_moment : ndarray, shape (n, n)
        E[f f^T] over the half.
    cross_moment : ndarray, shape (n, n_target), or None
        E[f g^T]; None within a network.
    target_second_moment : ndarray, shape (n_target,), or None
        E[g^2]; None within a network.
    """

    second_moment: np.ndarray
    cross_moment: np.ndarray | None
    target_second_moment: np.ndarray | None


def half_moments(
    source: Logits,
    target: Logits,
    n_splits: int,
    seed: int,
    *,
    device: str | None = None,
) -> Iterator[HalfMoments]:
    """Second moments of both halves of random splits of the images.

    Parameters
    ----------
    source, target : Logits
        f and g over the same images; the same file twice within a network.
    n_splits : int
        Splits; two halves of each are given, one image more in the second where their number is
        odd.
    seed : int
        Of the splits.
    device : str, optional
        As `neuraldeps.moments.second_moment` takes it: all sums are held there.

    Yields
    ------
    HalfMoments
        2 `n_splits` of them. One pass over the logits, on one BLAS thread in a fixed order, holds
        `n_splits` + 1 second moments (of both kinds between networks), and `ROWS` images twice.

    Raises
    ------
    InputError
        As `check_device`.
    """
    n_samples = source.shape[0]
    is_first = np.zeros((n_splits, n_samples), bool)
    for split in range(n_splits):
        chosen = np.random.default_rng([seed, split]).permutation(n_samples)[: n_samples // 2]
        is_first[split, chosen] = True
    counts = [n_samples // 2, n_samples - n_samples // 2]
    grams, crosses, powers = _sums(source, target, is_first, device)
    for split in range(n_splits):
        for half, count in enumerate(counts):

            def of_half(sums: Any, split=split, half=half, count=count) -> Any:
                found = (sums[split] if half == 0 else sums[-1] - sums[split]) / max(count, 1)
                return found if device is None else found.cpu().numpy()

            yield HalfMoments(
                of_half(grams),
                None if crosses is None else of_half(crosses),
                None if powers is None else of_half(powers),
            )


def _sums(
    source: Logits, target: Logits, is_first: np.ndarray, device: str | None
) -> tuple[Any, Any, Any]:
    """Sums of f f^T and, between networks, of f g^T and g^2, over every first half and over all."""
    n_splits, n_samples = is_first.shape
    n, n_target = source.shape[1], target.shape[1]
    within = source == target
    one = n * n if within else n * n + (n + 1) * n_target
    check_device(device, 8 * ((n_splits + 3) * one + 4 * ROWS * (n + n_target)))
    zeros, rows = _arithmetic(device)
    grams = zeros((n_splits + 1, n, n))  # the last one is of all images
    crosses: Any = None if within else zeros((n_splits + 1, n, n_target))
    powers: Any = None if within else zeros((n_splits + 1, n_target))
    masked = [side.masked for side in (source, target)]
    with threadpool_limits(1, "blas"), one_torch_thread(device):
        for first in progress(range(0, n_samples, ROWS), "halves", None, "block"):
            last = min(first + ROWS, n_samples)
            f = rows(source, first, last)
            g = f if within else rows(target, first, last)
            f[:, masked[0]] = g[:, masked[1]] = 0.0  # as in the second moments of all images
            for split in range(n_splits + 1):
                taken = slice(None) if split == n_splits else is_first[split, first:last]
                ours = f[taken]
                grams[split] += ours.T @ ours
                if not within:
                    theirs = g[taken]
                    crosses[split] += ours.T @ theirs
                    powers[split] += (theirs**2).sum(axis=0)
    if device is not None:  # NumPy has a routine that is symmetric
        for gram in grams:
            gram.copy_(gram.triu() + gram.triu(1).T)
    return grams, crosses, powers


def _arithmetic(device: str | None) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Zeros, and rows of a file: NumPy's, or PyTorch's, which are written the same from there on."""
    if device is None:
        return np.zeros, Logits.rows
    import torch

    return (
        partial(torch.zeros, dtype=torch.float64, device=device),
        partial(rows_on_device, device=device),
    )
