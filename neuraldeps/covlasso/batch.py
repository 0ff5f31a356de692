"""Solve many targets: a compiled loop over a chunk of them, and threads over the chunks."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.covlasso import homotopy
from neuraldeps.covlasso.active_set import solve_at
from neuraldeps.covlasso.certificate import make_knots, make_panel
from neuraldeps.covlasso.homotopy import OUT_OF_KNOTS, follow_path
from neuraldeps.covlasso.kernels import OPTIONS
from neuraldeps.covlasso.repair import penalty_above, repair
from neuraldeps.covlasso.validation import MomentError
from neuraldeps.covlasso.working_set import make_state

TOLERANCE = 1e-12  # largest certified duality gap, as a fraction of the target's second moment
REPAIR_ABOVE = 1e-13  # duality gap, as that fraction, worth a second look
_TARGETS_PER_CHUNK = 128
_COLUMNS = 256  # room of a working set, with four for each active category
_TIES = 8  # room for categories that are active and not used
UNCERTIFIED, _SPOILT = 8, 9  # statuses, next to those of `homotopy`
_MOVES = 3  # of a knot that rounding has put too low


class Problem(NamedTuple):
    """Moments of a batch of targets, ready for the kernels; positions count allowed sources."""

    second_moment: np.ndarray  # (p, p or more) float64, C-contiguous, read-only
    cross_moment: np.ndarray  # (n_source, n_target) view, all of it
    target_second_moment: np.ndarray  # (T,)
    own: np.ndarray  # (T,) int64, position that must stay zero, or -1
    targets: np.ndarray  # (T,) int64
    allowed: np.ndarray | None  # (p,) int64 sources, None for all

    def cross_rows(self, rows: np.ndarray) -> np.ndarray:
        """Cross moments (len(rows), p) of some of the targets, copied.

        Parameters
        ----------
        rows : ndarray of int64
            Positions of targets.

        Returns
        -------
        ndarray, shape (len(rows), p), float64
            E[f g_i] of each, squared logits.
        """
        block = self.cross_moment.T[self.targets[rows]]
        if self.allowed is not None:
            block = block[:, self.allowed]
        if not np.isfinite(block).all():
            t, j = np.argwhere(~np.isfinite(block))[0]
            raise MomentError(
                f"the cross moment of target {self.targets[rows[t]]} and source "
                f"{j if self.allowed is None else self.allowed[j]} is {block[t, j]}; remove such logits first."
            )
        return np.ascontiguousarray(block, dtype=np.float64)


class Result(NamedTuple):
    """Knots of all targets; `K` and `S` are what they needed at most.

    A chunk's own result has its supports and coefficients one after the other, without padding.
    """

    status: np.ndarray  # (T,) int8
    n_knots: np.ndarray  # (T,) int32
    below: np.ndarray  # (T,) int32, least support on the segment below the last knot, 0 if unknown
    alpha: np.ndarray  # (T, K), padded with NaN
    active_size: np.ndarray  # (T, K) int32, support on the segment above the knot
    support_size: np.ndarray  # (T, K) int32
    squared_error: np.ndarray  # (T, K), padded with NaN
    dual_gap: np.ndarray  # (T, K), padded with NaN
    residual: np.ndarray  # (T, K), padded with NaN
    support: np.ndarray  # (T, K, S) int32, positions, padded with -1
    coef: np.ndarray  # (T, K, S), padded with 0


def _make_result(n_targets: int, n_knots: int, supports: tuple[int, ...]) -> Result:
    """Room for knots, padded but for the supports and coefficients, which have their own shape."""
    by_knot = (n_targets, n_knots)
    return Result(
        status=np.empty(n_targets, np.int8),
        n_knots=np.empty(n_targets, np.int32),
        below=np.zeros(n_targets, np.int32),
        alpha=np.full(by_knot, np.nan),
        active_size=np.zeros(by_knot, np.int32),
        support_size=np.zeros(by_knot, np.int32),
        squared_error=np.full(by_knot, np.nan),
        dual_gap=np.full(by_knot, np.nan),
        residual=np.full(by_knot, np.nan),
        support=np.empty(supports, np.int32),
        coef=np.empty(supports),
    )


@njit(**OPTIONS)
def _store(found, end, t, knots, first, last):
    """Append knots first .. last - 1 of one target, without the coefficients that are zero."""
    for q in range(first, last):
        slot = q - first
        found.alpha[t, slot] = knots.alpha[q]
        found.active_size[t, slot] = knots.used[q]
        found.squared_error[t, slot] = knots.squared_error[q]
        found.dual_gap[t, slot] = knots.dual_gap[q]
        found.residual[t, slot] = knots.residual[q]
        start = end
        support, coef = knots.support[q], knots.coef[q]
        for i in range(knots.size[q]):
            if coef[i] != 0.0:
                found.support[end] = support[i]
                found.coef[end] = coef[i]
                end += 1
        found.support_size[t, slot] = end - start
    return end


@njit(**OPTIONS)
def _follow_chunk(
    second_moment,
    cross_moment,
    target_second_moment,
    own,
    alpha_stop,
    floor,
    max_support,
    last_only,
    at_alpha,
    state,
    knots,
    panel,
    found,
):
    """Follow the path of every target of a chunk; keep all knots or the last.

    Unless the last is a given penalty's, it depends on all: where one asks for repair, the last
    alone is not enough, and the status is `_SPOILT`.
    """
    end = 0
    for t in range(cross_moment.shape[0]):
        b, m, i = cross_moment[t], target_second_moment[t], own[t]
        status, n_knots = follow_path(
            second_moment, b, m, i, alpha_stop[t], floor, max_support, state, knots, panel
        )
        first = n_knots - 1 if last_only else 0
        end = _store(found, end, t, knots, first, n_knots)
        found.status[t] = status
        found.n_knots[t] = n_knots - first
        found.below[t] = knots.used[n_knots]
        if last_only and not at_alpha and status < OUT_OF_KNOTS:
            for q in range(n_knots):
                if not knots.dual_gap[q] <= REPAIR_ABOVE * m:
                    found.status[t] = _SPOILT


@njit(**OPTIONS)
def _solve_chunk_at(
    second_moment,
    cross_moment,
    target_second_moment,
    own,
    alpha,
    state,
    knots,
    panel,
    found,
):
    """Solve every target of a chunk at its penalty."""
    end = 0
    for t in range(cross_moment.shape[0]):
        b, m, i = cross_moment[t], target_second_moment[t], own[t]
        found.status[t] = solve_at(second_moment, b, m, i, alpha[t], state, knots, panel)
        end = _store(found, end, t, knots, 0, 1)
        found.n_knots[t] = 1


@njit(**OPTIONS)
def _spread(found, result, rows, kept):
    """Copy the kept targets of a chunk to their rows, padding what they do not use."""
    end = 0
    _, n_knots, capacity = result.coef.shape
    for t in range(rows.size):
        row = rows[t]
        start = end
        for q in range(found.n_knots[t]):
            end += found.support_size[t, q]
        if not kept[t]:
            continue
        result.status[row] = found.status[t]
        result.n_knots[row] = found.n_knots[t]
        result.below[row] = found.below[t]
        for q in range(n_knots):
            size = 0
            if q < found.n_knots[t]:
                size = found.support_size[t, q]
                result.alpha[row, q] = found.alpha[t, q]
                result.active_size[row, q] = found.active_size[t, q]
                result.squared_error[row, q] = found.squared_error[t, q]
                result.dual_gap[row, q] = found.dual_gap[t, q]
                result.residual[row, q] = found.residual[t, q]
            result.support_size[row, q] = size
            support, coef = result.support[row, q], result.coef[row, q]
            for i in range(size):
                support[i] = found.support[start + i]
                coef[i] = found.coef[start + i]
            for i in range(size, capacity):
                support[i] = -1
                coef[i] = 0.0
            start += size


def _join(parts, n_targets: int) -> Result:
    """One result of all chunks."""
    n_knots = max(found.n_knots[kept].max() for found, _, kept in parts)
    capacity = max(1, *(found.support_size[kept].max() for found, _, kept in parts))
    result = _make_result(n_targets, n_knots, (n_targets, n_knots, capacity))
    for found, rows, kept in parts:
        _spread(found, result, rows, kept)
    return result


class _Attempt(NamedTuple):
    """Targets to solve, how, and the room they get."""

    rows: np.ndarray
    by_path: bool
    last_only: bool
    capacity: int  # active categories
    n_knots: int
    n_columns: int  # of the working set


def _further_attempts(attempt, found, problem):
    """What stopped short and what it needs: more room, or the path where the active set failed.

    Each target goes through attempts of its own, so that its bytes depend on no other.
    """
    status = found.status
    needs = [
        (status == _SPOILT, {"last_only": False}),
        (status == homotopy.OUT_OF_KNOTS, {"n_knots": 4 * attempt.n_knots}),
        (status == homotopy.OUT_OF_COLUMNS, {"n_columns": 4 * attempt.n_columns}),
        (
            status == homotopy.CRAMPED,
            {
                "capacity": min(4 * attempt.capacity, len(problem.second_moment)),
                "n_knots": 4 * attempt.n_knots,
                "n_columns": 4 * attempt.n_columns,
            },
        ),
    ]
    if not attempt.by_path:
        goal = REPAIR_ABOVE * problem.target_second_moment[attempt.rows]
        spoilt = (status == homotopy.REACHED_ALPHA) & ~(found.dual_gap[:, 0] <= goal)
        needs.append((spoilt | (status == homotopy.STALLED), {"by_path": True}))
    return [
        attempt._replace(rows=attempt.rows[stopped], **need)
        for stopped, need in needs
        if stopped.any()
    ]


def solve_rows(problem, rows, alpha_stop, floor, at_alpha, limit, last_only):
    """Solve the targets at `rows`; what was found, and for which rows.

    Parameters
    ----------
    problem : Problem
        Checked moments of all targets.
    rows : ndarray of int64
        Positions of the targets to solve.
    alpha_stop : ndarray, shape (T,), float64
        Penalty at which each path ends, squared logits.
    floor : float
        Share of alpha_max below which no path goes.
    at_alpha : bool
        Whether the solution at `alpha_stop` is wanted, and not the path.
    limit : int
        Most sources.
    last_only : bool
        Whether the last knot alone is kept.

    Returns
    -------
    tuple
        What was found, and the rows it was found for.
    """
    n_sources, by_path = len(problem.second_moment), not at_alpha
    expected = min(limit, 256 if by_path else 64)
    capacity = min(expected + _TIES, n_sources)
    room = (capacity, 2 * expected + 16, 4 * expected + _COLUMNS)
    attempts = [_Attempt(rows, by_path, last_only, *room)]
    solved = []
    while attempts:
        attempt = attempts.pop()
        rows, capacity, n_knots = attempt.rows, attempt.capacity, attempt.n_knots
        given = (
            problem.second_moment,
            problem.cross_rows(rows),
            problem.target_second_moment[rows],
            problem.own[rows],
            alpha_stop[rows],
        )
        buffers = (
            make_state(n_sources, min(attempt.n_columns, n_sources), capacity),
            make_knots(n_knots, capacity),
            make_panel(n_sources, capacity),
        )
        n_kept = 1 if attempt.last_only else n_knots
        # what is not used of the supports' room is never touched
        found = _make_result(rows.size, n_kept, (rows.size * n_kept * capacity,))
        if attempt.by_path:
            _follow_chunk(*given, floor, limit, attempt.last_only, at_alpha, *buffers, found)
        else:
            _solve_chunk_at(*given, *buffers, found)
        further = _further_attempts(attempt, found, problem)
        unfinished = [row for again in further for row in again.rows]
        done = np.isin(rows, unfinished, invert=True)
        attempts += further
        if done.any():
            solved.append((found, rows, done))
    return solved


def _repair_knots(problem, result, limit) -> Result:
    """Improve the knots whose certificate rounding has spoilt; a path ends where one is too large."""
    goal = REPAIR_ABOVE * problem.target_second_moment[:, None]
    for t, q in np.argwhere((result.dual_gap > goal) & np.isfinite(result.dual_gap)):
        if q >= result.n_knots[t]:
            continue
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            # moments so small that rounding has left nothing of them are not certified either way
            alpha, point = _repair_knot(problem, result, t, q)
        size = point.support.size
        if not point.dual_gap < result.dual_gap[t, q]:
            continue
        if size > limit:
            result.status[t] = homotopy.REACHED_SUPPORT
            _cut(result, t, q, size)
            continue
        missing = ((0, 0), (0, 0), (0, max(0, size - result.coef.shape[2])))
        if missing[2][1]:
            result = result._replace(
                support=np.pad(result.support, missing, constant_values=-1),
                coef=np.pad(result.coef, missing),
            )
        result.alpha[t, q] = alpha
        result.support[t, q] = -1
        result.coef[t, q] = 0.0
        result.support[t, q, :size] = point.support
        result.coef[t, q, :size] = point.coef
        result.support_size[t, q] = size
        result.active_size[t, q] = max(result.active_size[t, q], size)
        result.squared_error[t, q] = point.squared_error
        result.dual_gap[t, q] = point.dual_gap
        result.residual[t, q] = np.inf  # no longer on the segments that meet here
    return result


def _repair_knot(problem, result, t, q):
    """The penalty and the repaired solution of one knot.

    A knot that rounding has put too low has the category that enters there in its support already:
    it is moved up to where that category enters.
    """
    moment, alpha = problem.target_second_moment[t], result.alpha[t, q]
    second_moment = problem.second_moment[:, : len(problem.second_moment)]
    size = result.support_size[t, q]
    given = (second_moment, problem.cross_rows(np.array([t]))[0], moment, problem.own[t])
    known = (result.support[t, q, :size], result.coef[t, q, :size])
    goal = 0.1 * REPAIR_ABOVE * moment
    point = repair(*given, alpha, *known, goal)
    is_event = q + 1 < result.n_knots[t] or result.status[t] == homotopy.REACHED_SUPPORT
    for _ in range(_MOVES if is_event else 0):
        if point.support.size <= result.active_size[t, q] or point.dual_gap > TOLERANCE * moment:
            break
        above = penalty_above(second_moment, alpha, point, result.active_size[t, q])
        if not alpha < above < result.alpha[t, q - 1]:
            break
        moved = repair(*given, above, *known, goal)
        if not moved.dual_gap <= TOLERANCE * moment:
            break
        alpha, point = above, moved
    return alpha, point


def _refuse_inconsistent(problem, result):
    """Raise for the first target whose moments no images can have."""
    moment = problem.target_second_moment
    negative = (result.squared_error < -1e-9 * moment[:, None]).any(axis=1)
    indefinite = result.status == homotopy.INDEFINITE
    for t in np.flatnonzero(indefinite | negative)[:1]:
        target = problem.targets[t]
        if indefinite[t]:
            raise MomentError(
                f"second_moment is not positive semidefinite (met at target {target}): pass the "
                "uncentred second moment of one set of images, in float64."
            )
        raise MomentError(
            f"target {target} has second moment {moment[t]:.6g}, less than its cross moments "
            "explain: the moments are not jointly positive semidefinite; take all of them "
            "from the same images."
        )
    np.maximum(result.squared_error, 0.0, out=result.squared_error)


def _end_uncertified(problem, result) -> Result:
    """End each path above its first knot that is not certified; the first of all knots stays."""
    goal = TOLERANCE * problem.target_second_moment[:, None]
    known = np.arange(result.alpha.shape[1]) < result.n_knots[:, None]
    failed = known & ~(result.dual_gap <= goal)
    for t in np.flatnonzero(failed.any(axis=1)):
        q = int(failed[t].argmax())
        result.status[t] = UNCERTIFIED
        if q > 0:
            _cut(result, t, q, result.active_size[t, q])
    kept = int(result.n_knots.max())
    return result._replace(
        **{
            name: values[:, :kept]
            for name, values in result._asdict().items()
            if values.ndim > 1 and values.shape[1] > kept
        }
    )


def _cut(result, t, q, size):
    """End the path of one target above knot `q`, towards which it uses `size` categories."""
    result.n_knots[t], result.below[t] = q, size
    for values in (result.alpha, result.squared_error, result.dual_gap, result.residual):
        values[t, q:] = np.nan
    for values in (result.active_size, result.support_size, result.coef):
        values[t, q:] = 0
    result.support[t, q:] = -1


def solve_targets(
    problem: Problem,
    alpha_stop: np.ndarray,
    *,
    floor: float,
    max_support: int | None,
    last_only: bool,
    n_threads: int,
) -> Result:
    """Solve every target of `problem`; the answer does not depend on `n_threads`.

    Without `max_support` only the solution at `alpha_stop` is certified and returned. Where a
    duality gap exceeds `TOLERANCE` of the target's second moment the status is `UNCERTIFIED`, and
    a path ends above it.

    Parameters
    ----------
    problem : Problem
        Checked moments of the targets.
    alpha_stop : ndarray, shape (T,), float64
        Penalty at which each path ends, squared logits.
    floor : float
        Share of alpha_max below which no path goes.
    max_support : int, optional
        The paths end before the support first exceeds it.
    last_only : bool
        Whether the last knot alone is kept.
    n_threads : int
        Threads; no number depends on it.

    Returns
    -------
    Result
        Knots, certificates and statuses of all targets.

    Raises
    ------
    MomentError
        If the moments turn out to be inconsistent.
    """
    n_targets = problem.targets.size
    chunks = np.array_split(np.arange(n_targets), -(-n_targets // _TARGETS_PER_CHUNK))

    n_sources, at_alpha = len(problem.second_moment), max_support is None
    limit = n_sources if max_support is None else min(max_support, n_sources)

    def solve(rows):
        return solve_rows(problem, rows, alpha_stop, floor, at_alpha, limit, last_only)

    if n_threads == 1:
        solved = [solve(rows) for rows in chunks]
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            solved = list(pool.map(solve, chunks))
    result = _join([part for chunk in solved for part in chunk], n_targets)
    result = _repair_knots(problem, result, limit)
    _refuse_inconsistent(problem, result)
    return _end_uncertified(problem, result)
