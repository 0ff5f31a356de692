"""A look at every source, afresh from the moments: what would lower the error.

The search knows some columns only, and updates what it knows. Here a set is factorised anew and
every source is tried in the place of every member, but for those that a bound shows cannot gain
in any. What this finds decides what is returned.
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
from neuraldeps.best_subset.factor import follow
from neuraldeps.covlasso.kernels import (
    BLOCK,
    OPTIONS,
    aligned,
    count_above,
    largest_above,
    multiply_add,
    subtract_rows_from_four,
)

TIE = 1e-12  # of the target's second moment: sets that explain as much as each other
_FEW = 4  # members that are bounded together
_WIDTH = 256  # sources that are looked at together: what is kept of them stays in the nearest cache


class Scan(NamedTuple):
    """Buffers to scan sets of at most `S` members, and what was found."""

    factor: np.ndarray  # (S, S) L^T, above the diagonal
    root: np.ndarray  # (S, S) L^-1
    inverse: np.ndarray  # (S, S)
    row: np.ndarray  # (S,) scratch
    fit: np.ndarray  # (S,) L^-1 b
    coef: np.ndarray  # (S,)
    rows: np.ndarray  # (S, _WIDTH) N[S, :]
    weight: np.ndarray  # (S, _WIDTH)
    counting: np.ndarray  # (S,) int64, 0 .. S - 1
    power: np.ndarray  # (_WIDTH,)
    pull: np.ndarray  # (_WIDTH,)
    source: np.ndarray  # (n,) int64, those that are looked at, in rising order
    entry: np.ndarray  # (n,) what each gains by entering
    marked: np.ndarray  # (n,) 1 or 0, whether it is looked at
    loss: np.ndarray  # (S,) by a member's leaving
    gain: np.ndarray  # (S + 1,) of the best exchange of each member; of an entry, last
    entering: np.ndarray  # (S + 1,) int64, source, -1 for none
    tie: np.ndarray  # (2,) int64: the lowest source that ties, and the position it would take
    dependent: np.ndarray  # (1,) bool, whether a source was skipped as dependent


def make_scan(n_sources: int, capacity: int) -> Scan:
    """Room for sets of at most `capacity` of `n_sources`.

    Parameters
    ----------
    n_sources : int
        Sources, members or not.
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
        root=aligned(capacity, capacity),
        row=aligned(capacity),
        inverse=aligned(padded, padded),
        fit=np.empty(capacity),
        coef=np.empty(capacity),
        rows=aligned(padded, _WIDTH),
        weight=aligned(padded, _WIDTH),
        counting=np.arange(padded),
        power=aligned(_WIDTH),
        pull=aligned(_WIDTH),
        source=np.empty(n_sources, np.int64),
        entry=aligned(n_sources),
        marked=aligned(n_sources),
        loss=np.empty(capacity),
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
        moments, share, row = second_moment[i], scale[i], scan.row
        for q in range(a):
            row[q] = moments[members[q]] * (share * scale[members[q]])
        power, pull = 1.0, cross[i]
        for k in range(a):
            x = row[k] * inverse[k, k]
            factor[k, a] = x
            power = multiply_add(-x, x, power)
            pull = multiply_add(-x, fit[k], pull)
            for q in range(k + 1, a):
                row[q] = multiply_add(-x, factor[k, q], row[q])
        if not power > INDEPENDENT:
            return -1.0
        inverse[a, a] = 1.0 / np.sqrt(power)
        fit[a] = pull * inverse[a, a]
        explained = multiply_add(fit[a], fit[a], explained)
    _invert(size, scan)
    for a in range(size):
        coef[a] = 0.0
    for k in range(size):
        for a in range(k + 1):
            coef[a] = multiply_add(scan.root[k, a], fit[k], coef[a])
    for a in range(size):
        if not inverse[a, a] * INDEPENDENT < 1.0:
            return -1.0
    return explained


@njit(**OPTIONS)
def _invert(size, scan):
    """Fill L^-1 and its square, the inverse, whose diagonal is that of L^-1 at first."""
    factor, inverse, root = scan.factor, scan.inverse, scan.root
    for a in range(size):
        row, over = root[a], inverse[a, a]
        for q in range(a):
            row[q] = 0.0
        for k in range(a):
            x = -factor[k, a] * over
            for q in range(k + 1):
                row[q] = multiply_add(x, root[k, q], row[q])
        row[a] = over
        for q in range(a + 1):
            inverse[a, q] = 0.0
    for k in range(size):
        for a in range(k + 1):
            x = root[k, a]
            for q in range(a + 1):
                inverse[a, q] = multiply_add(x, root[k, q], inverse[a, q])
    for a in range(size):
        for q in range(a):
            inverse[q, a] = inverse[a, q]


@njit(**OPTIONS)
def _measure(members, size, factor, scan):
    """Fill what each member's leaving costs, by order of entry; how far rounding may move a part."""
    widest = 1.0
    for a in range(size):
        widest = max(widest, scan.inverse[a, a])
        for q in range(size):
            if factor.member[q] == members[a]:
                scan.loss[q] = scan.coef[a] * scan.coef[a] / scan.inverse[a, a]
    return 1e-14 * (size + 1) * widest + 4.0 * TIE


@njit(**OPTIONS)
def _mark(size, slack, factor, scan):
    """Mark the sources that may gain in the place of a member, or by entering.

    With `t = pull / power` and `w` the weights of source j, it gains in the place of `a` only if

        loss_a < pull t + 2 t w_a sqrt(loss_a / inverse_aa),   w_a^2 <= inverse_aa (before - power),

    where `before` is what the members that entered before `a` leave of it: so never where
    `loss_a power > pull^2` and `(loss_a power - pull^2)^2 > 4 loss_a pull^2 (before - power)`.
    Members are taken by a few, with the least of their losses. What is not a number is marked.
    Returns a bound on what the others would gain by entering.
    """
    power, pull, marked, gain = factor.power[size], factor.pull[size], scan.marked, scan.entry
    n_sources = scan.source.size
    for j in range(n_sources):
        free = power[j] > INDEPENDENT + slack
        gain[j] = pull[j] * pull[j] / power[j] if free else 0.0
    most = largest_above(gain[:n_sources], 0.0) * (1.0 - 1e-9) - slack
    for j in range(n_sources):
        left, square = power[j] - slack, multiply_add(pull[j], pull[j], 3.0 * slack)
        marked[j] = 0.0 if (left > INDEPENDENT) & (square < most * left) else 1.0
    for first in range(0, size, _FEW):
        least, before = np.inf, factor.power[first]
        for q in range(first, min(first + _FEW, size)):
            least = min(least, scan.loss[q])
        least = (1.0 - 1e-9) * least - slack
        for j in range(n_sources):
            left, square = power[j] - slack, multiply_add(pull[j], pull[j], 3.0 * slack)
            short, spanned = multiply_add(least, left, -square), before[j] - left + slack
            out = (short > 0.0) & (short * short > 4.0 * least * square * spanned)
            marked[j] = marked[j] if out else 1.0
    return most


@njit(**OPTIONS)
def _list_marked(scan):
    """List the sources that are marked; how many."""
    source, n_left = scan.source, 0
    for start in range(0, source.size, BLOCK):
        block = scan.marked[start : min(start + BLOCK, source.size)]
        if count_above(block, 0.0) > 0:
            for j in range(block.size):
                source[n_left] = start + j
                n_left += 1 if block[j] > 0.0 else 0
    return n_left


@njit(**OPTIONS)
def _fill(second_moment, scale, cross, own, members, size, sources, scan):
    """Weights, power and pull of the sources."""
    width = sources.size
    power, pull, rows, weight = scan.power, scan.pull, scan.rows, scan.weight
    for j in range(width):
        power[j] = 1.0 if scale[sources[j]] > 0.0 else 0.0
        pull[j] = cross[sources[j]]
    for a in range(size):
        i = members[a]
        moments, factor, row = second_moment[i], scale[i], rows[a]
        for j in range(width):
            row[j] = moments[sources[j]] * (factor * scale[sources[j]])
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
    for a in range(size):
        one, row, coef = weight[a], rows[a], -scan.coef[a]
        for j in range(width):
            x = -one[j]
            one[j] = x
            power[j] = multiply_add(-row[j], x, power[j])
            pull[j] = multiply_add(coef, row[j], pull[j])
    a = 0
    for j in range(width):
        while a < size and members[a] < sources[j]:
            a += 1
        if sources[j] == own or (a < size and members[a] == sources[j]):  # they take no place
            power[j] = 0.0
            pull[j] = 0.0
            for q in range(size):
                weight[q, j] = 0.0


@njit(**OPTIONS)
def _try_entries(size, sources, scan):
    """The best entry; whether a dependent source would gain."""
    power, pull = scan.power[: sources.size], scan.pull[: sources.size]
    hidden = 0
    for j in range(sources.size):
        square = pull[j] * pull[j]
        hidden += 1 if (square > GAIN * INDEPENDENT) & (power[j] <= INDEPENDENT) else 0
    if hidden > 0:
        scan.dependent[0] = True
    if count_entries(power, pull, scan.gain[size]) > 0:
        for j in range(sources.size):
            if pull[j] * pull[j] > scan.gain[size] * power[j] and stays_independent(
                size, -1, j, power[j], scan.weight, scan.inverse
            ):
                scan.gain[size] = pull[j] * pull[j] / power[j]
                scan.entering[size] = sources[j]


@njit(**OPTIONS)
def _try_exchanges(members, size, a, sources, scan):
    """The sources in the place of member `a`."""
    over = 1.0 / scan.inverse[a, a]
    factor = scan.coef[a] * over
    loss = scan.coef[a] * factor
    bar = loss - TIE if sources[0] < members[a] else loss + scan.gain[a]
    power, pull = scan.power[: sources.size], scan.pull[: sources.size]
    weight = scan.weight[a, : sources.size]
    if count_exchanges(power, pull, weight, over, factor, bar) == 0:
        return
    for j in range(sources.size):
        x = multiply_add(weight[j], factor, pull[j])
        y = multiply_add(weight[j] * weight[j], over, power[j])
        if not (x * x > bar * y and y > INDEPENDENT):
            continue
        source, gain = sources[j], x * x / y - loss
        ties = source < members[a] and (scan.tie[0] < 0 or source < scan.tie[0])
        if (gain > scan.gain[a] or (ties and gain > -TIE)) and stays_independent(
            size, a, j, y, scan.weight, scan.inverse
        ):
            if gain > scan.gain[a]:
                scan.gain[a] = gain
                scan.entering[a] = source
            if ties:
                scan.tie[0] = source
                scan.tie[1] = a


@njit(**OPTIONS)
def _try_all(second_moment, scale, cross, own, members, size, n_left, floor, scan):
    """Try the first `n_left` sources that are listed."""
    for a in range(size):
        scan.gain[a] = floor
    scan.gain[size] = GAIN
    scan.entering[:] = -1
    scan.tie[0] = -1
    scan.dependent[0] = False
    for start in range(0, n_left, _WIDTH):
        sources = scan.source[start : min(start + _WIDTH, n_left)]
        _fill(second_moment, scale, cross, own, members, size, sources, scan)
        _try_entries(size, sources, scan)
        for a in range(size):
            _try_exchanges(members, size, a, sources, scan)


@njit(**OPTIONS)
def look(second_moment, scale, cross, own, members, size, floor, factor, scan):
    """Try every source in and for the set that `solve` has just solved.

    `gain` and `entering` receive, for every member, the exchange of it that gains most and more
    than `floor`, and last the entry that does.
    """
    follow(second_moment, scale, members, size, factor)
    most = _mark(size, _measure(members, size, factor, scan), factor, scan)
    n_left = _list_marked(scan)
    _try_all(second_moment, scale, cross, own, members, size, n_left, floor, scan)
    if scan.gain[size] < most:  # what gains most may not enter
        for j in range(cross.size):
            scan.source[j] = j
        _try_all(second_moment, scale, cross, own, members, size, cross.size, floor, scan)
