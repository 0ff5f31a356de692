"""Judge dependencies on images: errors of the predicted logit, accuracy with the logit replaced.

All categories in one pass over the logits. Replacing one logit changes the arg-max of an image only
where that category is or becomes the winner, so the two highest logits of each image are enough.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numba import njit

from neuraldeps.dependencies.candidates import Candidates
from neuraldeps.dependencies.sums import EPSILON, Evaluation, Sums
from neuraldeps.devices import one_torch_thread
from neuraldeps.logits.on_device import rows_on_device
from neuraldeps.logits.store import Centering, Logits
from neuraldeps.logs import progress

Item = TypeVar("Item")

ROWS = 2048  # images at once: a chunk of 1000 categories stays in the last-level cache
# a replaced logit must meet its rivals unrounded: equal ones stay equal
EXACT: dict[Centering, type[np.floating]] = {"none": np.float32, "per_image": np.float64}


class _Chunk(NamedTuple):
    """Some images, category-major, with what the arg-max needs of each."""

    source: np.ndarray  # (source categories, rows), of a type that holds them exactly
    target: np.ndarray  # (target categories, rows)
    label: np.ndarray  # (rows,) int32
    top: np.ndarray  # (rows,) int32, the winner
    first: np.ndarray  # (rows,) its logit
    runner_up: np.ndarray  # (rows,) int32
    second: np.ndarray  # (rows,) its logit
    # (rows,) what logit i must be more than to win a right image from its winner, infinity where it is
    # wrong: the winner's logit, or the float below it, which says the same of an equal one that comes first
    bound: np.ndarray
    tie: np.ndarray
    by_label: np.ndarray  # rows sorted by label; those of label i start at label_start[i]
    label_start: np.ndarray
    by_top: np.ndarray  # the same by winner
    top_start: np.ndarray


@njit(nogil=True, cache=True)
def _wins(value: float, category: int, rival: float, rival_category: int) -> bool:
    """Whether a logit wins the arg-max against a rival: the first of equal ones wins."""
    return value > rival or (value == rival and category < rival_category)


@njit(nogil=True, cache=True)
def _predict(source, support, coef, prediction):  # type: ignore[no-untyped-def]
    """Set prediction = w.f for every row: sources are added one after the other, four in one pass."""
    prediction[:] = 0.0
    whole = len(support) // 4 * 4
    for s in range(0, whole, 4):
        a, b, c, d = coef[s], coef[s + 1], coef[s + 2], coef[s + 3]
        f, g = source[support[s]], source[support[s + 1]]
        h, k = source[support[s + 2]], source[support[s + 3]]
        for row in range(len(prediction)):
            total = prediction[row] + a * f[row] + b * g[row]
            prediction[row] = total + c * h[row] + d * k[row]
    for s in range(whole, len(support)):
        weight = coef[s]
        values = source[support[s]]
        for row in range(len(prediction)):
            prediction[row] += weight * values[row]


@njit(nogil=True, cache=True)
def _add_targets(chunk, candidates, allowed, sums, begin, end):  # type: ignore[no-untyped-def]
    """Add one chunk of images to the sums of targets `begin:end`."""
    n_rows = len(chunk.label)
    prediction, error, bound = np.empty(n_rows), np.empty(n_rows), np.empty(n_rows)
    for t in range(begin, end):
        i = candidates.targets[t]
        truth = chunk.target[i]
        positives = chunk.by_label[chunk.label_start[i] : chunk.label_start[i + 1]]
        won = chunk.by_top[chunk.top_start[i] : chunk.top_start[i + 1]]
        for row in range(len(truth)):
            sums.size[t] += abs(truth[row])
            bound[row] = chunk.tie[row] if i < chunk.top[row] else chunk.bound[row]
        for row in positives:
            sums.size_positive[t] += abs(truth[row])
            sums.original_correct_positive[t] += chunk.top[row] == i
        sums.n_positive[t] += len(positives)
        for m in range(candidates.n_solutions):
            at = t * candidates.n_solutions + m
            entries = slice(candidates.indptr[at], candidates.indptr[at + 1])
            _predict(
                chunk.source, candidates.support[entries], candidates.coef[entries], prediction
            )
            taken = _compare(truth, prediction, allowed[t], bound, error, sums.missed[t, m])
            sums.error[t, m] += _total(error)
            sums.correct[t, m] += _change(chunk, i, positives, won, prediction) - taken
            for row in positives:
                sums.error_positive[t, m] += error[row]
                for e in range(len(EPSILON)):
                    sums.missed_positive[t, m, e] += error[row] > EPSILON[e] * abs(truth[row])
                if chunk.top[row] == i:
                    rival, rival_category = chunk.second[row], chunk.runner_up[row]
                else:
                    rival, rival_category = chunk.first[row], chunk.top[row]
                sums.correct_positive[t, m] += _wins(prediction[row], i, rival, rival_category)


@njit(nogil=True, cache=True)
def _compare(truth, prediction, allowed, bound, error, missed):  # type: ignore[no-untyped-def]
    """Set the errors, count those beyond each bound that is allowed, and predictions beyond `bound`."""
    least, middle, most = allowed[0], allowed[1], allowed[2]  # one for each of `EPSILON`
    beyond_least = beyond_middle = beyond_most = taken = 0
    for row in range(len(truth)):
        missed_by = abs(truth[row] - prediction[row])
        error[row] = missed_by
        beyond_least += missed_by > least
        beyond_middle += missed_by > middle
        beyond_most += missed_by > most
        taken += prediction[row] > bound[row]
    missed[0] += beyond_least
    missed[1] += beyond_middle
    missed[2] += beyond_most
    return taken


@njit(nogil=True, cache=True)
def _total(values):  # type: ignore[no-untyped-def]
    """Sum of values, in eight lanes by hand.

    A compiler that may reorder sums does it differently in a process that compiles and in one that
    loads the compiled code: the bytes would depend on the cache.
    """
    lanes = np.zeros(8)
    whole = len(values) // 8 * 8
    for row in range(0, whole, 8):
        for lane in range(8):
            lanes[lane] += values[row + lane]
    for row in range(whole, len(values)):
        lanes[row - whole] += values[row]
    total = 0.0
    for lane in range(8):
        total += lanes[lane]
    return total


@njit(nogil=True, cache=True)
def _change(chunk, i, positives, won, prediction):  # type: ignore[no-untyped-def]
    """Images that become right minus those that become wrong when logit i is replaced.

    But for those that i takes over from a winner that was right, `_compare` counted them.
    """
    change = 0
    for row in won:  # i was the winner: `_compare` took it for its own rival
        value = prediction[row]
        change += (value > chunk.first[row]) & (chunk.label[row] == i)
        if not _wins(value, i, chunk.second[row], chunk.runner_up[row]):
            change += chunk.label[row] == chunk.runner_up[row]
            change -= chunk.label[row] == i
    for row in positives:  # i takes over an image of its own
        if chunk.top[row] != i:
            change += _wins(prediction[row], i, chunk.first[row], chunk.top[row])
    return change


def _two_highest(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Winner, its logit, runner-up, its logit; the first of equal logits wins, as in arg-max."""
    rows = np.arange(len(logits))
    top = logits.argmax(axis=1)
    first = logits[rows, top]
    rest = logits.copy()
    rest[rows, top] = -np.inf
    runner_up = rest.argmax(axis=1)
    return top.astype(np.int32), first, runner_up.astype(np.int32), rest[rows, runner_up]


def _grouped(keys: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows sorted by key, and where each key's rows start; keys below zero come in no group."""
    order = np.argsort(keys, kind="stable").astype(np.int64)
    starts = np.searchsorted(keys[order], np.arange(n + 1)).astype(np.int64)
    return order, starts


def _read(
    source: Logits,
    target: Logits,
    label: np.ndarray,
    *,
    at_once: Callable[[int], tuple[int, int]] = lambda shard: (shard, ROWS),
    device: str | None = None,
) -> Iterator[tuple[Any, Any, np.ndarray]]:
    """f, g and labels of some images at a time, one array where f is g; every shard is read once.

    Of the images of a shard, `at_once` says how many are read and how many of those are taken.
    """
    step, rows = at_once(target.rows_at_once)
    for begin in progress(range(0, len(label), step), "evaluate", None, "shard"):
        end = min(begin + step, len(label))
        g = _exact(target, begin, end, device)
        f = g if source == target else _exact(source, begin, end, device)
        for first in range(0, end - begin, rows):
            piece = slice(first, min(first + rows, end - begin))
            ours = g[piece]
            yield ours if f is g else f[piece], ours, label[begin:end][piece]


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same, each made by a thread while the one before it is used."""
    done = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, done)
        while (item := coming.result()) is not done:
            coming = pool.submit(next, items, done)
            yield cast(Item, item)


def _exact(file: Logits, begin: int, end: int, device: str | None) -> Any:
    """Rows in the smallest type that holds them, as an array or as a tensor on a device."""
    rows = file.rows if device is None else partial(rows_on_device, file, device=device)
    return rows(begin, end, dtype=EXACT[file.centering])


def _chunk(f: np.ndarray, g: np.ndarray, label: np.ndarray | None) -> _Chunk:
    """Arrange images for `_add_targets`; without labels the winners take their place."""
    top, first, runner_up, second = _two_highest(g)
    truth = top if label is None else label.astype(np.int32)
    g_columns = np.ascontiguousarray(g.T)
    f_columns = g_columns if f is g else np.ascontiguousarray(f.T)
    logit = [first, np.nextafter(first, -np.inf, dtype=float)]
    bound, tie = np.where(top == truth, logit, np.inf)
    by_label, by_top = (_grouped(keys, g.shape[1]) for keys in (truth, top))
    winners = (truth, top, first, runner_up, second)
    return _Chunk(f_columns, g_columns, *winners, bound, tie, *by_label, *by_top)


def evaluate(
    source: Logits,
    target: Logits,
    candidates: Candidates,
    label: np.ndarray,
    *,
    scale: np.ndarray | None = None,
    min_positives: int = 1,
    n_threads: int = 1,
    device: str | None = None,
) -> Evaluation:
    """Judge every candidate on every image in one pass (protocol of Table 1).

    Parameters
    ----------
    source, target : LogitsFile or LogitsArray
        f and g over the same images, (samples, categories).
    candidates : Candidates
        For each target category i its predictors w.
    label : ndarray of int, shape (samples,)
        Category of each image, -1 where there is none.
    scale : ndarray, shape (T,), optional
        Of each target's logit, in logits, which `missed` is counted by. Without, none is missed.
    min_positives : int
        Where some images have no label and no category has this many that do, the target network's
        own winner takes the label's place in all of them: *pseudo-positives*.
    n_threads : int
        Each thread takes its own targets; the sums do not depend on how many there are.
    device : str, optional
        As `neuraldeps.devices.check_device` knows them: PyTorch judges there, on one thread where it
        is a CPU. Without, compiled loops do, on `n_threads`. Counts are equal and sums within 1e-12
        of each other, unless a rounding decides whether an error is beyond a bound or a logit wins.

    Returns
    -------
    Evaluation
        For every target and candidate: errors |g_i - w.f| over all and over positive images,
        and how many images are right when g_i is replaced by w.f and the rest left. Targets that
        are masked have NaN for errors.

    Raises
    ------
    StoreError
        If a logit is not finite, or damaged.
    InputError
        As `check_device`, before any work.

    Notes
    -----
    Memory: a shard of both stores and `ROWS` images twice, three times with several threads, whatever
    the number of images; that of a device is in `ScoringOnDevice`.

    References
    ----------
    "Neural Dependencies Emerging from Learning Massive Categories", CVPR 2023, Sec. 2.1, Table 1.
    """
    n_targets = len(candidates.targets)
    scale = np.full(n_targets, np.inf) if scale is None else scale
    allowed = np.asarray(scale, float)[:, np.newaxis] * np.array(EPSILON)
    labelled = np.bincount(label[label >= 0], minlength=1)
    pseudo_positives = bool((label < 0).any() and labelled.max() < min_positives)
    sums, original_correct, n_labelled = (
        _add_on_threads(source, target, candidates, allowed, label, pseudo_positives, n_threads)
        if device is None
        else _add_on_device(source, target, candidates, allowed, label, pseudo_positives, device)
    )
    sums.correct[:] += original_correct
    _leave_out(sums, np.isin(candidates.targets, target.masked), original_correct)
    return Evaluation(sums, original_correct, len(label), n_labelled, pseudo_positives)


def _add_on_threads(
    source: Logits,
    target: Logits,
    candidates: Candidates,
    allowed: np.ndarray,
    label: np.ndarray,
    pseudo_positives: bool,
    n_threads: int,
) -> tuple[Sums, int, int]:
    """Sums over all images, those that the network gets right, and those that have a label."""
    sums = Sums.zeros(len(candidates.targets), candidates.n_solutions)
    cuts = np.linspace(0, len(candidates.targets), 4 * n_threads + 1).astype(int)
    original_correct = n_labelled = 0
    chunks = (
        _chunk(f, g, None if pseudo_positives else given)
        for f, g, given in _read(source, target, label)
    )
    with ThreadPoolExecutor(n_threads) as pool:
        for chunk in _ahead(chunks) if n_threads > 1 else chunks:
            jobs = [
                pool.submit(_add_targets, chunk, candidates, allowed, sums, begin, end)
                for begin, end in pairwise(cuts)
            ]
            for job in jobs:
                job.result()
            original_correct += int((chunk.top == chunk.label).sum())
            n_labelled += int((chunk.label >= 0).sum())
    return sums, original_correct, n_labelled


def _add_on_device(
    source: Logits,
    target: Logits,
    candidates: Candidates,
    allowed: np.ndarray,
    label: np.ndarray,
    pseudo_positives: bool,
    device: str,
) -> tuple[Sums, int, int]:
    """The same by PyTorch, which is imported here alone."""
    from neuraldeps.dependencies.scoring_on_device import ScoringOnDevice, at_once

    scoring = ScoringOnDevice(
        *(device, candidates, allowed),
        n_source=source.shape[1],
        n_target=target.shape[1],
        n_samples=len(label),
        n_read=at_once(target.rows_at_once)[0],
    )
    original_correct = n_labelled = 0
    pieces = _read(source, target, label, at_once=at_once, device=device)
    with one_torch_thread(device):
        for f, g, given in _ahead(pieces):
            right, labelled = scoring.add(f, g, None if pseudo_positives else given)
            original_correct += right
            n_labelled += labelled
    return scoring.result(), original_correct, n_labelled


def _leave_out(sums: Sums, masked: np.ndarray, original_correct: int) -> None:
    """Nothing is predicted of masked targets: they have no error, and no logit is replaced."""
    for total in (sums.error, sums.error_positive, sums.size, sums.size_positive):
        total[masked] = np.nan
    sums.correct[masked] = original_correct
    sums.correct_positive[masked] = sums.original_correct_positive[masked, None]
