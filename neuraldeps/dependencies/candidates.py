"""Sparse predictors of logits, as the evaluation goes through them."""

from typing import NamedTuple

import numpy as np


class Candidates(NamedTuple):
    """Sparse predictors of each target's logit, several per target, in compressed rows.

    Attributes
    ----------
    targets : ndarray of int64, shape (T,)
        Target categories.
    n_solutions : int
        Predictors per target, M. Row `t * M + m` is predictor m of target t.
    indptr : ndarray of int64, shape (T * M + 1,)
    support : ndarray of int32
        Source categories.
    coef : ndarray of float64
    """

    targets: np.ndarray
    n_solutions: int
    indptr: np.ndarray
    support: np.ndarray
    coef: np.ndarray

    @classmethod
    def from_padded(
        cls, targets: np.ndarray, support: np.ndarray, coef: np.ndarray
    ) -> "Candidates":
        """Compress `support` (T, M, S), padded with -1, and `coef` of the same shape.

        Parameters
        ----------
        targets : ndarray of int, shape (T,)
            Target categories.
        support : ndarray of int, shape (T, M, S)
            Sources, padded with -1.
        coef : ndarray, shape (T, M, S), float64
            Their coefficients.

        Returns
        -------
        Candidates
            Of M predictors per target.
        """
        taken = support >= 0
        indptr = np.concatenate([[0], np.cumsum(taken.sum(axis=-1).ravel())]).astype(np.int64)
        return cls(
            np.asarray(targets, np.int64),
            support.shape[1],
            indptr,
            support[taken].astype(np.int32),
            coef[taken].astype(np.float64),
        )

    @classmethod
    def concatenate(cls, parts: "list[Candidates]") -> "Candidates":
        """Put the predictors of several sets for the same targets side by side.

        Parameters
        ----------
        parts : list of Candidates
            Each for the same targets.

        Returns
        -------
        Candidates
            All predictors of a target, in the order of the parts.
        """
        lengths = [
            np.diff(part.indptr).reshape(len(part.targets), part.n_solutions) for part in parts
        ]
        starts = [part.indptr[:-1].reshape(len(part.targets), part.n_solutions) for part in parts]
        offsets = np.cumsum([0, *(len(part.support) for part in parts[:-1])])
        length = np.concatenate(lengths, axis=1)
        start = np.concatenate(
            [one + offset for one, offset in zip(starts, offsets, strict=True)], axis=1
        ).ravel()
        indptr = np.concatenate([[0], np.cumsum(length.ravel())]).astype(np.int64)
        take = np.repeat(start - indptr[:-1], length.ravel()) + np.arange(indptr[-1])
        return cls(
            parts[0].targets,
            length.shape[1],
            indptr,
            np.concatenate([part.support for part in parts])[take],
            np.concatenate([part.coef for part in parts])[take],
        )
