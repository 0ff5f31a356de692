"""Second moments of random halves of the images, in one pass over the logits."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from neuraldeps.logits.store import LogitsFile, masked_categories
from neuraldeps.logs import progress
from neuraldeps.stores import open_array

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
    source: LogitsFile, target: LogitsFile, n_splits: int, seed: int
) -> Iterator[HalfMoments]:
    """Second moments of both halves of random splits of the images.

    Parameters
    ----------
    source, target : LogitsFile
        f and g over the same images; the same file twice within a network.
    n_splits : int
        Splits; two halves of each are given, one image more in the second where their number is
        odd.
    seed : int
        Of the splits.

    Yields
    ------
    HalfMoments
        2 `n_splits` of them. One pass over the logits, on one BLAS thread in a fixed order, holds
        `n_splits` + 1 second moments (of both kinds between networks).
    """
    n_samples, n = open_array(source.path, "logits").shape
    is_first = np.zeros((n_splits, n_samples), bool)
    for split in range(n_splits):
        chosen = np.random.default_rng([seed, split]).permutation(n_samples)[: n_samples // 2]
        is_first[split, chosen] = True
    within = source == target
    grams = np.zeros((n_splits + 1, n, n))  # the last one is of all images
    n_target = n if within else open_array(target.path, "logits").shape[1]
    crosses = np.zeros((0 if within else n_splits + 1, n, n_target))
    powers = np.zeros((n_splits + 1, n_target))
    masked = [masked_categories(file.path) for file in (source, target)]
    with threadpool_limits(1, "blas"):
        for first in progress(range(0, n_samples, ROWS), "halves", None, "block"):
            last = min(first + ROWS, n_samples)
            f = source.rows(first, last)
            g = f if within else target.rows(first, last)
            f[:, masked[0]] = g[:, masked[1]] = 0.0  # as in the second moments of all images
            for split in range(n_splits + 1):
                taken = slice(None) if split == n_splits else is_first[split, first:last]
                ours = f[taken]
                grams[split] += ours.T @ ours
                if not within:
                    theirs = g[taken]
                    crosses[split] += ours.T @ theirs
                    powers[split] += (theirs**2).sum(axis=0)
    counts = [n_samples // 2, n_samples - n_samples // 2]
    for split in range(n_splits):
        for half, count in enumerate(counts):

            def of_half(sums: np.ndarray, split=split, half=half, count=count) -> np.ndarray:
                return (sums[split] if half == 0 else sums[-1] - sums[split]) / max(count, 1)

            yield HalfMoments(
                of_half(grams),
                None if within else of_half(crosses),
                None if within else of_half(powers),
            )
