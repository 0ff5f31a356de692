"""Winners and anomaly scores of images."""

from collections.abc import Mapping

import numpy as np

from neuraldeps.logits.store import LogitsFile
from neuraldeps.stores import open_store

ROWS = 8192


def measure_scores(
    logits: str, chosen: np.ndarray | None = None, *, rows: int = ROWS
) -> tuple[np.ndarray, np.ndarray]:
    """Winner over all categories and anomaly score -max softmax over the chosen ones.

    Parameters
    ----------
    logits : str
        Logits store.
    chosen : ndarray of int64, optional
        Positions along `category`.
    rows : int
        Images held in memory at a time.

    Returns
    -------
    ndarray, shape (sample,), int32
        Position of the largest logit, the first of equal ones.
    ndarray, shape (sample,), float64
        Between -1 and 0, larger for what looks more out of distribution.
    """
    file, n = LogitsFile(logits), open_store(logits).sizes["sample"]
    winner, score = np.empty(n, np.int32), np.empty(n)
    for first in range(0, n, rows):
        block = slice(first, min(first + rows, n))
        values = file.rows(block.start, block.stop)
        winner[block] = values.argmax(axis=1)
        values = values if chosen is None else values[:, chosen]
        values -= values.max(axis=1, keepdims=True)
        score[block] = -1 / np.exp(values, out=values).sum(axis=1)
    return winner, score


def anomaly_scores(
    stores: Mapping[str, Mapping[str, str]], role: str, chosen: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Winners and anomaly scores (arm, sample).

    Parameters
    ----------
    stores : mapping of str to mapping of str to str
        Logits stores by arm and role.
    role : {"test", "ood"}
        Which images.
    chosen : ndarray of int, optional
        Categories that the softmax is over; default all.

    Returns
    -------
    tuple of ndarray, shape (arm, sample)
        Winners, int32, and -max softmax, float64.
    """
    winner, score = zip(
        *(measure_scores(paths[role], chosen) for paths in stores.values()), strict=True
    )
    return np.stack(winner), np.stack(score)
