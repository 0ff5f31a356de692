"""Least squares on given supports: the estimator `refit`."""

import numpy as np

GRAM_BYTES = 2**24  # of the normal equations that are solved at once
SINGULAR = 1e-8  # part of a category's second moment that the others of a support leave unexplained


def refit(
    second_moment: np.ndarray, cross: np.ndarray, targets: np.ndarray, support: np.ndarray
) -> np.ndarray:
    """Least squares on a given support: w_S = M_SS^-1 b_S, the Lasso's shrinkage undone.

    Parameters
    ----------
    second_moment : ndarray, shape (n, n), float64
        M of the source network.
    cross : ndarray, shape (n, n_target), float64
        B = E[f g^T].
    targets : ndarray of int, shape (T,)
        Target categories.
    support : ndarray of int32, shape (T, M, S)
        Source categories, padded with -1 at the end.

    Returns
    -------
    ndarray, shape (T, M, S), float64
        Coefficients, 0 where `support` is padded. Where M_SS is singular to rounding, of all
        solutions the one in which the categories' parts, w_j E[f_j^2]^(1/2), have the least norm.
    """
    coef = np.zeros(support.shape)
    sizes = (support >= 0).sum(axis=-1)
    for size in np.unique(sizes[sizes > 0]):
        t, m = np.nonzero(sizes == size)
        chosen = support[t, m, :size].astype(np.int64)
        right = cross[chosen, np.asarray(targets)[t][:, None]][..., None]
        at_once = max(1, GRAM_BYTES // (8 * size * size))
        for first in range(0, len(t), at_once):
            part = slice(first, first + at_once)
            gram = second_moment[chosen[part, :, None], chosen[part, None, :]]
            coef[t[part], m[part], :size] = _solve_each(gram, right[part])[..., 0]
    return coef


def _solve_each(gram: np.ndarray, right: np.ndarray) -> np.ndarray:
    """gram^-1 right of each problem; 20 times as slow, and of least norm, where singular."""
    try:
        pivot = np.diagonal(np.linalg.cholesky(gram), axis1=1, axis2=2) ** 2
    except np.linalg.LinAlgError:
        if len(gram) == 1:
            return _solve_singular(gram, right)
        half = len(gram) // 2
        return np.concatenate(
            [_solve_each(gram[:half], right[:half]), _solve_each(gram[half:], right[half:])]
        )
    power = np.diagonal(gram, axis1=1, axis2=2)
    singular = (pivot <= SINGULAR * power).any(axis=1)
    solution = np.empty_like(right)
    solution[~singular] = np.linalg.solve(gram[~singular], right[~singular])
    solution[singular] = _solve_singular(gram[singular], right[singular])
    return solution


def _solve_singular(gram: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Least-norm solutions, each category first divided by its own size: rounding has none."""
    root = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))[..., None]
    root = np.where(root > 0, root, 1.0)
    inverse = np.linalg.pinv(gram / root / root.swapaxes(1, 2), rcond=1e-12, hermitian=True)
    return inverse @ (right / root) / root
