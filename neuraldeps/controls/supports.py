"""Sources that nobody searched for: random ones, the nearest ones, and all of them."""

from collections.abc import Sequence

import numpy as np
import scipy.linalg

from neuraldeps.estimators import Solutions
from neuraldeps.refit import refit
from neuraldeps.seeds import seed_of

# eigenvalue that float32 logits can make of a zero, per category, where M has a diagonal of 1
ZERO = 2.0**-46


def random_supports(
    allowed: np.ndarray, sizes: Sequence[int], targets: np.ndarray, seed: int
) -> np.ndarray:
    """Random sources of every target; those of a smaller size are among those of a larger one.

    Parameters
    ----------
    allowed : ndarray of bool, shape (T, n)
        Sources that every target may have.
    sizes : sequence of int
        Support sizes, M of them.
    targets : ndarray of int, shape (T,)
        Target categories, which the draw of each depends on.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of int32, shape (T, M, max(sizes))
        Padded with -1.
    """
    ranks = np.stack(
        [
            np.random.default_rng(seed_of(seed, int(target))).random(allowed.shape[1])
            for target in targets
        ]
    )
    return _first_few(np.where(allowed, ranks, -1.0), sizes)


def nearest_supports(
    second_moment: np.ndarray,
    cross_moment: np.ndarray,
    allowed: np.ndarray,
    sizes: Sequence[int],
    targets: np.ndarray,
) -> np.ndarray:
    """The sources whose logits have the largest cosine with the target's, of either sign.

    Parameters
    ----------
    second_moment : ndarray, shape (n, n), float64
        E[f f^T], squared logits.
    cross_moment : ndarray, shape (n, n_target), float64
        E[f g^T], squared logits.
    allowed, sizes, targets
        As in `random_supports`.

    Returns
    -------
    ndarray of int32, shape (T, M, max(sizes))
        By falling |E[f_j g_i]| / E[f_j^2]^(1/2), padded with -1.
    """
    size = np.sqrt(np.diagonal(second_moment))
    cosine = np.abs(cross_moment[:, targets].T) / np.where(size > 0, size, 1.0)
    return _first_few(np.where(allowed & (size > 0), cosine, -1.0), sizes)


def _first_few(score: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """The sources of highest score; those below 0 are none."""
    width = max(sizes)
    order = np.argsort(-score, axis=1, kind="stable")[:, :width].astype(np.int32)
    order[np.take_along_axis(score, order, axis=1) < 0] = -1
    support = np.full((len(score), len(sizes), width), -1, np.int32)
    for place, size in enumerate(sizes):
        support[:, place, : min(size, order.shape[1])] = order[:, :size]
    return support


def refitted(
    second_moment: np.ndarray, cross_moment: np.ndarray, targets: np.ndarray, support: np.ndarray
) -> Solutions:
    """Least squares on given supports.

    Parameters
    ----------
    second_moment, cross_moment, targets, support
        As `neuraldeps.refit.refit` takes them.

    Returns
    -------
    Solutions
        The supports with their coefficients.
    """
    return Solutions(support, refit(second_moment, cross_moment, targets, support))


def dense_solutions(
    second_moment: np.ndarray, cross_moment: np.ndarray, targets: np.ndarray, own: bool
) -> Solutions:
    r"""Least squares on all sources but the target's own category.

    With W = M^+ B for all sources, the own category i leaves by

        w - (w_i / h_i) h,   h = the column i of the projector on M's null space where that touches i
                                 (the prediction stays the same), else of M^+,

    one eigendecomposition for all targets.

    Parameters
    ----------
    second_moment : ndarray, shape (n, n), float64
        E[f f^T], squared logits.
    cross_moment : ndarray, shape (n, n_target), float64
        E[f g^T], squared logits.
    targets : ndarray of int, shape (T,)
        Target categories.
    own : bool
        Whether the category of the target's index may be a source; never within a network.

    Returns
    -------
    Solutions
        `support` (T, 1, n) of all sources, `coef` 0 for the own category where it is left out.
    """
    n = len(second_moment)
    power = np.diagonal(second_moment)
    scale = np.sqrt(np.where(power > 0, power, 1.0))
    value, vector = scipy.linalg.eigh(second_moment / np.outer(scale, scale))
    kept = value > n * ZERO
    null = vector[:, ~kept]
    projected = vector[:, kept] / value[kept]
    right = cross_moment[:, targets] / scale[:, np.newaxis]
    weights = projected @ (vector[:, kept].T @ right)  # (n, T)
    if not own:
        component = (null**2).sum(axis=1)
        for at, i in enumerate(targets):
            if component[i] > np.sqrt(ZERO):
                leaving = null @ null[i]
            else:
                leaving = projected @ vector[i, kept]
            if leaving[i] > 0:
                weights[:, at] -= weights[i, at] / leaving[i] * leaving
            weights[i, at] = 0.0
    support = np.tile(np.arange(n, dtype=np.int32), (len(targets), 1, 1))
    return Solutions(support, (weights / scale[:, np.newaxis]).T[:, np.newaxis].copy())
