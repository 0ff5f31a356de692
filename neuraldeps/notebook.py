"""Dependencies of logits in memory: arrays in, a table and star graphs out, no workflow and no files.

What is solved, judged and drawn here, and how, is what the workflow's jobs do on their stores.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from neuraldeps.categories import categories, find_category
from neuraldeps.dependencies.best_subset import find_subsets
from neuraldeps.dependencies.cases import Case, choose_case, describe_case
from neuraldeps.dependencies.covlasso import solve_paths
from neuraldeps.dependencies.evaluation import Images, judge
from neuraldeps.engines import in_threads
from neuraldeps.errors import InputError
from neuraldeps.estimators import ESTIMATORS
from neuraldeps.logits.arrays import as_labels, check_column, check_logits
from neuraldeps.logits.precision import Cast, masked_columns
from neuraldeps.logits.store import Centering, LogitsArray
from neuraldeps.moments import moments_of
from neuraldeps.stores import strings
from neuraldeps.stores.layouts import BEST_SUBSET, COVLASSO

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FITTED, HELD_OUT = "fitted", "held out"


@dataclass(frozen=True)
class Dependencies:
    """What `find_dependencies` found of every target category.

    Attributes
    ----------
    table : pandas.DataFrame
        A row per target category, which is the index: its `sources`, largest coefficient first, and
        their `coefs`; `error_fitted` and `error_held_out`, the mean of |logit - combination| over
        the mean of |logit|, on the category's own images; `accuracy`, the share of its held-out
        images that are classified rightly, and `accuracy_kept`, the same with its logit replaced
        by the combination. NaN where a category has no image.
    evaluation : xarray.Dataset
        The same and more by every estimator, at every size up to `support_size` and on both sets
        of images, in the layout of the workflow's ``results/dependencies/evaluation/``.
    estimator : str
        Whose dependencies `table` and `star` show.
    support_size : int
        Most sources of a category.
    """

    table: pd.DataFrame
    evaluation: xr.Dataset
    estimator: str
    support_size: int

    def case(self, category: str | int = "auto") -> Case:
        """One category's dependency by every estimator, with all that both sets say of it.

        Parameters
        ----------
        category : str or int
            Name or position of the target; ``auto`` is that of the least error on the images that
            were fitted, where the held-out ones have no say.

        Returns
        -------
        Case
            Of at most `support_size` sources.

        Raises
        ------
        InputError
            If no category, or more than one, is called so.
        """
        if category == "auto":
            position, _ = choose_case(
                self.evaluation,
                split=FITTED,
                support_size=(1, self.support_size),
                estimator=self.estimator,
                key="category",
            )
        else:
            known = categories(self.evaluation, "target_category")
            position = find_category(known, str(category), "category")
        return describe_case(self.evaluation, position, self.support_size - 1)

    def star(self, category: str | int = "auto", **options: Any) -> "Figure":
        """Draw a category's dependency as a star graph, with accuracies on the held-out images.

        Parameters
        ----------
        category : str or int
            As `case` takes it.
        **options
            Of `neuraldeps.figures.star.draw_star`, such as `pictures` by the categories' codes.

        Returns
        -------
        matplotlib.figure.Figure
            To be shown or saved.
        """
        from neuraldeps.figures.star import plot_star

        options = {"estimator": self.estimator, "split": HELD_OUT} | options
        return plot_star(self.case(category), **options)

    def _repr_html_(self) -> str:
        """The table, where a notebook shows the whole."""
        return self.table.to_html(float_format="{:.3g}".format, max_rows=20)


def find_dependencies(
    logits: ArrayLike,
    *,
    held_out: ArrayLike,
    labels: ArrayLike | None = None,
    held_out_labels: ArrayLike | None = None,
    target_logits: ArrayLike | None = None,
    held_out_target: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    estimator: str = "subset",
    support_size: int = 4,
    centering: Centering = "none",
    exclude_own: bool = True,
    n_threads: int | None = None,
) -> Dependencies:
    """Find every category's dependency on a few others, and judge it on images held out.

    For target category i, with logits f of one network, and g of another where `target_logits` are
    given, looks for the w of at most `support_size` non-zeros for which E[(g_i - w.f)^2] over the
    images of `logits` is least (``subset``), or takes CovLasso's (the paper's Eq. 2), shrunken by
    its penalty (``lasso``) or not (``refit``).

    Parameters
    ----------
    logits : array-like, shape (image, category)
        Logits f, floating point; dependencies are fitted on these images.
    held_out : array-like, shape (other image, category)
        Logits f of other images, which judge.
    labels, held_out_labels : array-like of int, shapes (image,) and (other image,), optional
        Category of each image, -1 for none. Without, the target network's own winner stands for it.
    target_logits, held_out_target : array-like, shapes as `logits` and `held_out`, optional
        Logits g of another network over the same images, in the same order; both or neither.
    names : sequence of str, optional
        Of the categories, in order; their numbers by default.
    estimator : str
        One of `ESTIMATORS`, whose dependencies are shown; all are in `Dependencies.evaluation`.
    support_size : int
        Most sources of a category.
    centering : {"none", "per_image"}
        Whether each image's mean logit is subtracted before.
    exclude_own : bool
        Whether, between two networks, the category of the same position is no source.
    n_threads : int, optional
        Threads, as many as the process has cores by default; no number depends on it.

    Returns
    -------
    Dependencies
        Its `table`, its `evaluation` and its `star`.

    Raises
    ------
    InputError
        If the arrays do not fit together, or are no logits and labels. Logits are taken in single
        precision, as the workflow stores them, and refused where that would change them.

    References
    ----------
    Feng et al. "Neural Dependencies Emerging from Learning Massive Categories". CVPR 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from neuraldeps import find_dependencies
    >>> rng = np.random.default_rng(0)
    >>> logits = rng.standard_normal((2000, 4)) @ rng.standard_normal((4, 12))
    >>> found = find_dependencies(logits[:1000], held_out=logits[1000:])
    >>> found.table["error_held_out"].max() < 1e-4  # of rank 4: four others give any
    np.True_
    """
    if estimator not in ESTIMATORS:
        raise InputError(f"estimator is {estimator!r}; give one of {', '.join(ESTIMATORS)}")
    if (target_logits is None) != (held_out_target is None):
        raise InputError("target_logits and held_out_target go together; give both or neither")
    threads = n_threads or len(os.sched_getaffinity(0))
    sides = {
        FITTED: _sides(("logits", logits), ("target_logits", target_logits), centering),
        HELD_OUT: _sides(("held_out", held_out), ("held_out_target", held_out_target), centering),
    }
    coords = _categories([side for both in sides.values() for side in both], names)
    given = {FITTED: ("labels", labels), HELD_OUT: ("held_out_labels", held_out_labels)}
    images = {
        split: Images(*both, _labels(*given[split], both[1].shape)) for split, both in sides.items()
    }
    n = images[FITTED].source.shape[1]
    if not 1 <= support_size < n:
        raise InputError(f"support_size is {support_size}; give a size from 1 to {n - 1}")
    solved, found, gram, cross = _solve(
        images[FITTED], coords, support_size, exclude_own=exclude_own, n_threads=threads
    )
    judged = judge(solved, found, gram, cross, images, n_threads=threads)
    shown = judged.sel(estimator=estimator, support_size=support_size)
    return Dependencies(_table(shown), judged, estimator, support_size)


def _sides(
    source: tuple[str, ArrayLike], target: tuple[str, ArrayLike | None], centering: Centering
) -> tuple[LogitsArray, LogitsArray]:
    """Logits f and g of one set of images, one array where there is no g; errors call them as users do."""
    f = g = _logits(*source, centering)
    if target[1] is not None:
        g = _logits(target[0], target[1], centering)
    if g.shape[0] != f.shape[0]:
        raise InputError(
            f"{g.path} has {g.shape[0]} images where {f.path} has {f.shape[0]}; give logits of the "
            "same images, in the same order"
        )
    return f, g


def _labels(called: str, labels: ArrayLike | None, shape: tuple[int, int]) -> np.ndarray:
    """A category for each image, -1 where there is none."""
    if labels is None:
        return np.full(shape[0], -1)
    given = np.asarray(labels)
    check_column(given, called, shape[0])
    return as_labels(given, called, shape[1])


def _logits(called: str, values: ArrayLike, centering: Centering) -> LogitsArray:
    """Logits in single precision, refused as the workflow's import refuses them."""
    array = np.asarray(values)
    check_logits(array, called)
    masked = masked_columns(array)
    cast = Cast(called, np.isin(np.arange(array.shape[1]), masked), array[0])
    narrow = cast(array, 0)
    cast.report()
    return LogitsArray(called, narrow, centering, masked)


def _categories(every: Sequence[LogitsArray], names: Sequence[str] | None) -> dict[str, Any]:
    """Coordinates of both networks' categories, which must be those of all arrays."""
    n = every[0].shape[1]
    for side in every:
        if side.shape[1] != n:
            raise InputError(
                f"{side.path} has {side.shape[1]} categories where {every[0].path} has {n}; give "
                "logits of the same categories, in the same order"
            )
    if names is not None and len(names) != n:
        raise InputError(f"names are {len(names)} where logits have {n} categories; give one each")
    coords: dict[str, Any] = {}
    for dimension in ("source_category", "target_category"):
        coords[dimension] = np.arange(n, dtype=np.int32)
        if names is not None:
            coords[f"{dimension}_name"] = strings([str(name) for name in names])
    return coords


def _solve(
    fitted: Images, coords: Mapping[str, Any], size: int, *, exclude_own: bool, n_threads: int
) -> tuple[xr.Dataset, xr.Dataset, np.ndarray, np.ndarray]:
    """CovLasso's paths and the best subsets, and the moments that they were solved from."""
    source, target = fitted.source, fitted.target
    within = source is target
    with in_threads(n_threads, None) as how:
        gram = moments_of(source, source, **how).second_moment
        cross = gram if within else moments_of(source, target, **how).second_moment
        power = gram if within else moments_of(target, target, **how).second_moment
    given = {
        "cross_moment": None if within else cross,
        "target_second_moment": None if within else np.diagonal(power).copy(),
        "targets": np.arange(len(power)),
        "exclude_own": within or exclude_own,
    }
    none: dict[str, list[float]] = {"alpha": [], "relative_alpha": []}
    variables, axes = solve_paths(
        gram, given, max_support=size, penalties=none, n_threads=n_threads
    )
    subsets = find_subsets(gram, given, max_support=size, n_threads=n_threads)
    attrs = {"source": source.path, "target": target.path, "centering": source.centering}
    sizes = {"support_size": axes["support_size"]}
    return (
        COVLASSO.dataset(variables, {**coords, **axes}, attrs),
        BEST_SUBSET.dataset(subsets, {**coords, **sizes}, attrs),
        gram,
        cross,
    )


def _table(shown: xr.Dataset) -> pd.DataFrame:
    """What `Dependencies.table` says, of one estimator at one size."""
    sources = [one.name for one in categories(shown, "source_category")]
    rows = []
    for support, coef in zip(shown["support"].values, shown["coef"].values, strict=True):
        terms = [(weight, sources[at]) for at, weight in zip(support, coef, strict=True) if at >= 0]
        terms.sort(key=lambda term: -abs(term[0]))
        rows.append(([name for _, name in terms], [float(weight) for weight, _ in terms]))
    fitted, held_out = (shown.sel(split=split) for split in (FITTED, HELD_OUT))
    return pd.DataFrame(
        {
            "sources": [names for names, _ in rows],
            "coefs": [weights for _, weights in rows],
            "error_fitted": fitted["relative_error_positive"].values,
            "error_held_out": held_out["relative_error_positive"].values,
            "accuracy": held_out["original_positive_accuracy"].values,
            "accuracy_kept": held_out["positive_accuracy"].values,
        },
        index=pd.Index([one.name for one in categories(shown, "target_category")], name="target"),
    )
