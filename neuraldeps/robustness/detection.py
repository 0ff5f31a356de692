"""Out-of-distribution images told by the softmax: anomaly scores and areas under their curves."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def average_precision(hits: np.ndarray, alarms: np.ndarray) -> float:
    """Area under precision over recall as a sum of steps, as scikit-learn's average precision.

    Parameters
    ----------
    hits, alarms : ndarray of float64, shape (distinct score,)
        Images out of and in distribution whose score is at least so high, each with its weight.

    Returns
    -------
    float
        From 0 to 1.
    """
    total, gained = hits + alarms, np.diff(hits, prepend=0.0)
    precision = np.divide(hits, total, out=np.zeros_like(hits), where=total > 0)
    return float(gained @ precision / hits[-1])


def area_under_roc(hits: np.ndarray, alarms: np.ndarray) -> float:
    """Chance that an image out of distribution scores higher than one in it; ties count half.

    Parameters
    ----------
    hits, alarms
        See `average_precision`.

    Returns
    -------
    float
        From 0 to 1.
    """
    gained = np.diff(hits, prepend=0.0)
    under = np.diff(alarms, prepend=0.0) * (hits - gained / 2)
    return float(under.sum() / (hits[-1] * alarms[-1]))


@dataclass(frozen=True)
class OodMetric:
    """One number of how well anomaly scores tell images out of distribution, the positive class.

    Attributes
    ----------
    heading : str
        What tables call it.
    area : callable of (hits, alarms)
        A share between 0 and 1; see `average_precision`.
    format : str
        How tables format it, in percent.
    """

    heading: str
    area: Callable[[np.ndarray, np.ndarray], float]
    format: str = ".2f"


OOD_METRICS = {
    "aupr": OodMetric("AUPR", average_precision),
    "auroc": OodMetric("AUROC", area_under_roc),
}


@dataclass(frozen=True)
class Ranking:
    """Images sorted by anomaly score once, so that a resample costs two running sums.

    Attributes
    ----------
    order : ndarray of int
        Of the images in, then out of distribution, most anomalous first.
    is_outside : ndarray of bool
        In that order.
    last : ndarray of int
        Places of the last image of every distinct score.
    """

    order: np.ndarray
    is_outside: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, inside: np.ndarray, outside: np.ndarray) -> "Ranking":
        """Sort scores; see `ood_areas`.

        Parameters
        ----------
        inside, outside : ndarray, shape (sample,), float64
            Anomaly scores in and out of distribution.

        Returns
        -------
        Ranking
            To be weighted any number of times.
        """
        score = np.r_[inside, outside]
        order = np.argsort(-score, kind="stable")
        last = np.r_[np.flatnonzero(np.diff(score[order])), len(score) - 1]
        return cls(order, order >= len(inside), last)

    def areas(self, weight: np.ndarray) -> dict[str, float]:
        """Every metric of `OOD_METRICS`, each image counted `weight` times.

        Parameters
        ----------
        weight : ndarray, shape (sample,), float64
            Of every image, those in distribution first.

        Returns
        -------
        dict of str to float
            From 0 to 1, by metric.
        """
        sorted_weight = weight[self.order]
        hits = np.cumsum(np.where(self.is_outside, sorted_weight, 0.0))[self.last]
        alarms = np.cumsum(sorted_weight)[self.last] - hits
        return {name: metric.area(hits, alarms) for name, metric in OOD_METRICS.items()}


def ood_areas(inside: np.ndarray, outside: np.ndarray) -> dict[str, float]:
    """Every metric of `OOD_METRICS`, out-of-distribution images being the positive class.

    Parameters
    ----------
    inside, outside : ndarray, float64
        Anomaly scores of the images in and out of distribution, larger for more anomalous.

    Returns
    -------
    dict of str to float

    Examples
    --------
    >>> ood_areas(np.array([-0.9, -0.5]), np.array([-0.6, -0.2]))
    {'aupr': 0.8333333333333333, 'auroc': 0.75}
    """
    return Ranking.of(inside, outside).areas(np.ones(len(inside) + len(outside)))
