"""The exact CovLasso path of one target, on the columns that can matter, checked against all.

One target's problem, with `M` the second moment of the sources, `b` their cross moment with the
target and `alpha = lambda / 2`, is

    minimise over w:   1/2 w.M w - b.w + alpha |w|_1.

Its solution is piecewise linear in `alpha`. On a segment with active set `A` and signs `s` the
correlations are an explicit affine function of `alpha`,

    c(alpha) = b - M w(alpha) = residual + alpha * slope,
    w_A(alpha) = point - alpha * direction,

and the kernels carry the pieces of that function through a Cholesky factor `L L^T = M_AA`:

    rows = L^-1 M[A, :],   fit = L^-1 b_A,   pull = L^-1 s,
    residual = b - rows^T fit,   slope = rows^T pull,
    point = L^-T fit,   direction = L^-T pull.

Nothing is accumulated from step to step along `alpha`, so knots do not drift: a category that
enters appends one row, a category that leaves is rotated out by Givens rotations [1]_ [2]_.

Ties. Several categories may enter and leave at the same `alpha`, and one may be active without
ever being used: its coefficient is zero all along a segment. The support is therefore counted over
segments, `used`, and a path ends only where the next segment uses more than it may.

A category that depends on the active ones to rounding takes the place of one of them when its
correlation exceeds `alpha`: nearly equal categories replace each other so, within a piece of the
path too short to resolve.

Most categories never come near `alpha`, so all this is kept on a working set of columns only. The
certificate computes the correlations of every category afresh at every few knots; those that have
come near join the working set. If one outside it exceeds `alpha` there, the path missed it, and is
followed again with that category in the working set.

References
----------
.. [1] Osborne, Presnell, Turlach. "A new approach to variable selection in least squares
   problems". IMA Journal of Numerical Analysis 20 (2000).
.. [2] Efron, Hastie, Johnstone, Tibshirani. "Least angle regression". Annals of Statistics 32
   (2004).
"""

import numpy as np
from numba import njit

from neuraldeps.covlasso.certificate import GROUP, certify_knots
from neuraldeps.covlasso.kernels import BLOCK, INLINE, OPTIONS, multiply_add
from neuraldeps.covlasso.working_set import (
    ABSOLUTE_TOLERANCE,
    PIVOT_TOLERANCE,
    RELATIVE_TOLERANCE,
    begin,
    end,
    enter,
    leave,
    revive,
    silence,
    solve_coefficients,
    solve_dependence,
    widen,
)

REACHED_ALPHA = 0
REACHED_SUPPORT = 1
OUT_OF_KNOTS = 2
_MISSED = 3
OUT_OF_COLUMNS = 4
STALLED = 5
INDEFINITE = 6
CRAMPED = 7  # more categories are active than the buffers hold

_INDEFINITE = -1e-2  # of a second moment: less than that, rounding of near copies explains
_NEAR = 0.7  # of alpha: correlations as large as this join the working set
_ZERO = 1e-13  # of alpha_max: a coefficient that moves its own correlation by less is a zero
_TAKES_PART = 1e-3  # least part, as a fraction, that an exchanged category has in the other


@njit(**OPTIONS)
def _crossing(residual, slope, low, high):
    """The alpha in [low, high] at which |residual + alpha slope| meets alpha, and the sign there."""
    sign = 1.0 if residual + low * slope > 0.0 else -1.0
    rate = 1.0 - sign * slope
    # With rate <= 0 the correlation already exceeds alpha by rounding: it meets it here.
    alpha = sign * residual / rate if rate > 0.0 else high
    return max(low, min(high, alpha)), sign


@njit(**INLINE)
def _next_entry(state, n_columns, low, high, tolerance):
    """The first category, going down from `high` to `low`, whose correlation meets alpha.

    Returns (alpha, column, sign), with column -1 if there is none above `low`.
    """
    residual, slope, recent = state.residual, state.slope, state.recent
    best, entering, sign = low, -1, 0.0
    # Categories that nearly entered before raise the bar at once, so that few blocks are opened.
    for q in range(4 if n_columns > 0 else 0):
        j = recent[q]
        bar = best * (1.0 + RELATIVE_TOLERANCE) + tolerance
        if abs(residual[j] + best * slope[j]) > bar:
            alpha, s = _crossing(residual[j], slope[j], best, high)
            if alpha > best or entering < 0:
                best, entering, sign = alpha, j, s
    slot = 0
    start = 0
    while start < n_columns:
        stop = min(start + BLOCK, n_columns)
        r, a = residual[start:stop], slope[start:stop]
        bar = best * (1.0 + RELATIVE_TOLERANCE) + tolerance
        above = 0
        for j in range(stop - start):
            above += 1 if abs(multiply_add(best, a[j], r[j])) > bar else 0
        if above > 0:
            for j in range(stop - start):
                bar = best * (1.0 + RELATIVE_TOLERANCE) + tolerance
                if abs(multiply_add(best, a[j], r[j])) > bar:
                    alpha, s = _crossing(r[j], a[j], best, high)
                    if alpha > best or entering < 0:
                        if entering >= 0:
                            recent[slot & 3] = entering
                            slot += 1
                        best, entering, sign = alpha, start + j, s
        start = stop
    return best, entering, sign


@njit(**INLINE)
def _next_exit(state, size, high):
    """The first active category, going down from `high`, whose coefficient meets zero."""
    best, leaving = -1.0, -1
    for i in range(size):
        if state.sign[i] * state.direction[i] < 0.0:
            alpha = min(high, state.point[i] / state.direction[i])
            if alpha > best:
                best, leaving = alpha, i
    return best, leaving


@njit(**INLINE)
def _is_used(state, i, alpha, zero):
    """Whether a coefficient has its sign, and is more than rounding makes of a zero."""
    value = state.point[i] - alpha * state.direction[i]
    return value * state.sign[i] * state.moment[i] > zero


@njit(**INLINE)
def _count_used(state, size, alpha, zero):
    """Active categories whose coefficient at a penalty is not zero."""
    count = np.int64(0)
    for i in range(size):
        count += 1 if _is_used(state, i, alpha, zero) else 0
    return count


@njit(**INLINE)
def _record(knots, slot, high, alpha, state, size, zero):
    """Store the solution at `alpha`, at the end of a segment that began at `high`.

    Returns how many categories are used there, and how many anywhere on the segment.
    """
    knots.alpha[slot] = alpha
    knots.size[slot] = size
    knots.exchanged[slot] = False
    here, used = size, size
    for i in range(size):
        value = state.point[i] - alpha * state.direction[i]
        knots.support[slot, i] = state.columns[state.active[i]]
        knots.sign[slot, i] = state.sign[i]
        knots.coef[slot, i] = value
        if not value * state.sign[i] * state.moment[i] > zero:
            knots.coef[slot, i] = 0.0
            here -= 1
            used -= 0 if _is_used(state, i, high, zero) else 1
    return here, used


@njit(**INLINE)
def _find_exchanged(second_moment, state, size, alpha, entering, sign):
    """The active category whose place one that depends on them all takes, or -1.

    Its coefficient is the first to meet zero when the dependent category's grows and theirs make
    up for it.
    """
    solve_dependence(state, size, entering)
    source = state.columns[entering]
    moment = second_moment[source, source]
    least, leaving = np.inf, -1
    for i in range(size):
        share = sign * state.sign[i] * state.share[i]
        if share * np.sqrt(state.moment[i] / moment) > _TAKES_PART:
            value = state.sign[i] * (state.point[i] - alpha * state.direction[i])
            if value < least * share:
                least, leaving = max(value, 0.0) / share, i
    return leaving


@njit(**OPTIONS)
def _check(
    second_moment, cross_moment, moment, own, tolerance, first, last, n_knots, state, knots, panel
):
    """Certify knots first .. last - 1; sources that the path missed join the working set.

    Returns `_MISSED` if there are such, `OUT_OF_COLUMNS` if there is no room for them.
    """
    certify_knots(second_moment, cross_moment, moment, own, knots, first, last, n_knots, panel)
    status = REACHED_ALPHA
    for q in range(first, last):
        bar = knots.alpha[q] * (1.0 + RELATIVE_TOLERANCE) + tolerance
        if panel.largest[q - first] > bar:
            correlation = panel.correlation[q - first]
            found, joined = widen(second_moment, cross_moment, correlation, bar, np.int64(0), state)
            if joined < found:
                return OUT_OF_COLUMNS
            if found > 0:
                status = _MISSED
    return status


@njit(**OPTIONS)
def _look_ahead(second_moment, cross_moment, correlation, alpha, tolerance, size, state):
    """Let the sources that have come near `alpha` join; `_MISSED` if one is beyond it already."""
    first = state.n_columns[0]
    for j in range(first):
        correlation[state.columns[j]] = 0.0  # few blocks are looked into without the members
    widen(second_moment, cross_moment, correlation, _NEAR * alpha, size, state)
    bar = alpha * (1.0 + RELATIVE_TOLERANCE) + tolerance
    for j in range(first, state.n_columns[0]):
        if abs(state.residual[j] + alpha * state.slope[j]) > bar:
            return _MISSED
    return REACHED_ALPHA


@njit(**OPTIONS)
def _attempt(
    second_moment,
    cross_moment,
    moment,
    own,
    alpha,
    alpha_stop,
    max_support,
    state,
    knots,
    panel,
):
    """Follow the path on the working set from alpha_max; (status, number of knots)."""
    for j in range(state.n_columns[0]):
        state.residual[j] = state.cross[j]
        state.slope[j] = 0.0
    state.recent[:] = 0
    tolerance, zero = ABSOLUTE_TOLERANCE * alpha, _ZERO * alpha
    # int64 from the start: a literal 0 would have every callee compiled a second time.
    size, n_blocked, n_knots, n_checked = np.int64(0), np.int64(0), np.int64(1), np.int64(0)
    n_idle, least, exchanged = 0, np.int64(0), False
    status = REACHED_ALPHA
    here, knots.used[0] = _record(knots, 0, alpha, alpha, state, size, zero)
    while alpha > alpha_stop:
        if n_knots > n_checked + GROUP:
            first, n_checked = n_checked, n_checked + GROUP
            outcome = _check(
                second_moment,
                cross_moment,
                moment,
                own,
                tolerance,
                first,
                n_checked,
                n_knots,
                state,
                knots,
                panel,
            )
            if outcome == REACHED_ALPHA:
                outcome = _look_ahead(
                    second_moment,
                    cross_moment,
                    panel.correlation[GROUP - 1],
                    alpha,
                    tolerance,
                    size,
                    state,
                )
            if outcome != REACHED_ALPHA:
                return outcome, n_knots
        n_columns = state.n_columns[0]
        exit_alpha, leaving = _next_exit(state, size, alpha)
        low = max(alpha_stop, exit_alpha)
        next_alpha, entering, sign = _next_entry(state, n_columns, low, alpha, tolerance)
        if next_alpha < alpha * (1.0 - 1e-14):
            if n_knots >= knots.alpha.size:
                return OUT_OF_KNOTS, n_knots
            here, used = _record(knots, n_knots, alpha, next_alpha, state, size, zero)
            least = max(least, used)
            if least > max_support:
                status = REACHED_SUPPORT
                break
            knots.used[n_knots] = least
            n_knots += 1
            n_idle, least = 0, np.int64(0)
            if exchanged:
                revive(state, size, n_blocked)
                n_blocked, exchanged = np.int64(0), False
        alpha = next_alpha
        if entering >= 0:
            # Those used here go on to be, and without another the next segment is no solution.
            if here < 0:
                here = _count_used(state, size, alpha, zero)
            least = max(least, here + 1)
            if least > max_support:
                status = REACHED_SUPPORT
                break
            if size >= state.active.size:
                return CRAMPED, n_knots
            fraction = enter(second_moment, state, size, n_columns, entering, sign)
            if fraction < _INDEFINITE:
                return INDEFINITE, n_knots
            if fraction <= PIVOT_TOLERANCE and not exchanged:
                leaving = _find_exchanged(second_moment, state, size, alpha, entering, sign)
                if leaving >= 0:
                    state.blocked[n_blocked] = state.active[leaving]
                    leave(state, size, leaving, n_columns)
                    size -= 1
                    revive(state, size, n_blocked + 1)
                    state.blocked[0] = state.blocked[n_blocked]
                    n_blocked = np.int64(1)
                    silence(state, size, n_blocked)
                    knots.exchanged[n_knots - 1] = exchanged = True
                    fraction = enter(second_moment, state, size, n_columns, entering, sign)
            if fraction <= PIVOT_TOLERANCE:
                state.blocked[n_blocked] = entering
                n_blocked += 1
                silence(state, size, n_blocked)
                continue
            size += 1
        elif leaving >= 0 and exit_alpha > alpha_stop:
            state.blocked[n_blocked] = state.active[leaving]
            leave(state, size, leaving, n_columns)
            size -= 1
            revive(state, size, n_blocked + 1)
            n_blocked, exchanged = np.int64(0), False
        silence(state, size, n_blocked)
        solve_coefficients(state, size)
        here = np.int64(-1)
        n_idle += 1
        if n_idle > 2 * n_columns + 10:
            status = STALLED
            break
    knots.used[n_knots] = least
    for first in range(n_checked, n_knots, GROUP):
        last = min(first + GROUP, n_knots)
        outcome = _check(
            second_moment,
            cross_moment,
            moment,
            own,
            tolerance,
            first,
            last,
            n_knots,
            state,
            knots,
            panel,
        )
        if outcome != REACHED_ALPHA:
            return outcome, n_knots
    if status == REACHED_SUPPORT:
        # What is used below the last knot was seen on the working set: what ties there belongs to it.
        bar = knots.alpha[n_knots - 1] * (1.0 - RELATIVE_TOLERANCE) - tolerance
        correlation = panel.correlation[(n_knots - 1 - n_checked) % GROUP]
        for j in range(state.n_columns[0]):
            correlation[state.columns[j]] = 0.0  # as in `_look_ahead`
        found, joined = widen(second_moment, cross_moment, correlation, bar, np.int64(0), state)
        if found > 0:
            return _MISSED if joined == found else OUT_OF_COLUMNS, n_knots
    return status, n_knots


@njit(**OPTIONS)
def follow_path(
    second_moment,
    cross_moment,
    moment,
    own,
    alpha_stop,
    floor,
    max_support,
    state,
    knots,
    panel,
):
    """Follow the path of one target from alpha_max down to its end, and certify its knots.

    The end is `alpha_stop` or `floor * alpha_max`, whichever is larger, or the alpha below which
    more than `max_support` categories are used.

    Returns (status, number of knots); `knots.used` goes one further, to the segment below the last.
    Knots are certified unless the buffers were too small
    (`OUT_OF_KNOTS`, `OUT_OF_COLUMNS`, `CRAMPED`) or the moments are `INDEFINITE`.
    """
    alpha_max = begin(second_moment, cross_moment, own, state)
    alpha_stop = max(alpha_stop, floor * alpha_max)
    status, n_knots = _MISSED, np.int64(0)
    while status == _MISSED:
        status, n_knots = _attempt(
            second_moment,
            cross_moment,
            moment,
            own,
            alpha_max,
            alpha_stop,
            max_support,
            state,
            knots,
            panel,
        )
    end(state, own)
    return status, n_knots
