"""A second look at the few solutions whose certificate rounding has spoilt.

Along a path the Cholesky factor of nearly dependent categories loses digits, and a solution read
off it may miss its certificate by orders of magnitude while its support is almost right. At a
fixed penalty a few steps of an active-set Newton method, each on freshly computed correlations,
bring it back, and a certificate in twice the precision proves it. It is slow (an
eigendecomposition per step) and rarely needed, so it is plain NumPy.
"""

from typing import NamedTuple

import numpy as np

_NULL = 1e-15  # eigenvalues of the normalised active block below this, times its size, are zeros
_PATIENCE = 25  # steps without a better certificate; of 11 509 repairs all but one needed at most 8
_DUAL_STEPS = 4  # each wins the digits that the block's condition leaves


class Point(NamedTuple):
    """A candidate solution of one target at one penalty."""

    support: np.ndarray  # (S,) int64
    coef: np.ndarray  # (S,)
    squared_error: float
    dual_gap: float


def _pseudo_solve(block, right):
    """Solve a positive semidefinite system; also the part of `right` in the block's null space.

    Both are of the system normalised by the diagonal, which is returned as well. In directions
    that cannot be told from the null space the solution is a step towards the minimum, cautious
    because the eigenvalue is at most what it is divided by.
    """
    root = np.sqrt(np.diagonal(block))
    values, vectors = np.linalg.eigh(block / np.outer(root, root))
    part = vectors.T @ (right / root)
    floor = _NULL * len(root)
    null = values <= floor
    solution = vectors @ (part / np.maximum(values, floor))
    return solution / root, vectors[:, null] @ part[null], root


def _split(values):
    """High and low half of the digits: products of halves are exact (Veltkamp, Dekker)."""
    scaled = 134217729.0 * values
    high = scaled - (scaled - values)
    return high, values - high


def _subtract_exactly(base, weights, rows):
    """Compute base - weights @ rows (n,) as if in twice the precision, rounded once."""
    total, rest = base.copy(), np.zeros_like(base)
    for weight, row in zip(-weights, rows, strict=True):
        product = weight * row
        (a, b), (c, d) = _split(weight), _split(row)
        lost = ((a * c - product) + a * d + b * c) + b * d
        added = total + product
        part = added - total
        lost += (total - (added - part)) + (product - part)
        total, rest = added, rest + lost
    return total + rest


def certify_point(second_moment, cross_moment, moment, own, alpha, support, coef, sign, enough):
    """Squared error, duality gap, and correlations (n,): those of `w` and those of the dual point.

    Rounding `w` to float64 moves `c = b - M w` by about `1e-16 |M| |w|`, and a dual point made of
    that residual alone pays for it with a gap of as much times `|w|_1`. The dual point may be any
    combination, so it is taken a few Newton steps further, at `w + u` where `u` is a sum of steps
    `M_AA u = c_A - alpha s` that keep the digits `w` has no room for:

        theta = kappa (g - (w + u).f),
        gap = 1/2 E[(g - w.f - theta)^2] + alpha |w|_1 - w.E[f theta].

    What rounding is left in the correlations counts against the gap. Steps end at a gap of
    `enough`.

    Parameters
    ----------
    second_moment : ndarray, shape (p, p), float64
        M, squared logits.
    cross_moment : ndarray, shape (p,), float64
        b, squared logits.
    moment : float
        E[g^2].
    own : int
        Source that is left out, -1 for none.
    alpha : float
        Penalty, squared logits.
    support : ndarray of int32, shape (k,)
        Sources of w.
    coef : ndarray, shape (k,), float64
        Their coefficients.
    sign : ndarray, shape (k,), float64
        Their signs.
    enough : float
        Duality gap at which the steps end.

    Returns
    -------
    tuple
        Squared error, duality gap, and both correlations.
    """
    rows = second_moment[support]
    magnitude = np.abs(cross_moment) + np.abs(coef) @ np.abs(rows)
    rounding = (4 + 2 * support.size) * np.finfo(float).eps ** 2 * magnitude
    correlation = _subtract_exactly(cross_moment, coef, rows)
    if own >= 0:
        correlation[own] = 0.0
    block, dual, steps = rows[:, support], correlation, np.zeros((0, support.size))
    norm = alpha * np.abs(coef).sum()
    error = max(moment - coef @ cross_moment[support] - coef @ correlation[support], 0.0)
    best, nearest = np.inf, correlation
    for _ in range(_DUAL_STEPS):
        moved = steps.sum(axis=0)
        distance = max(moved @ block @ moved, 0.0) ** 0.5
        kappa = alpha / max(alpha, (np.abs(dual) + rounding).max())
        change = (1 - kappa) * error**0.5 + kappa * distance
        gap = change**2 / 2 + norm - kappa * (coef @ dual[support])
        gap += np.abs(coef) @ rounding[support]
        if gap < best:
            best, nearest = gap, dual
        if best <= enough:
            break
        step = _pseudo_solve(block, dual[support] - alpha * sign)[0]
        steps = np.vstack([steps, step])
        weights = np.concatenate([coef, *steps])
        dual = _subtract_exactly(cross_moment, weights, np.vstack([rows] * (1 + len(steps))))
        if own >= 0:
            dual[own] = 0.0
    return error, max(best, 0.0), correlation, nearest


def _newton_step(block, gradient):
    """Step to the minimum on the active block, and how far it may be followed.

    Where the gradient has a part in the block's null space the objective falls along it without
    end, until a coefficient meets zero.
    """
    step, ray, root = _pseudo_solve(block, gradient)
    if np.linalg.norm(ray) > 1e-12 * np.linalg.norm(gradient / root):
        return ray / root, np.inf
    return step, 1.0


def repair(second_moment, cross_moment, moment, own, alpha, support, coef, goal) -> Point:
    """Best certified point found near a solution, at the same penalty.

    Stops at a duality gap of `goal`, or after a number of steps, in all or since the last one that
    was any better, that only cycling on rounding can reach.

    Parameters
    ----------
    second_moment : ndarray, shape (p, p), float64
        M, squared logits.
    cross_moment : ndarray, shape (p,), float64
        b, squared logits.
    moment : float
        E[g^2].
    own : int
        Source that is left out, -1 for none.
    alpha : float
        Penalty, squared logits.
    support : ndarray of int32, shape (k,)
        Sources of a solution nearby.
    coef : ndarray, shape (k,), float64
        Their coefficients.
    goal : float
        Duality gap at which the search ends.

    Returns
    -------
    Point
        With its certificate, whatever that is worth.
    """
    support, coef, sign = support.astype(np.int64), coef.copy(), np.sign(coef)
    best, since = Point(support, coef, np.nan, np.inf), 0
    for step in range(20 + 4 * support.size):
        error, gap, correlation, dual = certify_point(
            second_moment, cross_moment, moment, own, alpha, support, coef, sign, goal
        )
        if gap < best.dual_gap:
            used = coef != 0
            best, since = Point(support[used], coef[used], error, gap), step
        if best.dual_gap <= goal or step - since == _PATIENCE:
            break
        excess = np.abs(dual) - alpha
        excess[support] = 0.0
        entering = int(np.argmax(excess))
        if excess[entering] > 0:
            support = np.append(support, entering)
            coef = np.append(coef, 0.0)
            sign = np.append(sign, np.sign(dual[entering]))
        support, coef, sign = _descend(second_moment, correlation, alpha, support, coef, sign)
    return best


def penalty_above(second_moment, alpha, point, size) -> float:
    """The penalty, a little above `alpha`, at which only `size` of the support of `point` are left.

    On the segment through the point coefficients are affine in the penalty. NaN if those that are
    least do not shrink as it grows.

    Parameters
    ----------
    second_moment : ndarray, shape (p, p), float64
        M, squared logits.
    alpha : float
        Penalty of the point, squared logits.
    point : Point
        A certified solution.
    size : int
        Sources that are to be left.

    Returns
    -------
    float
        A penalty, or NaN.
    """
    members, coef = point.support, point.coef
    block = second_moment[np.ix_(members, members)]
    rate = _pseudo_solve(block, np.sign(coef))[0]
    least = np.argsort(np.abs(coef) * np.sqrt(np.diagonal(block)))[: members.size - size]
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (coef / rate)[least]
    if not (distance > 0).all():
        return np.nan
    return float(np.nextafter(alpha + (1 + 1e-6) * distance.max(), np.inf))


def _descend(second_moment, correlation, alpha, support, coef, sign):
    """Minimise over the active categories, leaving out those whose coefficient meets zero."""
    correlation = correlation.copy()
    while support.size:
        gradient = correlation[support] - alpha * sign
        block = second_moment[np.ix_(support, support)]
        step, limit = _newton_step(block, gradient)
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(sign * step < 0, -coef / step, np.inf)
        leaving = int(np.argmin(reach))
        length = min(limit, reach[leaving])
        if not np.isfinite(length):
            break
        correlation -= (length * step) @ second_moment[support]
        coef = coef + length * step
        if length == limit:
            break
        keep = np.arange(support.size) != leaving
        support, coef, sign = support[keep], coef[keep], sign[keep]
    return support, coef, sign
