"""Known dependencies, planted among the rows of a linear classifier."""

from typing import NamedTuple

import numpy as np

N_PLANTED = 20
SIZES = (1, 2, 3, 4, 5)
NOISE = 0.01  # root mean square, as a share of the planted logit's
PER_CATEGORY = 6  # categories at least for each planted one: its sources, and one left untouched


class Plan(NamedTuple):
    """What is planted where.

    Attributes
    ----------
    planted : ndarray of int64, shape (P,)
        Categories whose row is replaced.
    support : ndarray of int32, shape (P, 5)
        Their sources in rising order, padded with -1; no two planted ones share any.
    coef : ndarray, shape (P, 5), float64
        Coefficients, padded with 0.
    noise : ndarray, shape (P,), float64, logits
        Root mean square of what else is added: a small random combination of all other rows.
    untouched : ndarray of int64, shape (P,)
        Categories that are neither planted nor a source.
    transform : ndarray, shape (n, n), float64
        Takes logits f (a row) to planted ones: f @ transform.
    """

    planted: np.ndarray
    support: np.ndarray
    coef: np.ndarray
    noise: np.ndarray
    untouched: np.ndarray
    transform: np.ndarray


def plan(second_moment: np.ndarray, seed: int) -> Plan:
    r"""Choose what to plant: categories, their sources, coefficients and noise.

    The row of a planted category p in the classifier becomes

        W_p = sum_(j in S) c_j W_j + eta sum_k z_k W_k,

    S of 1 to 5 sources in turn, c_j of either sign with c_j E[f_j^2]^(1/2) between a half and one,
    z standard normal over all rows that are not replaced, and eta such that the second part has 1 % of
    the first's root mean square. Logits are linear in the rows, so the same combination of logits is
    planted.

    Parameters
    ----------
    second_moment : ndarray, shape (n, n), float64
        M of the network, squared logits.
    seed : int
        Of all that is drawn.

    Returns
    -------
    Plan
        For at most 20 categories, fewer where there are not six for each.
    """
    n = len(second_moment)
    rng = np.random.default_rng(seed)
    power = np.diagonal(second_moment)
    drawn = rng.permutation(np.flatnonzero(power > 0))
    n_planted = min(N_PLANTED, len(drawn) // PER_CATEGORY)
    planted, drawn = drawn[:n_planted], drawn[n_planted:]
    support = np.full((n_planted, max(SIZES)), -1, np.int32)
    coef = np.zeros(support.shape)
    noise = np.zeros(n_planted)
    transform = np.eye(n)
    kept = np.setdiff1d(np.flatnonzero(power > 0), planted)
    for row, category in enumerate(planted):
        size = SIZES[row % len(SIZES)]
        chosen, drawn = np.sort(drawn[:size]), drawn[size:]
        sign, part = rng.choice([-1.0, 1.0], size), rng.uniform(0.5, 1.0, size)
        column = np.zeros(n)
        column[chosen] = sign * part / np.sqrt(power[chosen])
        # so that the new logit is of the old one's size
        scale = np.sqrt(power[category] / (column @ second_moment @ column))
        column *= scale
        support[row, :size], coef[row, :size] = chosen, column[chosen]
        further = np.zeros(n)
        further[kept] = rng.standard_normal(len(kept))
        further *= NOISE * np.sqrt(power[category] / (further @ second_moment @ further))
        noise[row] = NOISE * np.sqrt(power[category])
        transform[:, category] = column + further
    return Plan(planted, support, coef, noise, np.sort(drawn[:n_planted]), transform)


def coefficient_error_bound(second_moment: np.ndarray, support: np.ndarray, noise: float) -> float:
    """How far least squares on the true sources can be from the planted coefficients, at most.

    Parameters
    ----------
    second_moment : ndarray, shape (n, n), float64
        M of the planted network, squared logits.
    support : ndarray of int, shape (k,)
        The true sources S.
    noise : float
        Root mean square of what else was added, logits.

    Returns
    -------
    float
        |w - c| = |M_SS^-1 E[f_S noise]| <= noise / sqrt(least eigenvalue of M_SS).
    """
    gram = second_moment[np.ix_(support, support)]
    return float(noise / np.sqrt(np.linalg.eigvalsh(gram)[0]))
