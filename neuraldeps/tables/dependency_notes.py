"""What a reader of Table 1 and of its distribution has to know."""

from collections.abc import Sequence

import xarray as xr

from neuraldeps.estimators import ESTIMATORS
from neuraldeps.tables.dependencies import is_pseudo


def _image_notes(evaluations: Sequence[xr.Dataset], fit: str, test: str) -> list[str]:
    """What the images lack: labels, all or some, or numbers."""
    notes = []
    if any(is_pseudo(one, test) for one in evaluations):
        notes.append(
            f"The images of the split {test} have no labels, or too few (tables.table1.min_positives). Pseudo-positives: the images whose top-1 "
            "under the target network itself is the category; own top-1 kept: the images whose top-1 stays "
            "what it was when this one logit is replaced. Neither is an accuracy."
        )
    if fit != test and any(is_pseudo(one, fit) for one in evaluations):
        notes.append(
            f"The images of the split {fit} have no labels, or too few: a case is the best on its pseudo-positives there, "
            "the images whose top-1 under the target network itself is the category."
        )
    for split in dict.fromkeys((fit, test)):
        some = next((one.sel(split=split) for one in evaluations if "n_labelled" in one), None)
        if some is not None and some["n_labelled"] < some["n_samples"]:
            notes.append(
                f"Of {int(some['n_samples'])} images of the split {split} {int(some['n_labelled'])} have a "
                "label; accuracies, and all that is over the images of a category, are over these alone."
            )
    counts = {int(one["n_samples"].sel(split=fit)) for one in evaluations if "n_samples" in one}
    n_categories = max(one.sizes["target_category"] for one in evaluations)
    if counts and min(counts) < n_categories:
        notes.append(
            f"Warning: the split {fit} has {min(counts)} images, fewer than the {n_categories} "
            "categories. The second moment's rank is at most that, enough categories fit any logit "
            "exactly, and a dependency may be of these images and not of the networks."
        )
    return notes


def table1_notes(
    evaluations: Sequence[xr.Dataset],
    fit: str,
    test: str,
    *,
    support_size: Sequence[int],
    choose_by: str,
    min_positives: int,
    with_paper: bool,
) -> list[str]:
    """What a reader of Table 1 has to know before comparing its numbers with anything.

    Parameters
    ----------
    evaluations : sequence of xarray.Dataset
        Evaluation stores, one per ordered pair.
    fit, test : str
        The splits that dependencies were fitted and are judged on.
    support_size : sequence of two int
        Smallest and largest number of sources of a case.
    choose_by : str
        The estimator whose error chose.
    min_positives : int
        Images that a category needed to be chosen.
    with_paper : bool
        Whether the paper's rows are shown.

    Returns
    -------
    list of str
        One note each.
    """
    centering = ", ".join(sorted({str(one.attrs["centering"]) for one in evaluations}))
    estimators = "; ".join(f"{name}: {one.meaning}" for name, one in ESTIMATORS.items())
    notes = [
        f"Fitted and chosen on the split {fit}, reported on the split {test}. Size counts the categories that are "
        f"really in the dependency; alpha is scikit-learn's (lambda = 2 alpha). {estimators}. A case "
        f"that tables.table1.cases does not name is the best of all categories with at least {min_positives} "
        f"images in each split: the smallest relative error of {choose_by}, on its images in the split {fit}.",
        "The paper's method is CovLasso, lasso here, and its Table 1 is laid beside that row alone. It "
        "solves at one penalty: alpha 0.25 for Swin-T, 2.5 for the other networks. Here lasso and refit are at the "
        f"last point of the exact path with at most as many categories as subset has, {_span(support_size)}, at whatever "
        "alpha that is, also where a row of the paper's stands below them. table1_distribution has all categories at "
        "the penalties of covlasso.alpha.",
        "abs err (logits) and rel err are means over the images of the target category. The paper "
        "does not say so: we infer it, because its abs err / rel err gives the size of the right "
        "class's logit. Over all images the target's logit is near zero and the relative error says "
        "another thing; both populations are given.",
        "acc is the accuracy over all images with this one logit replaced: it can hardly move by "
        "construction. Error and accuracy on the images of the category are the evidence.",
        "Sparse is relative: one chosen case says little about the others (table1_distribution has "
        "them all), and a few categories that are easy to read may leave much of the logit "
        "unexplained. A small error is not yet a working dependency: where most of it is one "
        "look-alike, the look-alike wins and the accuracy on positives falls.",
        f"Logits: centering {centering}. The problem sees a constant added to all logits of an image, softmax "
        "does not; neither alpha nor the error over all images compares networks.",
    ]
    notes += _image_notes(evaluations, fit, test)
    if with_paper:
        notes.append(
            "Rows named paper: its Table 1. Its acc is no known metric (one network has two original "
            "values) and is not comparable."
        )
    return notes


def _span(support_size: Sequence[int]) -> str:
    lowest, highest = support_size
    return f"{lowest}" if lowest == highest else f"{lowest} to {highest}"


def distribution_notes(
    test: str, evaluations: Sequence[xr.Dataset] = (), fit: str = "fit"
) -> list[str]:
    """What the rows of the distribution are.

    Parameters
    ----------
    test : str
        The split that judges.
    evaluations : sequence of xarray.Dataset
        Evaluation stores, one per ordered pair.
    fit : str
        The split that dependencies were fitted on.

    Returns
    -------
    list of str
        One note each.
    """
    return [
        *(_image_notes(evaluations, fit, test) if evaluations else []),
        f"Split {test}, over all categories that have images there. Errors are relative to the "
        "target's logit, over the images of the category; pos acc drop is the original accuracy on "
        "these images less the one with the logit replaced.",
        "Support size k: for lasso and refit the last point of the path before more than k categories "
        "enter, for subset the best at most k categories. Median size counts the categories that are "
        "really there.",
    ]
