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

from neuraldeps.covlasso.kernels import OPTIONS

_GROUP = 4  # knots certified together: they share most of their support, so rows are read once
_BLOCK = 64
_WIDTH = 1024  # columns worked on at once: a pair's correlations stay in the first-level cache


class Panel(NamedTuple):
    """Buffers for one group of knots, whose supports together hold at most `U` categories."""

    place: np.ndarray  # (n,) int64, position in the union, -1 elsewhere
    union: np.ndarray  # (U,) int64
    weight: np.ndarray  # (_GROUP, U) coefficients on the union
    active: np.ndarray  # (_GROUP, U) correlations on the union
    correlation: np.ndarray  # (_GROUP, _WIDTH)
    largest: np.ndarray  # (_GROUP,) largest magnitude among all correlations, or alpha


@njit(**OPTIONS)
def make_panel(n_sources, capacity):
    """Buffers for knots of at most `capacity` categories."""
    width = (_GROUP + 1) * capacity + 4
    return Panel(
        np.full(n_sources, -1),
        np.zeros(width, np.int64),
        np.empty((_GROUP, width)),
        np.empty((_GROUP, width)),
        np.empty((_GROUP, _WIDTH)),
        np.empty(_GROUP),
    )


@njit(**OPTIONS)
def _unite(panel, knots, first, last):
    """The union of the supports of knots first .. last - 1 and of the next; its size."""
    count = 0
    for q in range(first, min(last + 1, knots.size.size)):
        for i in range(knots.size[q]):
            j = knots.support[q, i]
            if panel.place[j] < 0:
                panel.place[j] = count
                panel.union[count] = j
                for row in range(_GROUP):
                    panel.weight[row, count] = 0.0
                count += 1
            if q < last:
                panel.weight[q - first, panel.place[j]] = knots.coef[q, i]
    return count


@njit(**OPTIONS)
def _subtract_pair(out0, out1, matrix, index, weight0, weight1, count, start, stop):
    """Do out -= weight[:count] @ matrix[index[:count], start:stop] twice; 4 divides count."""
    for k in range(0, count, 4):
        r0 = matrix[index[k], start:stop]
        r1 = matrix[index[k + 1], start:stop]
        r2 = matrix[index[k + 2], start:stop]
        r3 = matrix[index[k + 3], start:stop]
        a0, a1, a2, a3 = weight0[k], weight0[k + 1], weight0[k + 2], weight0[k + 3]
        b0, b1, b2, b3 = weight1[k], weight1[k + 1], weight1[k + 2], weight1[k + 3]
        for j in range(stop - start):
            x0, x1, x2, x3 = r0[j], r1[j], r2[j], r3[j]
            out0[j] -= (a0 * x0 + a1 * x1) + (a2 * x2 + a3 * x3)
            out1[j] -= (b0 * x0 + b1 * x1) + (b2 * x2 + b3 * x3)


@njit(**OPTIONS)
def _raise_bar(values, bar):
    """The largest magnitude above `bar`, or `bar`. Counting first keeps the loop in registers."""
    for start in range(0, values.size, _BLOCK):
        block = values[start : min(start + _BLOCK, values.size)]
        above = 0
        for j in range(block.size):
            above += 1 if abs(block[j]) > bar else 0
        if above > 0:
            for j in range(block.size):
                bar = max(bar, abs(block[j]))
    return bar


@njit(**OPTIONS)
def _correlate(panel, second_moment, cross_moment, own, count, n_knots):
    """Fresh correlations of a group: raise `panel.largest` to them, keep those on the union."""
    n_sources = cross_moment.size
    padded = count + -count % 4
    panel.union[count:padded] = 0
    panel.weight[:, count:padded] = 0.0
    correlation, weight = panel.correlation, panel.weight
    for start in range(0, n_sources, _WIDTH):
        stop = min(start + _WIDTH, n_sources)
        for q in range(n_knots):
            base = cross_moment[start:stop]
            for j in range(stop - start):
                correlation[q, j] = base[j]
        for q in range(0, n_knots, 2):
            _subtract_pair(
                correlation[q],
                correlation[q + 1],
                second_moment,
                panel.union,
                weight[q],
                weight[q + 1],
                padded,
                start,
                stop,
            )
        if start <= own < stop:
            correlation[:, own - start] = 0.0
        for q in range(n_knots):
            panel.largest[q] = _raise_bar(correlation[q, : stop - start], panel.largest[q])
        for k in range(count):
            j = panel.union[k]
            if start <= j < stop:
                for q in range(n_knots):
                    panel.active[q, k] = correlation[q, j - start]


@njit(**OPTIONS)
def _departure(panel, knots, q, row, segment):
    """Largest |alpha - s_j c_j| at knot `q` over the categories active on `segment`."""
    worst = 0.0
    for i in range(knots.size[segment]):
        value = knots.sign[segment, i] * panel.active[row, panel.place[knots.support[segment, i]]]
        worst = max(worst, abs(knots.alpha[q] - value))
    return worst


@njit(**OPTIONS)
def _conclude(panel, knots, q, row, n_knots, cross_moment, target_second_moment):
    alpha, largest = knots.alpha[q], panel.largest[row]
    norm, explained, correlated = 0.0, 0.0, 0.0
    for i in range(knots.size[q]):
        j, value = knots.support[q, i], knots.coef[q, i]
        norm += abs(value)
        explained += value * cross_moment[j]
        correlated += value * panel.active[row, panel.place[j]]
    error = target_second_moment - explained - correlated
    kappa = alpha / largest if largest > 0.0 else 1.0
    gap = 0.5 * (1.0 - kappa) ** 2 * max(error, 0.0) + alpha * norm - kappa * correlated
    residual = max(largest - alpha, _departure(panel, knots, q, row, q))
    if q + 1 < n_knots:
        residual = max(residual, _departure(panel, knots, q, row, q + 1))
    knots.squared_error[q] = error
    knots.dual_gap[q] = max(gap, 0.0)
    knots.residual[q] = residual


@njit(**OPTIONS)
def certify_knots(second_moment, cross_moment, target_second_moment, own, knots, n_knots, panel):
    """Fill the squared error, duality gap and stationarity residual of every knot.

    The residual of a knot is the largest violation of stationarity: `|c_j| - alpha` over the
    allowed sources, `|alpha - s_j c_j|` over those active on the segments above and below it.
    """
    knots.size[n_knots:] = 0
    for first in range(0, n_knots, _GROUP):
        last = min(first + _GROUP, n_knots)
        count = _unite(panel, knots, first, last)
        panel.largest[: last - first] = knots.alpha[first:last]
        _correlate(panel, second_moment, cross_moment, own, count, last - first)
        for q in range(first, last):
            _conclude(panel, knots, q, q - first, n_knots, cross_moment, target_second_moment)
        for k in range(count):
            panel.place[panel.union[k]] = -1
