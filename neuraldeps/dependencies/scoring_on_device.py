"""The judgement of `scoring` by PyTorch: the same sums, a block of predictors at a time.

A prediction is the sum of its sources in the order of `scoring`, so that logits which are equal there
are equal here.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuraldeps.dependencies.candidates import Candidates
from neuraldeps.dependencies.sums import EPSILON, Sums
from neuraldeps.devices import check_device

ROWS = 4096  # most images at once, but for one shard that is read whole
BLOCK_BYTES = 2**26  # of one float64 array (predictors, images)
STRIDE = 4  # supports are padded to a multiple of this: few sizes to compile for
# sources of all predictors times images from which on blocks are compiled, once per process: derived,
# 90 bytes moved for each make about a minute at 3 TB/s, and compiling is of that order
COMPILED_FROM = 2e12
UNROLLED = 64  # most sources of a block that is compiled: its loop over them is written out


def at_once(shard: int) -> tuple[int, int]:
    """How many images are read, and how many of those are judged, at once.

    Parameters
    ----------
    shard : int
        Images of a shard.

    Returns
    -------
    tuple of int
        Whole shards, so many that they are nearly `ROWS`; and equal parts of at most `ROWS`.

    Examples
    --------
    >>> at_once(384), at_once(8388)
    ((3840, 3840), (8388, 2796))
    """
    step = shard * max(1, ROWS // shard)
    return step, -(-step // -(-step // ROWS))


class _Block(NamedTuple):
    """K predictors of about the same support size, padded with sources of weight zero."""

    at: Tensor  # (K,) t * M + m
    category: Tensor  # (K, 1) target
    support: Tensor  # (S, K)
    coef: Tensor  # (S, K, 1)
    allowed: Tensor  # (K, epsilon)


class _Images(NamedTuple):
    """Some images, category-major, with what the arg-max needs of each."""

    source: Tensor  # (source categories, rows)
    target: Tensor  # (target categories, rows)
    label: Tensor  # (rows,)
    top: Tensor  # (rows,) the winner
    first: Tensor  # (rows,) its logit
    runner_up: Tensor  # (rows,)
    second: Tensor  # (rows,) its logit


class _Found(NamedTuple):
    """What one block of predictors adds up over some images, as `Sums` names it."""

    error: Tensor  # (K,)
    error_positive: Tensor
    missed: Tensor  # (K, epsilon)
    missed_positive: Tensor
    correct: Tensor  # (K,)
    correct_positive: Tensor


class ScoringOnDevice:
    """Sums over images that are handed over a piece at a time.

    Parameters
    ----------
    device : str
        As `neuraldeps.devices.check_device` knows them.
    candidates : Candidates
        Of T targets, M predictors each.
    allowed : ndarray, shape (T, epsilon), float64
        Errors beyond which a logit counts as missed.
    n_source, n_target, n_samples : int
        Categories of both networks, and images that will come in all.
    n_read : int
        Images that are read at once.

    Raises
    ------
    InputError
        As `check_device`, before any work.

    Notes
    -----
    Memory of the device, at most, whatever the number of images: of both networks what is read at
    once twice (a part is read while another is judged) and `ROWS` images four times, in float64; 16
    bytes for every source of every predictor (padded to `STRIDE`), 128 for every predictor; and twelve
    arrays of `BLOCK_BYTES`.
    """

    def __init__(
        self,
        device: str,
        candidates: Candidates,
        allowed: np.ndarray,
        *,
        n_source: int,
        n_target: int,
        n_samples: int,
        n_read: int = ROWS,
    ) -> None:
        length = np.diff(candidates.indptr)
        padded = -(-length // STRIDE) * STRIDE
        images = 2 * max(n_read, ROWS) + 4 * ROWS
        predictors = 16 * int(padded.sum()) + 128 * len(padded)
        needed = 8 * images * (n_source + n_target) + predictors + 12 * BLOCK_BYTES
        check_device(device, needed)
        self.device = device
        self.targets = torch.from_numpy(np.ascontiguousarray(candidates.targets)).to(device)
        self.blocks = list(_blocks(candidates, allowed, length, padded, device))
        zeros = Sums.zeros(len(candidates.targets), candidates.n_solutions)
        self.sums = {
            name: torch.from_numpy(one).to(device) for name, one in zeros._asdict().items()
        }
        is_long = len(candidates.support) * n_samples >= COMPILED_FROM
        self.judge = _compiled() if is_long else _judge

    def add(self, f: Tensor, g: Tensor, label: np.ndarray | None) -> tuple[int, int]:
        """Add some images.

        Parameters
        ----------
        f, g : Tensor, shape (rows, categories)
            Logits on the device, one tensor where they are the same.
        label : ndarray of int, shape (rows,), or None
            Category of each image, -1 where there is none; of none the winners take their place.

        Returns
        -------
        tuple of int
            Images that the target network gets right, and that have a label.
        """
        images = _arrange(f, g, label)
        own = images.label == self.targets[:, None]
        size = images.target[self.targets].abs()
        sums = self.sums
        sums["size"].add_(size.sum(dim=1, dtype=torch.float64))
        sums["size_positive"].add_(torch.where(own, size, 0.0).sum(dim=1, dtype=torch.float64))
        sums["n_positive"].add_(own.sum(dim=1))
        right = own & (images.top == images.label)
        sums["original_correct_positive"].add_(right.sum(dim=1))
        for block in self.blocks:
            truth = images.target[block.category[:, 0]]
            judge = self.judge if len(block.support) <= UNROLLED else _judge
            found = judge(images, truth, *block[1:])
            for name, part in found._asdict().items():
                sums[name].flatten(0, 1)[block.at] += part
        return int((images.top == images.label).sum()), int((images.label >= 0).sum())

    def result(self) -> Sums:
        """What has been added up.

        Returns
        -------
        Sums
            As NumPy arrays.
        """
        return Sums(**{name: one.cpu().numpy() for name, one in self.sums.items()})


def _blocks(
    candidates: Candidates,
    allowed: np.ndarray,
    length: np.ndarray,
    padded: np.ndarray,
    device: str,
) -> Iterable[_Block]:
    """Predictors by support size, `BLOCK_BYTES` of predictions at a time."""
    most = max(1, BLOCK_BYTES // (8 * ROWS))
    for size in np.unique(padded):
        alike = np.flatnonzero(padded == size)
        for begin in range(0, len(alike), most):
            at = alike[begin : begin + most]
            support = np.zeros((size, len(at)), np.int64)
            coef = np.zeros((size, len(at)))
            place = np.arange(size)[:, np.newaxis]
            taken = place < length[at]
            entry = (candidates.indptr[at] + place)[taken]
            support[taken], coef[taken] = candidates.support[entry], candidates.coef[entry]
            t = at // candidates.n_solutions
            category = candidates.targets[t][:, np.newaxis]
            arrays = (at, category, support, coef[..., np.newaxis], allowed[t])
            yield _Block(*(torch.from_numpy(one).to(device) for one in arrays))


def _arrange(f: Tensor, g: Tensor, label: np.ndarray | None) -> _Images:
    """Category-major copies; the first of equal logits wins, as in arg-max."""
    target = g.T.contiguous()
    source = target if f is g else f.T.contiguous()
    top = target.argmax(dim=0, keepdim=True)
    first = target.gather(0, top)
    rest = target.scatter(0, top, -torch.inf)
    runner_up = rest.argmax(dim=0, keepdim=True)
    second = rest.gather(0, runner_up)
    truth = top[0] if label is None else torch.from_numpy(label.astype(np.int64)).to(top.device)
    return _Images(source, target, truth, top[0], first[0], runner_up[0], second[0])


def _judge(
    images: _Images,
    truth: Tensor,
    category: Tensor,
    support: Tensor,
    coef: Tensor,
    allowed: Tensor,
) -> _Found:
    """Judge a block of predictors on some images; `truth` (K, rows) are their targets' logits."""
    prediction = torch.zeros(truth.shape, dtype=torch.float64, device=truth.device)
    for s in range(support.shape[0]):
        prediction = prediction + coef[s] * images.source[support[s]]
    truth = truth.to(torch.float64)
    error = (truth - prediction).abs()
    positive = images.label == category
    won = images.top == category
    rival = torch.where(won, images.second, images.first)
    rival_category = torch.where(won, images.runner_up, images.top)
    takes = (prediction > rival) | ((prediction == rival) & (category < rival_category))
    right = torch.where(takes, positive, images.label == rival_category)
    missed = [(error > allowed[:, e, None]).sum(dim=1) for e in range(len(EPSILON))]
    relative = [((error > eps * truth.abs()) & positive).sum(dim=1) for eps in EPSILON]
    return _Found(
        error.sum(dim=1),
        torch.where(positive, error, 0.0).sum(dim=1),
        torch.stack(missed, dim=1),
        torch.stack(relative, dim=1),
        right.sum(dim=1) - (images.top == images.label).sum(),
        (takes & positive).sum(dim=1),
    )


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., _Found]:
    """`_judge` with its loops in one: predictions are never written to memory."""
    # one more for every multiple of `STRIDE`: beyond the limit PyTorch would not compile
    torch._dynamo.config.recompile_limit = 256
    return torch.compile(_judge, dynamic=True)
