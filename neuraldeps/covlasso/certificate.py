"""Certificates: the duality gap of a solution, computed from the moments alone.

The certificate knows nothing of how a solution was found. With `c = b - M w` (the correlations of
the residual `rho = g - w.f` with every source) and `err = m - b.w - w.c = E[rho^2]`, the point
`kappa * rho`, `kappa = min(1, alpha / max_j |c_j|)`, is feasible for the dual of

    minimise over w:   1/2 E[(g - w.f)^2] + alpha |w|_1,

and the difference between the two objectives there is

    gap = (1 - kappa)^2 / 2 * err + alpha |w|_1 - kappa * w.c  >=  objective(w) - minimum.

Neither term subtracts nearly equal objectives, so the gap keeps its meaning far below the rounding
of the objective itself.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.covlasso.kernels import (
    OPTIONS,
    aligned,
    largest_above,
    subtract_rows,
    subtract_rows_from_four,
)

GROUP = 4  # knots certified together: they share most of their support, so rows are read once
_WIDTH = 1024  # columns worked on at once: a group's correlations stay in the first-level cache


class Knots(NamedTuple):
    """Buffers of one target's knots; at most `K`, with supports of at most `S` sources."""

    alpha: np.ndarray  # (K,)
    size: np.ndarray  # (K,) int64, categories active on the segment above the knot
    used: np.ndarray  # (K + 1,) int64, those whose coefficient is not zero all along it, at least
    exchanged: np.ndarray  # (K,) bool, below it another category stands for one of its support
    support: np.ndarray  # (K, S) int64, sources
    sign: np.ndarray  # (K, S), on the segment above the knot
    coef: np.ndarray  # (K, S)
    squared_error: np.ndarray  # (K,)
    dual_gap: np.ndarray  # (K,)
    residual: np.ndarray  # (K,), largest departure from stationarity


class Panel(NamedTuple):
    """Buffers for one group of knots, whose supports together hold at most `U` categories."""

    place: np.ndarray  # (n,) int64, position in the union, -1 elsewhere
    union: np.ndarray  # (U,) int64
    weight: np.ndarray  # (GROUP, U) coefficients on the union
    correlation: np.ndarray  # (GROUP, n or more), zero for the own category and past n
    largest: np.ndarray  # (GROUP,) largest magnitude among all correlations, or alpha


def make_knots(n_knots: int, capacity: int) -> Knots:
    """Buffers for at most `n_knots` knots of at most `capacity` categories.

    Parameters
    ----------
    n_knots : int
        Most knots.
    capacity : int
        Most sources of one.

    Returns
    -------
    Knots
        Empty.
    """
    return Knots(
        alpha=np.empty(n_knots),
        size=np.empty(n_knots, np.int64),
        used=np.empty(n_knots + 1, np.int64),
        exchanged=np.zeros(n_knots, np.bool_),
        support=np.empty((n_knots, capacity), np.int64),
        sign=np.empty((n_knots, capacity)),
        coef=np.empty((n_knots, capacity)),
        squared_error=np.empty(n_knots),
        dual_gap=np.empty(n_knots),
        residual=np.empty(n_knots),
    )


def make_panel(n_sources: int, capacity: int) -> Panel:
    """Buffers for knots of at most `capacity` categories.

    Parameters
    ----------
    n_sources : int
        All sources.
    capacity : int
        Most sources of a knot.

    Returns
    -------
    Panel
        Buffers, not yet filled.
    """
    width = GROUP * capacity + 3  # rounded up to a multiple of 4 when they are subtracted
    return Panel(
        place=np.full(n_sources, -1),
        union=np.zeros(width, np.int64),
        weight=np.zeros((GROUP, width)),
        correlation=aligned(GROUP, n_sources),
        largest=np.empty(GROUP),
    )


@njit(**OPTIONS)
def _unite(panel, knots, first, last):
    """The union of the supports of knots first .. last - 1, and their coefficients on it."""
    count = 0
    for q in range(first, last):
        for i in range(knots.size[q]):
            j = knots.support[q, i]
            if panel.place[j] < 0:
                panel.place[j] = count
                panel.union[count] = j
                panel.weight[:, count] = 0.0
                count += 1
            panel.weight[q - first, panel.place[j]] = knots.coef[q, i]
    for k in range(count):
        panel.place[panel.union[k]] = -1
    return count


@njit(**OPTIONS)
def _correlate(panel, second_moment, cross_moment, own, count, n_knots):
    """Fresh correlations of a group with every source, and the largest."""
    n_sources = cross_moment.size
    correlation, weight, union = panel.correlation, panel.weight, panel.union
    union[count : count + 3] = 0
    weight[:, count : count + 3] = 0.0
    for start in range(0, n_sources, _WIDTH):
        stop = min(start + _WIDTH, n_sources)
        base = cross_moment[start:stop]
        if n_knots == 1:
            out = correlation[0, start:stop]
            subtract_rows(out, cross_moment, second_moment, union, weight[0], count, start, stop)
        else:
            for q in range(GROUP):
                out = correlation[q, start:stop]
                for j in range(stop - start):
                    out[j] = base[j]
            rounded = count + -count % 4
            subtract_rows_from_four(correlation, weight, second_moment, union, rounded, start, stop)
        for q in range(n_knots):
            if start <= own < stop:
                correlation[q, own] = 0.0
            panel.largest[q] = largest_above(correlation[q, start:stop], panel.largest[q])


@njit(**OPTIONS)
def _departure(correlation, knots, q, segment):
    """Largest |alpha - s_j c_j| at knot `q` over the categories active on `segment`."""
    alpha, worst = knots.alpha[q], 0.0
    support, sign = knots.support[segment], knots.sign[segment]
    for i in range(knots.size[segment]):
        worst = max(worst, abs(alpha - sign[i] * correlation[support[i]]))
    return worst


@njit(**OPTIONS)
def _conclude(correlation, largest, knots, q, n_knots, cross_moment, target_second_moment):
    alpha, support, coef = knots.alpha[q], knots.support[q], knots.coef[q]
    norm, explained, correlated = 0.0, 0.0, 0.0
    for i in range(knots.size[q]):
        j, value = support[i], coef[i]
        norm += abs(value)
        explained += value * cross_moment[j]
        correlated += value * correlation[j]
    error = target_second_moment - explained - correlated
    kappa = alpha / largest if largest > 0.0 else 1.0
    gap = 0.5 * (1.0 - kappa) ** 2 * max(error, 0.0) + alpha * norm - kappa * correlated
    residual = max(largest - alpha, _departure(correlation, knots, q, q))
    if q + 1 < n_knots:
        residual = max(residual, _departure(correlation, knots, q, q + 1))
    knots.squared_error[q] = error
    knots.dual_gap[q] = max(gap, 0.0)
    knots.residual[q] = np.inf if knots.exchanged[q] else residual


@njit(**OPTIONS)
def certify_knots(
    second_moment, cross_moment, target_second_moment, own, knots, first, last, n_knots, panel
):
    """Fill the squared error, duality gap and stationarity residual of knots first .. last - 1.

    At most `GROUP` of the `n_knots` known. The residual of a knot is the largest violation of
    stationarity: `|c_j| - alpha` over the allowed sources, `|alpha - s_j c_j|` over those active on
    the segments above and, if known, below it. The correlations remain in `panel`.
    """
    count = _unite(panel, knots, first, last)
    for q in range(first, last):
        panel.largest[q - first] = knots.alpha[q]
    _correlate(panel, second_moment, cross_moment, own, count, last - first)
    for q in range(first, last):
        row = q - first
        _conclude(
            panel.correlation[row],
            panel.largest[row],
            knots,
            q,
            n_knots,
            cross_moment,
            target_second_moment,
        )
