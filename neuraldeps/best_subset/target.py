"""All sizes of one target: start, search on the columns, look at every source, search again."""

from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.best_subset.columns import (
    GAIN,
    Columns,
    Set,
    clear,
    descend,
    join,
    load,
    make_columns,
    make_set,
)
from neuraldeps.best_subset.exhaustion import best_pair, best_triple
from neuraldeps.best_subset.factor import Factor, begin, make_factor
from neuraldeps.best_subset.greedy import ENTRIES, Greedy, find_top, make_greedy, select
from neuraldeps.best_subset.scan import TIE, Scan, look, make_scan, solve
from neuraldeps.best_subset.search import Pool, keep, make_pool, search
from neuraldeps.covlasso.kernels import OPTIONS, aligned

EXCHANGE_OPTIMAL, PROVEN, DEPENDENT = 0, 1, 2

_LARGEST = 16  # columns from the largest cross moments
_BEYOND = 2  # sizes searched beyond those wanted
_PASSES = 1  # growing and shrinking


class Buffers(NamedTuple):
    """What one thread works on."""

    columns: Columns
    found: Set
    pool: Pool
    greedy: Greedy
    factor: Factor
    scan: Scan
    cross: np.ndarray  # (n,) normalised
    score: np.ndarray  # (n,)
    candidates: np.ndarray  # (ENTRIES * S,) int64
    member: np.ndarray  # (S,) int64, sources
    position: np.ndarray  # (S,) int64, columns
    kept: np.ndarray  # (S,) int64, sources
    trial: np.ndarray  # (3,) int64, sources
    scratch: np.ndarray  # (3, n)


def make_buffers(n_sources: int, wanted: int, n_paths: int, width: int) -> Buffers:
    """Room for `n_sources`, answers of up to `wanted` sources and `width` sets of every size.

    Parameters
    ----------
    n_sources : int
        Sources to choose from.
    wanted : int
        Largest size that is answered.
    n_paths : int
        Supports of CovLasso's path that the search starts from.
    width : int
        Sets of every size that the search goes on with.

    Returns
    -------
    Buffers
        Of one thread, used for one target after the other.
    """
    largest = wanted + _BEYOND
    n_candidates = (ENTRIES + wanted) * wanted
    n_columns = min(n_sources, _LARGEST + n_candidates + (1 + n_paths) * wanted + 8)
    return Buffers(
        columns=make_columns(n_sources, n_columns),
        found=make_set(n_columns, largest + 1),
        pool=make_pool(largest + 1, width),
        greedy=make_greedy(n_sources, wanted, max(_LARGEST, ENTRIES + wanted)),
        factor=make_factor(n_sources, largest + 1),
        scan=make_scan(n_sources, largest + 1),
        cross=aligned(n_sources),
        score=aligned(n_sources),
        candidates=np.empty(n_candidates, np.int64),
        member=np.empty(largest + 1, np.int64),
        position=np.empty(largest + 1, np.int64),
        kept=np.empty(largest + 1, np.int64),
        trial=np.empty(3, np.int64),
        scratch=aligned(3, n_sources),
    )


@njit(**OPTIONS)
def _offer(second_moment, scale, cross, size, buffers):
    """Keep the set of the sources `member[:size]`, if independent; what it explains, or -1."""
    member, position, columns = buffers.member, buffers.position, buffers.columns
    explained = solve(second_moment, scale, cross, member, size, buffers.scan)
    if explained < 0.0:
        return explained
    for a in range(size):
        x = join(cross, member[a], columns)
        if x < 0:
            return -1.0
        position[a] = x
    keep(buffers.pool, size, explained, position)
    return explained


@njit(**OPTIONS)
def _start(second_moment, scale, root, cross, own, wanted, paths, buffers):
    """Columns, and the first sets of every size: greedy ones and those of `paths`."""
    columns, pool, greedy = buffers.columns, buffers.pool, buffers.greedy
    clear(columns)
    pool.number[:] = 0
    keep(pool, np.int64(0), 0.0, buffers.position)
    for rule in range(2):
        forward = rule == 0
        n_chosen, n_candidates = select(
            second_moment, scale, root, cross, own, forward, wanted, greedy, buffers.candidates
        )
        for a in range(n_chosen):
            buffers.position[a] = join(cross, greedy.chosen[a], columns)
            keep(pool, np.int64(a + 1), greedy.explained[a], buffers.position)
        for q in range(n_candidates):
            join(cross, buffers.candidates[q], columns)
    for q in range(paths.shape[0]):
        size = np.int64(0)
        while size < paths.shape[1] and paths[q, size] >= 0:
            buffers.member[size] = paths[q, size]
            size += 1
        if size > 0:
            _offer(second_moment, scale, cross, size, buffers)
    for j in range(cross.size):
        buffers.score[j] = abs(cross[j])
    n_found = find_top(buffers.score[: cross.size], np.int64(_LARGEST), greedy.top, greedy.height)
    for q in range(n_found):
        join(cross, greedy.top[q], columns)


@njit(**OPTIONS)
def _stands(size, scan):
    """Whether no exchange gains, nor ties with a lower source."""
    stands = scan.tie[0] < 0
    for a in range(size):
        stands &= scan.gain[a] <= GAIN
    return stands


@njit(**OPTIONS)
def _read(columns, positions, size, member):
    """Sources of a set of columns, in rising order."""
    for a in range(size):
        source = columns.source[positions[a]]
        q = a
        while q > 0 and member[q - 1] > source:
            member[q] = member[q - 1]
            q -= 1
        member[q] = source


@njit(**OPTIONS)
def _replace(member, size, leaving, source):
    """Put `source` in the place of the member at `leaving`, in rising order."""
    q = leaving
    while q + 1 < size and member[q + 1] < source:
        member[q] = member[q + 1]
        q += 1
    while q > 0 and member[q - 1] > source:
        member[q] = member[q - 1]
        q -= 1
    member[q] = source


@njit(**OPTIONS)
def _exchange(second_moment, scale, cross, size, alone, buffers):
    """Make the best exchange that a look found in `member[:size]`, and what follows on the columns.

    Where it is to be made `alone`, nothing follows. Returns what the exchange must have gained.
    """
    columns, found, scan, member = buffers.columns, buffers.found, buffers.scan, buffers.member
    leaving = np.int64(np.argmax(scan.gain[:size]))
    if scan.entering[leaving] < 0:
        _replace(member, size, scan.tie[1], scan.tie[0])
        return -2.0 * TIE
    _replace(member, size, leaving, scan.entering[leaving])
    if alone:
        return GAIN
    for a in range(size):
        buffers.position[a] = join(cross, member[a], columns)
        if buffers.position[a] < 0:
            return GAIN
    for a in range(size):
        if scan.entering[a] >= 0:
            join(cross, scan.entering[a], columns)
    load(second_moment, scale, columns, buffers.position, size, found)
    descend(second_moment, scale, columns, size, found)
    _read(columns, found.member, size, member)
    return GAIN


@njit(**OPTIONS)
def _settle(second_moment, scale, cross, own, size, explained, buffers):
    """Exchange in `member[:size]` while looking at every source finds one; what is explained.

    The set is solved, and stays so.
    """
    member, kept, scan = buffers.member, buffers.kept, buffers.scan
    for _ in range(8 * size + 8):
        look(second_moment, scale, cross, own, member, size, GAIN, buffers.factor, scan)
        if _stands(size, scan):
            break
        for a in range(size):
            kept[a] = member[a]
        before = explained
        # rounding among near copies may lose on the columns what the exchange gained
        for alone in (False, True):
            gained = _exchange(second_moment, scale, cross, size, alone, buffers)
            explained = solve(second_moment, scale, cross, member, size, scan)
            if explained >= before + gained:
                break
            for a in range(size):
                member[a] = kept[a]
        if explained < before + gained:  # rounding alone promised more
            explained = solve(second_moment, scale, cross, member, size, scan)
            break
    return explained


class Answer(NamedTuple):
    """Answers of a batch of targets at every size up to `K`."""

    size: np.ndarray  # (T, K) int32
    support: np.ndarray  # (T, K, K) int32, in rising order, padded with -1
    coef: np.ndarray  # (T, K, K) padded with 0
    squared_error: np.ndarray  # (T, K)
    status: np.ndarray  # (T, K) int8


@njit(**OPTIONS)
def _record(scale, moment, explained, size, status, t, row, buffers, answer):
    """Store the set that has just been solved."""
    support, coef = answer.support[t, row], answer.coef[t, row]
    root = np.sqrt(moment)
    for a in range(support.size):
        support[a] = buffers.member[a] if a < size else -1
        coef[a] = buffers.scan.coef[a] * scale[buffers.member[a]] * root if a < size else 0.0
    answer.size[t, row] = size
    answer.squared_error[t, row] = moment * max(0.0, 1.0 - explained)
    answer.status[t, row] = status


@njit(**OPTIONS)
def _next_size(
    second_moment, scale, cross, t, row, size, explained, gain, entering, buffers, answer
):
    """Put the set to begin the next size with into `member` and solve it; its size, what it explains.

    It is the best one met, or the last answer with the source that gains most, whichever explains
    more; the last answer itself if no source gains.
    """
    pool, member, wider = buffers.pool, buffers.member, np.int64(row + 1)
    bar = explained + (gain if entering >= 0 else GAIN)
    if pool.number[wider] > 0 and pool.explained[wider, 0] > bar - TIE:
        _read(buffers.columns, pool.member[wider, 0], wider, member)
        met = solve(second_moment, scale, cross, member, wider, buffers.scan)
        if met > bar - TIE:
            return wider, met
    for a in range(size):
        member[a] = answer.support[t, row - 1, a]
    wider = size
    if entering >= 0:
        member[size] = entering
        _replace(member, size + 1, size, entering)
        wider += 1
    return wider, solve(second_moment, scale, cross, member, wider, buffers.scan)


@njit(**OPTIONS)
def _finish(second_moment, scale, cross, moment, own, proven, t, buffers, answer):
    """Settle the best set of every size, from one source up, and store it."""
    scan, member, size = buffers.scan, buffers.member, np.int64(0)
    begin(scale, cross, own, buffers.factor)
    explained = solve(second_moment, scale, cross, member, size, scan)
    look(second_moment, scale, cross, own, member, size, GAIN, buffers.factor, scan)
    gain, entering = scan.gain[size], scan.entering[size]
    for row in range(answer.size.shape[1]):
        wider, explained = _next_size(
            second_moment, scale, cross, t, row, size, explained, gain, entering, buffers, answer
        )
        if wider > size:
            size = wider
            explained = _settle(second_moment, scale, cross, own, size, explained, buffers)
            gain, entering = scan.gain[size], scan.entering[size]
        status = PROVEN if row < proven else EXCHANGE_OPTIMAL
        if scan.dependent[0]:
            status = DEPENDENT
        _record(scale, moment, explained, size, status, t, row, buffers, answer)


@njit(**OPTIONS)
def _exhaust(second_moment, scale, cross, own, pairs, triples, proven, buffers):
    """Keep the best pair, and the best triple, unless they have been met."""
    pool, member, scan = buffers.pool, buffers.member, buffers.scan
    met = 0.0
    for size in range(1, 3):
        met = max(met, pool.explained[size, 0] if pool.number[size] > 0 else 0.0)
    if proven >= 2 and best_pair(second_moment, scale, cross, own, pairs, met, member):
        met = max(met, _offer(second_moment, scale, cross, np.int64(2), buffers))
    if proven >= 3:
        met = max(met, pool.explained[3, 0] if pool.number[3] > 0 else 0.0)
        found = best_triple(
            second_moment, scale, cross, own, pairs.near, triples, met, member, buffers.trial,
            buffers.scratch, scan,
        )  # fmt: skip
        if found:
            _offer(second_moment, scale, cross, np.int64(3), buffers)


@njit(**OPTIONS)
def find_chunk(
    second_moment, scale, root, cross_moment, moments, own, paths, pairs, triples, proven, buffers,
    answer,
):  # fmt: skip
    """Find the sets of every size of every target of a chunk.

    `paths` (T, P, S) holds sets to start from, padded with -1; up to `proven` sources the best set
    is found by exhaustion.
    """
    n_sources, wanted = cross_moment.shape[1], np.int64(answer.size.shape[1])
    cross, largest = buffers.cross[:n_sources], np.int64(buffers.member.size - 1)
    for t in range(cross_moment.shape[0]):
        moment, left_out = moments[t], own[t]
        over = 1.0 / np.sqrt(moment) if moment > 0.0 else 0.0
        for j in range(n_sources):
            cross[j] = cross_moment[t, j] * scale[j] * over
        if left_out >= 0:
            cross[left_out] = 0.0
        _start(second_moment, scale, root, cross, left_out, wanted, paths[t], buffers)
        search(second_moment, scale, buffers.columns, buffers.found, buffers.pool, largest, _PASSES)
        _exhaust(second_moment, scale, cross, left_out, pairs, triples, proven, buffers)
        search(second_moment, scale, buffers.columns, buffers.found, buffers.pool, largest, _PASSES)
        _finish(second_moment, scale, cross, moment, left_out, proven, t, buffers, answer)
