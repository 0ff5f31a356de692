"""Compiled kernels: the exact CovLasso path of one target, and the certificate of its knots.

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

References
----------
.. [1] Osborne, Presnell, Turlach. "A new approach to variable selection in least squares
   problems". IMA Journal of Numerical Analysis 20 (2000).
.. [2] Efron, Hastie, Johnstone, Tibshirani. "Least angle regression". Annals of Statistics 32
   (2004).
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

REACHED_ALPHA = 0
REACHED_SUPPORT = 1
OUT_OF_KNOTS = 2
STALLED = 3
INDEFINITE = 4

# No fastmath: a compiler that may reorder or fuse does so differently in the process that compiles
# and in those that load what it compiled, and the bytes would depend on the cache.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
}

INLINE: dict[str, Any] = {**OPTIONS, "inline": "always"}

CHUNK = 2048  # columns worked on at once: what is updated stays in the first-level cache
BLOCK = 64  # columns whose candidates are counted before any is looked at
# Correlations are known to about 1e-15 of the largest one. Without this absolute tolerance small
# alphas make categories enter and leave on rounding alone, for ever.
ABSOLUTE_TOLERANCE = 1e-13
RELATIVE_TOLERANCE = 1e-12
# A category whose part outside the active ones' span is below this fraction of its second moment
# (a duplicate) cannot be told from its combination: it waits until the active set shrinks.
PIVOT_TOLERANCE = 1e-11
# Rounding makes no fraction as negative as this: the moments are not those of any images.
_INDEFINITE = -1e-6


class State(NamedTuple):
    """Buffers of one thread; `n` sources, at most `S` active categories."""

    active: np.ndarray  # (S,) int64, sources
    sign: np.ndarray  # (S,)
    factor: np.ndarray  # (S, S) lower triangular
    rows: np.ndarray  # (S, n)
    fit: np.ndarray  # (S,)
    pull: np.ndarray  # (S,)
    point: np.ndarray  # (S,)
    direction: np.ndarray  # (S,)
    weight: np.ndarray  # (S,)
    counting: np.ndarray  # (S,) int64, 0 .. S - 1
    residual: np.ndarray  # (n,)
    slope: np.ndarray  # (n,)
    blocked: np.ndarray  # (n + 1,) int64
    recent: np.ndarray  # (4,) int64, sources that nearly entered


class Knots(NamedTuple):
    """Buffers of one target's knots; `s` at most `K`, support at most `S`."""

    alpha: np.ndarray  # (K,)
    size: np.ndarray  # (K,) int64, categories active on the segment above the knot
    support: np.ndarray  # (K, S) int64
    sign: np.ndarray  # (K, S), on the segment above the knot
    coef: np.ndarray  # (K, S)
    squared_error: np.ndarray  # (K,)
    dual_gap: np.ndarray  # (K,)
    residual: np.ndarray  # (K,), largest departure from stationarity


@njit(**OPTIONS)
def make_state(n_sources, capacity):
    """Buffers for at most `capacity` active categories."""
    return State(
        np.empty(capacity, np.int64),
        np.empty(capacity),
        np.empty((capacity, capacity)),
        np.empty((capacity, n_sources)),
        np.empty(capacity),
        np.empty(capacity),
        np.empty(capacity),
        np.empty(capacity),
        np.empty(capacity),
        np.arange(capacity),
        np.empty(n_sources),
        np.empty(n_sources),
        np.empty(n_sources + 1, np.int64),
        np.empty(4, np.int64),
    )


@njit(**OPTIONS)
def make_knots(n_knots, capacity):
    """Buffers for at most `n_knots` knots of at most `capacity` categories."""
    return Knots(
        np.empty(n_knots),
        np.empty(n_knots, np.int64),
        np.empty((n_knots, capacity), np.int64),
        np.empty((n_knots, capacity)),
        np.empty((n_knots, capacity)),
        np.empty(n_knots),
        np.empty(n_knots),
        np.empty(n_knots),
    )


@njit(**OPTIONS)
def subtract_rows(out, base, matrix, index, weight, count, start, stop):
    """Set out[: stop - start] = base[start:stop] - sum_l weight[k] * matrix[index[k], start:stop]."""
    width = stop - start
    source = base[start:stop]
    for j in range(width):
        out[j] = source[j]
    k = 0
    while k + 8 <= count:
        w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
        w4, w5, w6, w7 = weight[k + 4], weight[k + 5], weight[k + 6], weight[k + 7]
        r0 = matrix[index[k], start:stop]
        r1 = matrix[index[k + 1], start:stop]
        r2 = matrix[index[k + 2], start:stop]
        r3 = matrix[index[k + 3], start:stop]
        r4 = matrix[index[k + 4], start:stop]
        r5 = matrix[index[k + 5], start:stop]
        r6 = matrix[index[k + 6], start:stop]
        r7 = matrix[index[k + 7], start:stop]
        for j in range(width):
            low = (w0 * r0[j] + w1 * r1[j]) + (w2 * r2[j] + w3 * r3[j])
            high = (w4 * r4[j] + w5 * r5[j]) + (w6 * r6[j] + w7 * r7[j])
            out[j] -= low + high
        k += 8
    while k + 2 <= count:
        w0, w1 = weight[k], weight[k + 1]
        r0 = matrix[index[k], start:stop]
        r1 = matrix[index[k + 1], start:stop]
        for j in range(width):
            out[j] -= w0 * r0[j] + w1 * r1[j]
        k += 2
    if k < count:
        w0 = weight[k]
        r0 = matrix[index[k], start:stop]
        for j in range(width):
            out[j] -= w0 * r0[j]


@njit(**OPTIONS)
def largest_magnitude(values):
    """Largest absolute value."""
    largest = 0.0
    for j in range(values.size):
        largest = max(largest, abs(values[j]))
    return largest


@njit(**OPTIONS)
def _crossing(residual, slope, low, high):
    """The alpha in [low, high] at which |residual + alpha slope| meets alpha, and the sign there."""
    sign = 1.0 if residual + low * slope > 0.0 else -1.0
    rate = 1.0 - sign * slope
    # With rate <= 0 the correlation already exceeds alpha by rounding: it meets it here.
    alpha = sign * residual / rate if rate > 0.0 else high
    return max(low, min(high, alpha)), sign


@njit(**INLINE)
def _next_entry(state, low, high, tolerance):
    """The first category, going down from `high` to `low`, whose correlation meets alpha.

    Returns (alpha, source, sign), with source -1 if there is none above `low`.
    """
    residual, slope, recent = state.residual, state.slope, state.recent
    best, entering, sign = low, -1, 0.0
    # Categories that nearly entered before raise the bar at once, so that few blocks are opened.
    for q in range(4):
        j = recent[q]
        bar = best * (1.0 + RELATIVE_TOLERANCE) + tolerance
        if abs(residual[j] + best * slope[j]) > bar:
            alpha, s = _crossing(residual[j], slope[j], best, high)
            if alpha > best or entering < 0:
                best, entering, sign = alpha, j, s
    slot = 0
    n_sources = residual.size
    start = 0
    while start < n_sources:
        stop = min(start + BLOCK, n_sources)
        r, a = residual[start:stop], slope[start:stop]
        bar = best * (1.0 + RELATIVE_TOLERANCE) + tolerance
        above = 0
        for j in range(stop - start):
            above += 1 if abs(r[j] + best * a[j]) > bar else 0
        if above > 0:
            for j in range(stop - start):
                bar = best * (1.0 + RELATIVE_TOLERANCE) + tolerance
                if abs(r[j] + best * a[j]) > bar:
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
def solve_coefficients(state, size):
    """Fill point = L^-T fit and direction = L^-T pull."""
    point, direction, factor = state.point, state.direction, state.factor
    for i in range(size):
        point[i] = state.fit[i]
        direction[i] = state.pull[i]
    for i in range(size - 1, -1, -1):
        row = factor[i]
        p = point[i] / row[i]
        d = direction[i] / row[i]
        point[i] = p
        direction[i] = d
        for k in range(i):
            point[k] -= row[k] * p
            direction[k] -= row[k] * d


@njit(**INLINE)
def enter(base, state, size, source, sign):
    """Append a category to the factor; `base` is its row of the second moment.

    Returns the part of its second moment that the active ones do not explain, as a fraction; at
    or below `PIVOT_TOLERANCE` the category depends on them and nothing was done.
    """
    weight, rows = state.weight, state.rows
    moment = base[source]
    pivot = moment
    for k in range(size):
        weight[k] = rows[k, source]
        pivot -= weight[k] * weight[k]
    if pivot <= PIVOT_TOLERANCE * moment:
        return pivot / moment
    root = np.sqrt(pivot)
    inverse = 1.0 / root
    pull = (sign - state.slope[source]) * inverse
    fit = state.residual[source] * inverse
    n_sources = base.size
    start = 0
    while start < n_sources:
        stop = min(start + CHUNK, n_sources)
        row = rows[size, start:stop]
        subtract_rows(row, base, rows, state.counting, weight, size, start, stop)
        residual, slope = state.residual[start:stop], state.slope[start:stop]
        for j in range(stop - start):
            value = row[j] * inverse
            row[j] = value
            slope[j] += pull * value
            residual[j] -= fit * value
        start = stop
    for k in range(size):
        state.factor[size, k] = weight[k]
    state.factor[size, size] = root
    state.pull[size] = pull
    state.fit[size] = fit
    state.active[size] = source
    state.sign[size] = sign
    return pivot / moment


@njit(**OPTIONS)
def _rotate(x, y, cosine, sine):
    for j in range(x.size):
        a, b = x[j], y[j]
        x[j] = cosine * a + sine * b
        y[j] = cosine * b - sine * a


@njit(**INLINE)
def leave(state, size, position, n_sources):
    """Rotate the category at `position` out of the factor; its part is given back."""
    factor, rows, fit, pull = state.factor, state.rows, state.fit, state.pull
    for i in range(position, size - 1):
        state.active[i] = state.active[i + 1]
        state.sign[i] = state.sign[i + 1]
        for k in range(i + 2):
            factor[i, k] = factor[i + 1, k]
    for i in range(position, size - 1):
        length = np.hypot(factor[i, i], factor[i, i + 1])
        cosine, sine = factor[i, i] / length, factor[i, i + 1] / length
        factor[i, i] = length
        factor[i, i + 1] = 0.0
        _rotate(factor[i + 1 : size - 1, i], factor[i + 1 : size - 1, i + 1], cosine, sine)
        _rotate(pull[i : i + 1], pull[i + 1 : i + 2], cosine, sine)
        _rotate(fit[i : i + 1], fit[i + 1 : i + 2], cosine, sine)
        _rotate(rows[i, :n_sources], rows[i + 1, :n_sources], cosine, sine)
    row = rows[size - 1]
    last_pull, last_fit = pull[size - 1], fit[size - 1]
    for j in range(n_sources):
        state.slope[j] -= last_pull * row[j]
        state.residual[j] += last_fit * row[j]


@njit(**INLINE)
def revive(state, cross_moment, size, n_blocked):
    """Correlations of the categories that were blocked, from the factor."""
    for q in range(n_blocked):
        j = state.blocked[q]
        slope, residual = 0.0, cross_moment[j]
        for k in range(size):
            slope += state.rows[k, j] * state.pull[k]
            residual -= state.rows[k, j] * state.fit[k]
        state.slope[j] = slope
        state.residual[j] = residual


@njit(**INLINE)
def silence(state, size, n_blocked, own):
    """Zero the correlations that must not enter: the own category, active and blocked ones."""
    if own >= 0:
        state.residual[own] = 0.0
        state.slope[own] = 0.0
    for i in range(size):
        state.residual[state.active[i]] = 0.0
        state.slope[state.active[i]] = 0.0
    for q in range(n_blocked):
        state.residual[state.blocked[q]] = 0.0
        state.slope[state.blocked[q]] = 0.0


@njit(**INLINE)
def _record(knots, slot, alpha, state, size):
    """Store the solution at `alpha`; a coefficient whose sign is lost to rounding is a zero."""
    knots.alpha[slot] = alpha
    knots.size[slot] = size
    for i in range(size):
        value = state.point[i] - alpha * state.direction[i]
        knots.support[slot, i] = state.active[i]
        knots.sign[slot, i] = state.sign[i]
        knots.coef[slot, i] = value if value * state.sign[i] > 0.0 else 0.0


@njit(**OPTIONS)
def follow_path(
    second_moment, cross_moment, own, alpha_stop, floor, max_support, last_only, state, knots
):
    """Follow the path of one target from alpha_max down to its end.

    The end is `alpha_stop` or `floor * alpha_max`, whichever is larger, or the alpha at which a
    further category would enter a support of `max_support`. Every knot is stored, or with
    `last_only` the last one, in slot 0.

    Returns (status, number of stored knots).
    """
    n_sources = cross_moment.size
    for j in range(n_sources):
        state.residual[j] = cross_moment[j]
        state.slope[j] = 0.0
    # int64 from the start: a literal 0 would have every callee compiled a second time.
    size, n_blocked, n_knots, n_idle = np.int64(0), np.int64(0), np.int64(1), 0
    silence(state, size, n_blocked, own)
    alpha = largest_magnitude(state.residual)
    alpha_stop = max(alpha_stop, floor * alpha)
    state.recent[:] = 0
    tolerance = ABSOLUTE_TOLERANCE * alpha
    capacity = knots.alpha.size
    if last_only:
        alpha = max(alpha, alpha_stop)
    _record(knots, 0, alpha, state, size)
    while alpha > alpha_stop:
        exit_alpha, leaving = _next_exit(state, size, alpha)
        low = max(alpha_stop, exit_alpha)
        next_alpha, entering, sign = _next_entry(state, low, alpha, tolerance)
        if next_alpha < alpha * (1.0 - 1e-14):
            slot = 0 if last_only else n_knots
            if slot >= capacity:
                return OUT_OF_KNOTS, n_knots
            _record(knots, slot, next_alpha, state, size)
            n_knots = slot + 1
            n_idle = 0
        alpha = next_alpha
        if entering >= 0:
            if size >= max_support:
                return REACHED_SUPPORT, n_knots
            fraction = enter(second_moment[entering], state, size, entering, sign)
            if fraction < _INDEFINITE:
                return INDEFINITE, n_knots
            if fraction <= PIVOT_TOLERANCE:
                state.blocked[n_blocked] = entering
                n_blocked += 1
                silence(state, size, n_blocked, own)
                continue
            size += 1
        elif leaving >= 0 and exit_alpha > alpha_stop:
            state.blocked[n_blocked] = state.active[leaving]
            leave(state, size, leaving, n_sources)
            size -= 1
            revive(state, cross_moment, size, n_blocked + 1)
            n_blocked = 0
        silence(state, size, n_blocked, own)
        solve_coefficients(state, size)
        n_idle += 1
        if n_idle > 2 * n_sources + 10:
            return STALLED, n_knots
    return REACHED_ALPHA, n_knots
