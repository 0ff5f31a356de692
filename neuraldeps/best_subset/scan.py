"""A look at every source, afresh from the moments: what would lower the error.

The search knows some columns only, and updates what it knows. Here a set is factorised anew and
every source is tried in the place of every member. What this finds decides what is returned.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.best_subset.columns import (
    GAIN,
    INDEPENDENT,
    count_entries,
    count_exchanges,
    stays_independent,
)
from neuraldeps.covlasso.kernels import OPTIONS, aligned, multiply_add, subtract_rows_from_four

TIE = 1e-12  # of the target's second moment: sets that explain as much as each other
_WIDTH = 256  # sources that are looked at together: what is kept of them stays in the nearest cache


class Scan(NamedTuple):
    """Buffers to scan sets of at most `S` members, and what was found."""

    factor: np.ndarray  # (S, S) lower triangular
    inverse: np.ndarray  # (S, S)
    fit: np.ndarray  # (S,) L^-1 b
    coef: np.ndarray  # (S,)
    rows: np.ndarray  # (S, _WIDTH) N[S, :]
    weight: np.ndarray  # (S, _WIDTH)
    counting: np.ndarray  # (S,) int64, 0 .. S - 1
    power: np.ndarray  # (_WIDTH,)
    pull: np.ndarray  # (_WIDTH,)
    gain: np.ndarray  # (S + 1,) of the best exchange of each member; of an entry, last
    entering: np.ndarray  # (S + 1,) int64, source, -1 for none
    tie: np.ndarray  # (2,) int64: the lowest source that ties, and the position it would take
    dependent: np.ndarray  # (1,) bool, whether a source was skipped as dependent


def make_scan(capacity: int) -> Scan:
    """Room for sets of at most `capacity` members.

    Parameters
    ----------
    capacity : int
        Most members of a set.

    Returns
    -------
    Scan
        Buffers, not yet filled.
    """
    padded = (capacity + 3) // 4 * 4
    return Scan(
        factor=aligned(capacity, capacity),
        inverse=aligned(padded, padded),
        fit=np.empty(capacity),
        coef=np.empty(capacity),
        rows=aligned(padded, _WIDTH),
        weight=aligned(padded, _WIDTH),
        counting=np.arange(padded),
        power=aligned(_WIDTH),
        pull=aligned(_WIDTH),
        gain=np.empty(capacity + 1),
        entering=np.empty(capacity + 1, np.int64),
        tie=np.empty(2, np.int64),
        dependent=np.empty(1, np.bool_),
    )


@njit(**OPTIONS)
def solve(second_moment, scale, cross, members, size, scan):
    """Least squares on the sources `members[:size]`, afresh.

    Returns what they explain, -1 if they are not independent.
    """
    factor, inverse, fit, coef = scan.factor, scan.inverse, scan.fit, scan.coef
    explained = 0.0
    for a in range(size):
        i = members[a]
        for q in range(a + 1):
            moment = second_moment[i, members[q]] * (scale[i] * scale[members[q]])
            factor[a, q] = moment if q < a else 1.0
        for q in range(a + 1):
            x = factor[a, q]
            for k in range(q):
                x = multiply_add(-factor[a, k], factor[q, k], x)
            if q < a:
                factor[a, q] = x / factor[q, q]
            else:
                if not x > INDEPENDENT:
                    return -1.0
                factor[a, a] = np.sqrt(x)
        x = cross[i]
        for k in range(a):
            x = multiply_add(-factor[a, k], fit[k], x)
        fit[a] = x / factor[a, a]
        explained = multiply_add(fit[a], fit[a], explained)
    for a in range(size - 1, -1, -1):
        x = fit[a]
        for k in range(a + 1, size):
            x = multiply_add(-factor[k, a], coef[k], x)
        coef[a] = x / factor[a, a]
    _invert(factor, size, inverse)
    for a in range(size):
        if not inverse[a, a] * INDEPENDENT < 1.0:
            return -1.0
    return explained


@njit(**OPTIONS)
def _invert(factor, size, inverse):
    """Fill (L L^T)^-1."""
    for a in range(size):  # L^-1, in the upper triangle: inverse[q, a] = (L^-1)_aq
        for q in range(a + 1):
            x = 1.0 if q == a else 0.0
            for k in range(q, a):
                x = multiply_add(-factor[a, k], inverse[q, k], x)
            inverse[q, a] = x / factor[a, a]
    for q in range(size):
        for a in range(q, size):
            x = 0.0
            for k in range(a, size):
                x = multiply_add(inverse[q, k], inverse[a, k], x)
            inverse[q, a] = x  # what is overwritten is not needed again
    for q in range(size):
        for a in range(q):
            inverse[q, a] = inverse[a, q]


@njit(**OPTIONS)
def _fill(second_moment, scale, cross, own, members, size, start, stop, scan):
    """Weights, power and pull of the sources start .. stop - 1."""
    width = stop - start
    power, pull, rows, weight = scan.power, scan.pull, scan.rows, scan.weight
    shares = scale[start:stop]
    for a in range(size):
        i = members[a]
        moments, factor, row = second_moment[i, start:stop], scale[i], rows[a]
        for j in range(width):
            row[j] = moments[j] * (factor * shares[j])
    padded = (size + 3) // 4 * 4
    for a in range(size, padded):  # the kernel takes rows by four
        for q in range(padded):
            scan.inverse[a, q] = 0.0
            scan.inverse[q, a] = 0.0
    for a in range(padded):
        one = weight[a]
        for j in range(width):
            one[j] = 0.0
    for a in range(0, padded, 4):
        four, of = weight[a : a + 4], scan.inverse[a : a + 4]
        subtract_rows_from_four(four, of, rows, scan.counting, padded, np.int64(0), width)
    for j in range(width):
        power[j] = 1.0 if shares[j] > 0.0 else 0.0
        pull[j] = cross[start + j]
    for a in range(size):
        one, row, coef = weight[a], rows[a], -scan.coef[a]
        for j in range(width):
            x = -one[j]
            one[j] = x
            power[j] = multiply_add(-row[j], x, power[j])
            pull[j] = multiply_add(coef, row[j], pull[j])
    for a in range(size + 1):
        j = (members[a] if a < size else own) - start
        if 0 <= j < width:  # neither a member nor the own category takes a place
            power[j] = 0.0
            pull[j] = 0.0
            for q in range(size):
                weight[q, j] = 0.0


@njit(**OPTIONS)
def _try_entries(size, start, width, scan):
    """The best entry; whether a dependent source would gain."""
    power, pull = scan.power[:width], scan.pull[:width]
    hidden = 0
    for j in range(width):
        square = pull[j] * pull[j]
        hidden += 1 if (square > GAIN * INDEPENDENT) & (power[j] <= INDEPENDENT) else 0
    if hidden > 0:
        scan.dependent[0] = True
    if count_entries(power, pull, scan.gain[size]) > 0:
        for j in range(width):
            if pull[j] * pull[j] > scan.gain[size] * power[j] and stays_independent(
                size, -1, j, power[j], scan.weight, scan.inverse
            ):
                scan.gain[size] = pull[j] * pull[j] / power[j]
                scan.entering[size] = start + j


@njit(**OPTIONS)
def _try_exchanges(members, size, a, start, first, last, scan):
    """Sources start + first .. start + last - 1 in the place of member `a`."""
    lower = start + first < members[a]
    over = 1.0 / scan.inverse[a, a]
    factor = scan.coef[a] * over
    loss = scan.coef[a] * factor
    bar = loss + (min(scan.gain[a], -TIE) if lower else scan.gain[a])
    power, pull, weight = scan.power[first:last], scan.pull[first:last], scan.weight[a, first:last]
    if count_exchanges(power, pull, weight, over, factor, bar) == 0:
        return
    for j in range(last - first):
        x = multiply_add(weight[j], factor, pull[j])
        y = multiply_add(weight[j] * weight[j], over, power[j])
        if not (x * x > bar * y and y > INDEPENDENT):
            continue
        source, gain = start + first + j, x * x / y - loss
        ties = lower and gain > -TIE and (scan.tie[0] < 0 or source < scan.tie[0])
        if (gain > scan.gain[a] or ties) and stays_independent(
            size, a, first + j, y, scan.weight, scan.inverse
        ):
            if gain > scan.gain[a]:
                scan.gain[a] = gain
                scan.entering[a] = source
            if ties:
                scan.tie[0] = source
                scan.tie[1] = a


@njit(**OPTIONS)
def look(second_moment, scale, cross, own, members, size, floor, scan):
    """Try every source in and for the set that `solve` has just solved.

    `gain` and `entering` receive, for every member, the exchange of it that gains most and more
    than `floor`, and last the entry that does.
    """
    for a in range(size + 1):
        scan.gain[a] = floor
        scan.entering[a] = -1
    scan.gain[size] = GAIN
    scan.tie[0] = -1
    scan.dependent[0] = False
    n_sources = cross.size
    for start in range(0, n_sources, _WIDTH):
        stop = min(start + _WIDTH, n_sources)
        _fill(second_moment, scale, cross, own, members, size, start, stop, scan)
        _try_entries(size, start, stop - start, scan)
        for a in range(size):
            middle = min(max(members[a], start), stop) - start
            if middle > 0:
                _try_exchanges(members, size, a, start, np.int64(0), middle, scan)
            if middle < stop - start:
                _try_exchanges(members, size, a, start, middle, stop - start, scan)
