"""What a judgement adds up over images, whatever adds it up."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

EPSILON = (0.05, 0.10, 0.20)  # Definition 1's eps, as a share of the logit's size


class Sums(NamedTuple):
    """What one pass adds up for T targets and M predictors each; float64 sums, exact counts.

    Attributes
    ----------
    error, error_positive : ndarray of float64, shape (T, M)
        Sum of |g_i - w.f| over all images, and over the positive images of the target, logits.
    missed, missed_positive : ndarray of int64, shape (T, M, len(EPSILON))
        Images whose logit is missed by more than each `EPSILON`: of the target's scale over all
        images, of the logit itself over the positive ones.
    correct, correct_positive : ndarray of int64, shape (T, M)
        Images whose label wins when g_i is replaced by w.f, over the same populations.
    size, size_positive : ndarray of float64, shape (T,)
        Sum of |g_i| over the same populations, logits.
    n_positive, original_correct_positive : ndarray of int64, shape (T,)
        Positive images, and those that the network itself gets right.
    """

    error: np.ndarray
    error_positive: np.ndarray
    missed: np.ndarray
    missed_positive: np.ndarray
    correct: np.ndarray
    correct_positive: np.ndarray
    size: np.ndarray
    size_positive: np.ndarray
    n_positive: np.ndarray
    original_correct_positive: np.ndarray

    @classmethod
    def zeros(cls, n_targets: int, n_solutions: int) -> "Sums":
        """Nothing added yet.

        Parameters
        ----------
        n_targets, n_solutions : int
            T and M.

        Returns
        -------
        Sums
            All zero.
        """
        one, each = (n_targets,), (n_targets, n_solutions)
        by_epsilon = (*each, len(EPSILON))
        return cls(
            error=np.zeros(each),
            error_positive=np.zeros(each),
            missed=np.zeros(by_epsilon, np.int64),
            missed_positive=np.zeros(by_epsilon, np.int64),
            correct=np.zeros(each, np.int64),
            correct_positive=np.zeros(each, np.int64),
            size=np.zeros(one),
            size_positive=np.zeros(one),
            n_positive=np.zeros(one, np.int64),
            original_correct_positive=np.zeros(one, np.int64),
        )


@dataclass(frozen=True)
class Evaluation:
    """Sums over all images with the counts that make means of them.

    Attributes
    ----------
    sums : Sums
    original_correct : int
        Images that the target network itself gets right.
    n_samples, n_labelled : int
    pseudo_positives : bool
        Whether too few images have a label, so that the network's own winner stands for it.
    """

    sums: Sums
    original_correct: int
    n_samples: int
    n_labelled: int
    pseudo_positives: bool
