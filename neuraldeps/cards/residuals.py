"""What dependencies leave of a logit, image by image, in one pass over the logits."""

from typing import NamedTuple

import numpy as np
import scipy.sparse
from numba import njit

from neuraldeps.estimators import Solutions
from neuraldeps.logits.store import LogitsFile
from neuraldeps.logs import progress

ROWS = 2048  # images at once
PER_DECADE, DECADES = 48, 5  # |r| over the target's scale is counted in bins of 5 %, 1e-5 to 1e5
N_BINS = 2 * DECADES * PER_DECADE


class Residuals(NamedTuple):
    """Residuals r = g_i - w.f of `T` dependencies, one per target.

    Attributes
    ----------
    mean_square : ndarray, shape (T,), float64
        E[r^2], squared logits.
    quantile : ndarray, shape (T, Q), float64
        Quantiles of |r|, logits: the upper edge of the bin of 5 % that holds them.
    worst : ndarray of int64, shape (T, W)
        The images with the largest |r|, largest first; the earlier of equal ones first.
    worst_residual : ndarray, shape (T, W), float64
        Their r, logits.
    """

    mean_square: np.ndarray
    quantile: np.ndarray
    worst: np.ndarray
    worst_residual: np.ndarray


def measure_residuals(
    source: LogitsFile,
    target: LogitsFile,
    targets: np.ndarray,
    solutions: list[Solutions],
    scale: np.ndarray,
    *,
    n_samples: int,
    quantiles: tuple[float, ...] = (0.5, 0.9, 0.99),
    n_worst: int = 5,
) -> list[Residuals]:
    """Measure the residuals of several sets of dependencies, each with one per target.

    Parameters
    ----------
    source, target : LogitsFile
        f and g over the same images.
    targets : ndarray of int, shape (T,)
        Target categories.
    solutions : list of Solutions
        Supports and coefficients of shape (T, 1, S).
    scale : ndarray, shape (T,)
        Size of each target's logit that bins are relative to, logits; 0 where there is none.
    n_samples : int
        Number of images.
    quantiles : tuple of float
        Which quantiles.
    n_worst : int
        How many images are named, at most `n_samples`.

    Returns
    -------
    list of Residuals
        One per set.
    """
    n_targets, n_worst = len(targets), min(n_worst, n_samples)
    weights = [_sparse(one, source) for one in solutions]
    squares = np.zeros((len(weights), n_targets))
    counts = np.zeros((len(weights), n_targets, N_BINS), np.int64)
    worst = np.full((len(weights), n_targets, n_worst), -1)
    largest = np.zeros((len(weights), n_targets, n_worst))
    inverse = np.divide(1.0, scale, out=np.ones(n_targets), where=scale > 0)
    for begin in progress(range(0, n_samples, ROWS), "cards", None, "block"):
        end = min(begin + ROWS, n_samples)
        g = target.rows(begin, end)
        f = g if source == target else source.rows(begin, end)
        truth = np.ascontiguousarray(g[:, targets].T)
        columns = np.ascontiguousarray(f.T)
        for at, weight in enumerate(weights):
            residual = truth - weight @ columns
            _add(residual, inverse, begin, squares[at], counts[at], worst[at], largest[at])
    return [
        Residuals(
            squares[at] / n_samples,
            _quantiles(counts[at], scale, quantiles),
            worst[at],
            largest[at],
        )
        for at in range(len(weights))
    ]


@njit(nogil=True, cache=True)
def _add(residual, inverse, begin, squares, counts, worst, largest):  # type: ignore[no-untyped-def]
    """Add a block of residuals (T, rows), whose first image is `begin`, to each target's."""
    n_worst = worst.shape[1]
    for t in range(residual.shape[0]):
        for row in range(residual.shape[1]):
            value = residual[t, row]
            size = abs(value)
            squares[t] += value * value
            place = -1
            if size > 0:
                place = int(np.floor((np.log10(size * inverse[t]) + DECADES) * PER_DECADE))
            counts[t, min(max(place, 0), N_BINS - 1)] += 1
            if n_worst and (worst[t, n_worst - 1] < 0 or size > abs(largest[t, n_worst - 1])):
                q = n_worst - 1
                while q > 0 and (worst[t, q - 1] < 0 or size > abs(largest[t, q - 1])):
                    worst[t, q], largest[t, q] = worst[t, q - 1], largest[t, q - 1]
                    q -= 1
                worst[t, q], largest[t, q] = begin + row, value


def _sparse(solutions: Solutions, source: LogitsFile) -> scipy.sparse.csr_array:
    """Coefficients (T, n_source) of solutions of shape (T, 1, S)."""
    support, coef = solutions.support[:, 0], solutions.coef[:, 0]
    used = support >= 0
    ends = np.concatenate([[0], np.cumsum(used.sum(axis=1))])
    n_sources = source.rows(0, 1).shape[1]
    return scipy.sparse.csr_array(
        (coef[used], support[used], ends), shape=(len(support), n_sources)
    )


def _quantiles(counts: np.ndarray, scale: np.ndarray, quantiles: tuple[float, ...]) -> np.ndarray:
    """Upper edges of the bins that hold the quantiles, in logits."""
    below = counts.cumsum(axis=1)
    positive = np.where(scale > 0, scale, 1.0)
    edges = []
    for quantile in quantiles:
        needed = np.ceil(quantile * below[:, -1:]).astype(np.int64)
        first = (below >= needed).argmax(axis=1)
        edges.append(positive * 10 ** ((first + 1) / PER_DECADE - DECADES))
    return np.stack(edges, axis=1)
