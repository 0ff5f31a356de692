"""The judgement of dependencies as a labelled dataset: errors and accuracies on every split."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from neuraldeps.dependencies.candidates import Candidates
from neuraldeps.dependencies.covlasso import cross_moment
from neuraldeps.dependencies.scoring import EPSILON, Evaluation, evaluate
from neuraldeps.devices import check_device
from neuraldeps.errors import StoreError
from neuraldeps.estimators import ESTIMATORS, WITH_PENALTY, Solutions, Solved
from neuraldeps.logits.store import Logits, LogitsFile, check_partners, labels_of
from neuraldeps.stores import fingerprint, map_array, open_store, provenance, strings
from neuraldeps.stores.layouts import EVALUATION

# the estimators that have solutions along each axis, and the dimension that names them
ALONG = {"support_size": list(ESTIMATORS), "penalty": WITH_PENALTY}
NAMED = {"support_size": "estimator", "penalty": "estimator_at_penalty"}


def evaluate_dependencies(
    paths: str,
    subsets: str,
    within: str,
    pair: str,
    logits: Mapping[str, tuple[str, str]],
    *,
    dataset: str,
    min_positives: int = 1,
    n_threads: int = 1,
    device: str | None = None,
) -> xr.Dataset:
    """Judge every estimator's solutions of a pair on the images of each split.

    Parameters
    ----------
    paths, subsets : str
        Stores of CovLasso's paths and of the best subsets.
    within, pair : str
        Moment stores of the source network and of the pair.
    logits : mapping of split to (source, target)
        Logits stores.
    dataset : str
        Name of the data set, for the attributes.
    min_positives : int
        Labelled images that at least one category needs in a split of which some images have no
        label; otherwise that split is judged on pseudo-positives, as `evaluate` says.
    n_threads : int
        Threads; no number depends on it.
    device : str, optional
        As `neuraldeps.dependencies.scoring.evaluate` takes it.

    Returns
    -------
    xarray.Dataset
        Errors in logits, relative errors and accuracies as fractions, along `split`, `estimator`
        (`ESTIMATORS`), `target_category` and `support_size`; those that end in `_at_penalty` along
        `estimator_at_penalty` and `penalty`, NaN where the solution was not certified. `delta` and
        `delta_positive` are Definition 1's, along `epsilon` too: the share of the images whose
        logit is missed by more than epsilon times the target's root mean square over the images
        that dependencies were fitted on, and of the category's own images whose logit is missed by
        more than epsilon times itself.

    Raises
    ------
    StoreError
        If the logits are not over the same images and categories as what was solved.
    InputError
        As `check_device`, before any work.
    """
    check_device(device)
    solved, found = open_store(paths).load(), open_store(subsets).load()
    for sides in logits.values():
        _check_images(solved, sides, paths)
    centering, source = (solved.attrs[key] for key in ("centering", "source"))
    images = {
        split: Images(LogitsFile(f, centering), LogitsFile(g, centering), labels_of(g))
        for split, (f, g) in logits.items()
    }
    gram, cross = map_array(within, "second_moment"), cross_moment(pair, source)
    how: dict[str, Any] = {
        "min_positives": min_positives,
        "n_threads": n_threads,
        "device": device,
    }
    judged = judge(solved, found, gram, cross, images, **how)
    inputs = {"paths": paths, "subsets": subsets, "within": within, "pair": pair}
    for split, sides in logits.items():
        inputs |= {f"{split} source": sides[0], f"{split} target": sides[1]}
    config = {"splits": list(logits), "min_positives": min_positives}
    judged.attrs = _attributes(judged.attrs, inputs, config, dataset)
    return judged


class Images(NamedTuple):
    """The logits of two networks over the images of one split, and the images' categories."""

    source: Logits
    target: Logits
    label: np.ndarray  # -1 where there is none


def judge(
    solved: xr.Dataset,
    found: xr.Dataset,
    gram: np.ndarray,
    cross: np.ndarray,
    images: Mapping[str, Images],
    *,
    min_positives: int = 1,
    n_threads: int = 1,
    device: str | None = None,
) -> xr.Dataset:
    """Judge what was solved of a pair on logits in files or in memory.

    Parameters
    ----------
    solved, found : xarray.Dataset
        CovLasso's paths and the best subsets.
    gram, cross : ndarray, float64
        Second moment of the source network, and E[f g^T] of the pair, squared logits.
    images : mapping of split to Images
        Logits and labels.
    min_positives, n_threads, device
        As in `evaluate_dependencies`.

    Returns
    -------
    xarray.Dataset
        As `evaluate_dependencies`, without what stores say of where they are from.
    """
    solutions = _solutions(solved, found, gram, cross)
    candidates = Candidates.concatenate(
        [
            Candidates.from_padded(solved["target_category"].values, one.support, one.coef)
            for axis in ALONG
            for one in solutions[axis]
        ]
    )
    results = {
        split: evaluate(
            of.source,
            of.target,
            candidates,
            of.label,
            scale=np.sqrt(solved["target_second_moment"].values),
            min_positives=min_positives,
            n_threads=n_threads,
            device=device,
        )
        for split, of in images.items()
    }
    alpha, alpha_max = solved["alpha_at_support_size"], solved["alpha_max"].values[:, None]
    measures = _measures(results, n_sizes=solved.sizes["support_size"])
    uncertified = np.isnan(solved["dual_gap_at_penalty"].values)
    for name in (name for name in measures if name.endswith("_at_penalty")):
        measures[name][:, :, uncertified] = np.nan
    variables: dict[str, Any] = {
        "alpha_at_penalty": solved["alpha_at_penalty"],
        "support_size_at_penalty": solved["support_size_at_penalty"],
        "alpha": alpha,
        "relative_alpha": ratio(alpha.values, alpha_max),
        "support": np.stack([one.support for one in solutions["support_size"]]),
        "coef": np.stack([one.coef for one in solutions["support_size"]]),
        "target_second_moment": solved["target_second_moment"],
        "source_second_moment": np.diagonal(gram).copy(),
        **measures,
    }
    coords = dict(solved.coords) | {
        "split": strings(list(images)),
        **{NAMED[axis]: strings(names) for axis, names in ALONG.items()},
        "epsilon": np.array(EPSILON),
    }
    attrs = {name: solved.attrs[name] for name in ("source", "target", "centering")}
    attrs["positives"] = {
        split: "pseudo-positives (the target network's own top-1)"
        if result.pseudo_positives
        else "labelled"
        for split, result in results.items()
    }
    return EVALUATION.dataset(variables, coords, attrs)


def _attributes(
    judged: Mapping[str, Any],
    inputs: Mapping[str, str],
    config: Mapping[str, Any],
    dataset: str,
) -> dict[str, Any]:
    """What was evaluated, from what, and by whose labels."""
    source, target, centering = (judged[key] for key in ("source", "target", "centering"))
    return {
        "source": source,
        "target": target,
        "centering": centering,
        "dataset": dataset,
        "positives": judged["positives"],
        **provenance(
            "evaluate_dependencies",
            f"Dependencies of {target} on {source}, judged",
            config=config,
            sources={role: fingerprint(path) for role, path in inputs.items()},
            packages=("numba",),
        ),
    }


def _solutions(
    solved: xr.Dataset, found: xr.Dataset, gram: np.ndarray, cross: np.ndarray
) -> dict[str, list[Solutions]]:
    """Every estimator's solutions along each axis."""
    targets = solved["target_category"].values
    best = Solutions(found["support"].values.astype(np.int32), found["coef"].values)
    taken = {}
    for axis, names in ALONG.items():
        support = solved[f"support_at_{axis}"].values.astype(np.int32)
        covlasso = Solutions(support, solved[f"coef_at_{axis}"].values)
        given = Solved(gram, cross, targets, covlasso, best if axis == "support_size" else None)
        taken[axis] = [ESTIMATORS[name].solutions(given) for name in names]
    return taken


def _check_images(solved: xr.Dataset, sides: tuple[str, str], paths: str) -> None:
    """Refuse logits over other images than each other's, or other categories than were solved."""
    source, target = stores = [open_store(path) for path in sides]
    if sides[0] != sides[1]:
        check_partners(source, target, sides)
    for role, store, path in zip(("source", "target"), stores, sides, strict=True):
        codes, known = f"{role}_category_code", "category_code"
        if codes not in solved.coords or known not in store.coords:
            continue
        theirs = store[known].values[solved[f"{role}_category"].values]
        different = np.flatnonzero(theirs != solved[codes].values)
        if different.size:
            at = int(different[0])
            raise StoreError(
                f"{path}: category {at} is {theirs[at]} where {paths} has {solved[codes].values[at]}; "
                "bring the categories of all splits into the same order"
            )


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, NaN where there is nothing to divide by.

    Parameters
    ----------
    numerator : ndarray
        Sums or counts.
    denominator : ndarray
        Of a shape that fits the numerator's.

    Returns
    -------
    ndarray, float64
        Of the numerator's shape.
    """
    denominator = np.broadcast_to(np.asarray(denominator, float), np.shape(numerator))
    out = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)


def _measures(results: Mapping[str, Evaluation], n_sizes: int) -> dict[str, np.ndarray]:
    """Means and fractions, those along sizes and those along penalties (`ALONG`)."""
    every = list(results.values())
    measures = [means(result) for result in every]
    variables: dict[str, np.ndarray] = {}
    # a target's predictors: each estimator's along the sizes, then each one's along the penalties
    cut = len(ALONG["support_size"]) * n_sizes
    for name in measures[0]:
        values = np.stack([measure[name] for measure in measures])
        for axis, part, suffix in (
            ("support_size", values[:, :, :cut], ""),
            ("penalty", values[:, :, cut:], "_at_penalty"),
        ):
            n_names = len(ALONG[axis])
            shape = (*part.shape[:2], n_names, part.shape[2] // n_names, *part.shape[3:])
            variables[name + suffix] = np.moveaxis(part.reshape(shape), 2, 1)
    own = [ratio(r.sums.original_correct_positive, r.sums.n_positive) for r in every]
    return variables | {
        "original_accuracy": np.array([r.original_correct / r.n_labelled for r in every]),
        "original_positive_accuracy": np.stack(own),
        "n_samples": np.array([r.n_samples for r in every]),
        "n_labelled": np.array([r.n_labelled for r in every]),
        "n_positive": np.stack([r.sums.n_positive for r in every]),
    }


def means(result: Evaluation) -> dict[str, np.ndarray]:
    """Means and shares of what one pass added up.

    Parameters
    ----------
    result : Evaluation
        Of T targets with M predictors each.

    Returns
    -------
    dict of str to ndarray
        Errors and accuracies (T, M), and Definition 1's deltas (T, M, epsilon); NaN where there is
        no image to take a mean over.
    """
    sums = result.sums
    positive = sums.n_positive[:, None]
    masked = np.isnan(sums.error)[..., np.newaxis]
    return {
        "absolute_error_positive": ratio(sums.error_positive, positive),
        "relative_error_positive": ratio(sums.error_positive, sums.size_positive[:, None]),
        "absolute_error": sums.error / result.n_samples,
        "relative_error": ratio(sums.error, sums.size[:, None]),
        "accuracy": ratio(sums.correct, np.array(result.n_labelled)),
        "positive_accuracy": ratio(sums.correct_positive, positive),
        "delta": np.where(masked, np.nan, sums.missed / result.n_samples),
        "delta_positive": np.where(
            masked, np.nan, ratio(sums.missed_positive, positive[..., None])
        ),
    }
