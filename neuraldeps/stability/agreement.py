"""How far several supports of the same target agree, corrected for chance."""

from typing import NamedTuple

import numpy as np

Z95 = 1.959963984540054  # quantile of the standard normal at 97.5 %


class Agreement(NamedTuple):
    """Chance-corrected stability with its 95 % interval; NaN where no support has a source.

    Attributes
    ----------
    stability, low, high : ndarray, shape (T,), float64
        Of every target.
    mean, mean_low, mean_high : float
        Of their mean over the targets that have one, all targets having been drawn together.
    """

    stability: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: float
    mean_low: float
    mean_high: float


def agreement(support: np.ndarray, n_allowed: int) -> Agreement:
    r"""Nogueira, Sechidis and Brown's stability of M supports of every target [1]_.

    With p_j the share of the supports that have source j, k the mean size and d sources allowed,

        Phi = 1 - (M / (M - 1)) (1/d) sum_j p_j (1 - p_j) / ((k/d) (1 - k/d)):

    1 where all are the same, 0 on average where they are drawn at random. The interval is Phi +-
    1.96 sqrt(v), v = (4 / M^2) sum_i (Phi_i - mean Phi_i)^2 (Theorem 7), with

        Phi_i = [(1/d) sum_(j in S_i) p_j - k_i k / d^2 + (Phi/2)(2 k_i k / d^2 - k_i/d - k/d + 1)]
                / ((k/d) (1 - k/d)).

    Parameters
    ----------
    support : ndarray of int, shape (T, M, S)
        Sources of each, padded with -1; M of at least 2.
    n_allowed : int
        d, sources that a target may have.

    Returns
    -------
    Agreement
        Of the targets, and of their mean, whose interval is over the M draws alone.

    References
    ----------
    .. [1] Nogueira, Sechidis and Brown, "On the Stability of Feature Selection Algorithms",
       JMLR 18 (2018).

    Examples
    --------
    >>> same, none = [[0, 1], [0, 1]], [[0, 1], [2, 3]]
    >>> agreement(np.array([same, none]), 4).stability.tolist()
    [1.0, -1.0]
    """
    n_targets, n_draws, _ = support.shape
    row, draw, _ = np.nonzero(support >= 0)
    source = support[support >= 0]
    share = np.zeros((n_targets, int(source.max(initial=0)) + 1))
    np.add.at(share, (row, source), 1.0 / n_draws)
    size = (support >= 0).sum(axis=2) / n_allowed  # k_i / d
    mean_size = size.mean(axis=1)
    spread = mean_size * (1 - mean_size)
    known = spread > 0
    divisor = np.where(known, spread, 1.0)
    variance = (share * (1 - share)).sum(axis=1) / n_allowed * n_draws / (n_draws - 1)
    phi = np.where(known, 1 - variance / divisor, np.nan)
    overlap = np.zeros((n_targets, n_draws))
    np.add.at(overlap, (row, draw), share[row, source] / n_allowed)
    mean = mean_size[:, np.newaxis]
    each = overlap - size * mean
    each += np.nan_to_num(phi)[:, np.newaxis] / 2 * (2 * size * mean - size - mean + 1)
    each /= divisor[:, np.newaxis]
    reach = Z95 * np.sqrt(4 / n_draws**2 * _squares(each))
    if not known.any():
        nothing = float("nan")
        return Agreement(phi, phi, phi, nothing, nothing, nothing)
    middle = float(phi[known].mean())
    together = Z95 * np.sqrt(4 / n_draws**2 * _squares(each[known].mean(axis=0)[np.newaxis])[0])
    return Agreement(
        phi, phi - reach, phi + reach, middle, float(middle - together), float(middle + together)
    )


def _squares(each: np.ndarray) -> np.ndarray:
    return ((each - each.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
