"""Whether two networks differ by more than the choice of images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import binomtest

from neuraldeps.arms import CONTROL
from neuraldeps.robustness.detection import OOD_METRICS, Ranking


def bootstrap_differences(
    measured: Sequence[xr.Dataset], n_bootstrap: int, seed: int
) -> dict[tuple[str, str], np.ndarray]:
    """Differences of every arm from the control over resampled images, in percent.

    Images with a label, and those out of distribution, are drawn with replacement, each group to its
    own size, the same draw for all arms and seeds; a difference is the mean over the seeds. Images are
    drawn as if they were independent, whatever category they are of.

    Parameters
    ----------
    measured : sequence of xarray.Dataset
        One network's measures per seed, all over the same images.
    n_bootstrap : int
        Resamples of the images.
    seed : int
        Of all that is drawn.

    Returns
    -------
    dict of (arm, metric) to ndarray, shape (n_bootstrap,)

    References
    ----------
    Efron and Tibshirani. An Introduction to the Bootstrap. 1993, Chapter 13 (percentile interval).
    """
    rng = np.random.default_rng(seed)
    arms = [str(arm) for arm in measured[0]["arm"].values]
    measured = [labelled_images(one) for one in measured]
    inside = np.flatnonzero(np.isfinite(measured[0]["anomaly_score"].values[0]))
    is_right = np.stack([right_images(one) for one in measured])
    n, n_outside = measured[0].sizes["sample"], measured[0].sizes["ood_sample"]
    rankings = [
        [
            Ranking.of(
                one["anomaly_score"].values[arm, inside], one["ood_anomaly_score"].values[arm]
            )
            for arm in range(len(arms))
        ]
        for one in measured
    ]
    control = arms.index(CONTROL)
    drawn = np.empty((n_bootstrap, len(arms), 1 + len(OOD_METRICS)))
    for draw in range(n_bootstrap):
        weight = np.bincount(rng.integers(n, size=n), minlength=n)
        outside = np.bincount(rng.integers(n_outside, size=n_outside), minlength=n_outside)
        both = np.r_[weight[inside], outside].astype(float)
        areas = np.array([[[*one.areas(both).values()] for one in row] for row in rankings])
        right = is_right @ weight / n
        values = np.concatenate([right[:, :, None], areas], axis=2).mean(axis=0)
        drawn[draw] = 100 * (values - values[control])
    return {
        (arm, metric): drawn[:, a, m]
        for a, arm in enumerate(arms)
        for m, metric in enumerate(("acc", *OOD_METRICS))
    }


def mcnemar(is_right: np.ndarray, control: np.ndarray) -> float:
    """Exact McNemar test of two networks on the same images: the binomial test of who alone is right.

    It treats the images as independent, whatever their category.

    Parameters
    ----------
    is_right, control : ndarray of bool, shape (image,)
        Whether each image is right.

    Returns
    -------
    float
        Two-sided p; 1 where they never differ.

    References
    ----------
    McNemar, Q. "Note on the sampling error of the difference between correlated proportions".
    Psychometrika 12, 1947.

    Examples
    --------
    >>> mcnemar(np.array([True, True, True, False]), np.array([False, False, False, False]))
    0.25
    """
    gained = int(np.count_nonzero(is_right & ~control))
    lost = int(np.count_nonzero(control & ~is_right))
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def labelled_images(measured: xr.Dataset) -> xr.Dataset:
    """Only the test images that have a label: the others are in no accuracy and no area.

    Parameters
    ----------
    measured : xarray.Dataset
        Robustness store.

    Returns
    -------
    xarray.Dataset
        The same with fewer samples.
    """
    return measured.isel(sample=measured["label"].values >= 0)


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust the p of several tests for their number: below a level, all rejections hold at once.

    Parameters
    ----------
    p : ndarray of float64
        NaN where nothing was tested.

    Returns
    -------
    ndarray of float64

    References
    ----------
    Holm, S. "A simple sequentially rejective multiple test procedure". Scandinavian Journal of
    Statistics 6, 1979.

    Examples
    --------
    >>> holm(np.array([0.5, 0.25, np.nan])).tolist()
    [0.5, 0.5, nan]
    """
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p, axis=None)[: np.count_nonzero(np.isfinite(p))]
    times = np.arange(len(order), 0, -1)
    adjusted.flat[order] = np.minimum(np.maximum.accumulate(p.flat[order] * times), 1)
    return adjusted


def right_images(measured: xr.Dataset) -> np.ndarray:
    """Whether each arm's winner is the label (arm, sample); never where there is no label.

    Parameters
    ----------
    measured : xarray.Dataset
        Robustness store.

    Returns
    -------
    ndarray of bool, shape (arm, sample)
        True where it is right.
    """
    position = pd.Index(measured["source_category"].values).get_indexer(measured["label"].values)
    return measured["predicted"].values == np.where(position >= 0, position, -2)
