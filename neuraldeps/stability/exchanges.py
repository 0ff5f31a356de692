"""How many other sets of sources explain a target about as well."""

import numpy as np

NEAR = 0.01  # of the error
INDEPENDENT = 1e-7  # part of a source's second moment outside the span of the others, at least


def count_near_equal(
    second_moment: np.ndarray,
    b: np.ndarray,
    power: float,
    support: np.ndarray,
    allowed: np.ndarray,
) -> int:
    """Sets that differ from a support by one source and have an error within 1 % of its own.

    Parameters
    ----------
    second_moment : ndarray, shape (n, n), float64
        M of the source network, squared logits.
    b : ndarray, shape (n,), float64
        E[f g_i], squared logits.
    power : float
        m_i = E[g_i^2].
    support : ndarray of int, shape (k,)
        The support, without padding.
    allowed : ndarray of bool, shape (n,)
        Sources that the target may have.

    Returns
    -------
    int
        The support itself and all its exchanges of one source whose least-squares error
        m_i - b_S.M_SS^-1 b_S is at most 1.01 times its own (plus 1e-12 m_i, for rounding); 0 without
        a source.

    Examples
    --------
    >>> moment = np.array([[1.0, 0.999, 0.0], [0.999, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> b = np.array([0.5, 0.499, 0.0])
    >>> count_near_equal(moment, b, 1.0, np.array([0]), np.ones(3, bool))
    2
    """
    if len(support) == 0:
        return 0
    rows = second_moment[support]  # (k, n)
    inverse = np.linalg.pinv(rows[:, support], hermitian=True)
    coef, carried = inverse @ b[support], inverse @ rows
    error = power - b[support] @ coef
    limit = (1 + NEAR) * error + 1e-12 * power
    diagonal = np.diagonal(second_moment)
    # without source i the inverse loses P_i P_i^T / P_ii, and what follows from it
    lost = np.diagonal(inverse)[:, np.newaxis]
    residual = b - coef @ rows + carried * (coef[:, np.newaxis] / lost)
    outside = diagonal - np.einsum("kn,kn->n", rows, carried) + carried**2 / lost
    left = error + coef[:, np.newaxis] ** 2 / lost
    usable = outside > INDEPENDENT * diagonal
    usable &= allowed
    usable[:, support] = False
    gain = np.where(usable, residual**2 / np.where(usable, outside, 1.0), -np.inf)
    return 1 + int((left - gain <= limit).sum())
