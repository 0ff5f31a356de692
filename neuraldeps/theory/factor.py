"""Triangular factors of logits by tall-skinny QR, and what they say of redundancy (Sec. 2.2).

The second moment M = R^T R / N squares the condition number of the logits F = Q R, so that half of
the digits are gone before anything is computed from it; R itself has them all.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import dask
import numpy as np
import scipy.linalg
from dask import delayed
from scipy.linalg import lapack

from neuraldeps.errors import StoreError
from neuraldeps.logits.store import LogitsFile, masked_categories
from neuraldeps.moments import LANE_BYTES, LANES, STEPS, hold_blas
from neuraldeps.stores import open_array

BLOCK = 32  # columns that are reflected at once


def add_rows(factor: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The triangular factor of what `factor` is one of, with further rows below.

    Parameters
    ----------
    factor : ndarray, shape (n, n), float64
        Upper triangular.
    rows : ndarray, shape (r, n), float64
        To be folded in.

    Returns
    -------
    ndarray, shape (n, n), float64
        R with R^T R = factor^T factor + rows^T rows, by Householder reflections that leave the
        triangle's zeros alone (LAPACK's ``tpqrt``).

    Examples
    --------
    >>> abs(add_rows(np.array([[3.0]]), np.array([[4.0]]))).tolist()
    [[5.0]]
    """
    block = min(BLOCK, len(factor))
    triangle, _, _, info = lapack.dtpqrt(
        0, block, np.asfortranarray(factor), np.asfortranarray(rows), overwrite_b=1
    )
    assert info == 0, info
    return triangle


def _fold(
    factor: Any, file: LogitsFile, first: int, last: int, masked: list[int], limit_blas: bool
) -> np.ndarray:
    """Some images' rows, folded into a factor; masked categories are in no combination."""
    if limit_blas:
        hold_blas()
    rows = file.rows(first, last)
    rows[:, masked] = 0.0
    n = rows.shape[1]
    return add_rows(np.zeros((n, n)) if factor is None else factor, rows)


def _merge(factors: list[np.ndarray]) -> np.ndarray:
    total = factors[0]
    for factor in factors[1:]:
        total = add_rows(total, factor)
    return total


def triangular_factor(
    logits: LogitsFile,
    *,
    compute: Callable[[Any], tuple[Any, ...]] = dask.compute,
    limit_blas: bool = False,
    threads: int = 1,
) -> tuple[np.ndarray, int]:
    """R of the logits' QR factorisation, F = Q R, in one pass (tall-skinny QR).

    Parameters
    ----------
    logits : LogitsFile
        F, (images, categories).
    compute, limit_blas, threads
        As `neuraldeps.moments.second_moment` takes them; `threads` is not needed here.

    Returns
    -------
    ndarray, shape (n, n), float64, logits
        Upper triangular; R^T R / N is the second moment. Folded shard by shard in a fixed number
        of lanes that are merged in order, so that bytes do not depend on cores or workers.
    int
        N, the number of images.

    Raises
    ------
    StoreError
        If a value is not finite, or there is no image.

    Notes
    -----
    Twice the arithmetic of the second moment. Memory: per lane one factor and one step's rows.

    References
    ----------
    Demmel, Grigori, Hoemmen and Langou, "Communication-optimal parallel and sequential QR and LU
    factorizations", SIAM J. Sci. Comput. 34 (2012).
    """
    array = open_array(logits.path, "logits")
    n_samples, n = array.shape
    if n_samples == 0:
        raise StoreError(f"{logits.path}: holds no image; extract some")
    rows = (array.shards or array.chunks)[0]
    rows *= -(-n_samples // (rows * STEPS))
    firsts = range(0, n_samples, rows)
    lanes = min(int(np.clip(LANE_BYTES // (8 * n * n), 1, LANES)), len(firsts))
    factors: list[Any] = [None] * lanes
    masked = masked_categories(logits.path)
    fold = delayed(_fold, pure=False)
    for step, first in enumerate(firsts):
        last, lane = min(first + rows, n_samples), step % lanes
        factors[lane] = fold(factors[lane], logits, first, last, masked, limit_blas)
    (total,) = compute(delayed(_merge, pure=False)(factors))
    return total, n_samples


class Redundancy(NamedTuple):
    """How far each column is from the span of all others, and why.

    Attributes
    ----------
    singular_value : ndarray, shape (n,), float64
        Of the logits with every category scaled to a mean square of 1, largest first: their squares
        are the eigenvalues of the second moment scaled to a diagonal of 1.
    rank : int
        How many of them are above `tolerance`.
    tolerance : float
        What the precision of the logits can make of a zero, at most.
    err0 : ndarray, shape (n,), float64, squared logits
        err(0): the least E[(f_i - w.f)^2] over all w without the category itself.
    err0_relative : ndarray, shape (n,), float64
        The same over E[f_i^2].
    bound_relative : ndarray, shape (n,), float64
        Remark 3's upper bound of it, from the least eigenvalue above the tolerance alone.
    is_exact_zero : ndarray, shape (n,), bool
        Whether the null space touches the category: err(0) is then zero, not small.
    err0_at_least : ndarray, shape (n,), float64, squared logits
        A lower bound of err(0) of the logits as they are stored, whose rounding is a dimension as any
        other: what holds for every solution on these logits.
    second_moment : ndarray, shape (n,), float64, squared logits
        E[f_i^2].
    """

    singular_value: np.ndarray
    rank: int
    tolerance: float
    err0: np.ndarray
    err0_relative: np.ndarray
    bound_relative: np.ndarray
    is_exact_zero: np.ndarray
    err0_at_least: np.ndarray
    second_moment: np.ndarray


def redundancy(factor: np.ndarray, n_samples: int, roundoff: float) -> Redundancy:
    r"""err(0) of every category and the numerical rank, from the logits' triangular factor (Sec. 2.2).

    With every category scaled to a mean square of 1, and singular values s_k with right singular
    vectors v_k of what is left,

        err_i(0) / m_i = 1 / sum_k v_ik^2 / s_k^2  <=  s_n^2 / v_in^2,

    the first by the identity that gives det M / det M_without_i, without a determinant and without
    M; the second is Remark 3's bound.

    Parameters
    ----------
    factor : ndarray, shape (n, n), float64, logits
        R of `triangular_factor`.
    n_samples : int
        N.
    roundoff : float
        Unit roundoff of the logits' precision: 2^-24 where they were computed and stored in float32.

    Returns
    -------
    Redundancy
        The rank counts singular values above ``roundoff * sqrt(n)``: rounding every logit by a
        share of at most `roundoff` moves none of them by more (Weyl). Below the full rank, err(0)
        is exactly zero for categories that the null space touches: those whose component in it is
        larger than rounding can make it, ``tolerance / s_rank`` (Wedin).

    Examples
    --------
    >>> found = redundancy(np.array([[1.0, 1.0], [0.0, 1.0]]), 1, 2.0**-24)
    >>> found.rank, found.err0.round(12).tolist()
    (2, [0.5, 1.0])
    """
    n = len(factor)
    power = np.sum(factor**2, axis=0) / n_samples
    scale = np.sqrt(np.where(power > 0, power, 1.0) * n_samples)
    _, value, vectors = scipy.linalg.svd(factor / scale, check_finite=False)
    tolerance = roundoff * np.sqrt(n)
    rank = int(np.count_nonzero(value > tolerance))
    component = vectors**2  # (k, i): v_ik^2
    touched = power == 0  # a category that is 0 in every image is a combination of none
    relative, bound = np.zeros(n), np.zeros(n)
    if rank:
        least = value[rank - 1]
        touched = touched | (component[rank:].sum(axis=0) > (tolerance / least) ** 2)
        kept = ~touched
        weighted = component[:rank, kept] / value[:rank, np.newaxis] ** 2
        relative[kept] = np.minimum(1.0 / weighted.sum(axis=0), 1.0)
        with np.errstate(divide="ignore"):
            bound[kept] = np.minimum(1.0 / weighted[-1], 1.0)
    # all directions count, each as short as the rounding of this computation can have it
    shortest = np.maximum(value - n * np.finfo(float).eps * value[0], np.finfo(float).tiny ** 0.25)
    at_least = power / (component / shortest[:, np.newaxis] ** 2).sum(axis=0)
    return Redundancy(
        value, rank, float(tolerance), relative * power, relative, bound, touched, at_least, power
    )
