"""Which dependency is shown for a pair of networks, and how a category is named to people.

Chosen once for all pairs (`choose_cases`) and written to one file, which tables and figures read.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuraldeps.categories import Category, categories, find_category
from neuraldeps.errors import InputError
from neuraldeps.estimators import ESTIMATORS

METRICS = (
    "absolute_error_positive",
    "relative_error_positive",
    "absolute_error",
    "relative_error",
    "accuracy",
    "positive_accuracy",
)


@dataclass(frozen=True)
class Term:
    """One source category of a dependency and its coefficient per estimator."""

    category: Category
    coef: Mapping[str, float]


@dataclass(frozen=True)
class Case:
    """One dependency: a target category, its sources, and what both splits say about it.

    `metrics` maps split, estimator and metric name to the stored number; `original` maps split and
    metric name to the network's own accuracy. `pseudo` names the splits without labels, whose
    positives are the network's own top-1.
    """

    source: str
    target: str
    category: Category
    terms: tuple[Term, ...]
    alpha: float
    relative_alpha: float
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]]
    original: Mapping[str, Mapping[str, float]]
    pseudo: frozenset[str] = frozenset()

    @property
    def support_size(self) -> int:
        """Number of source categories that are really there."""
        return len(self.terms)

    @property
    def codes(self) -> list[str]:
        """Codes of the target and of its sources."""
        return [self.category.code, *(term.category.code for term in self.terms)]

    def largest_first(self, estimator: str) -> list[Term]:
        """The terms, those with the largest coefficients of an estimator first."""
        return sorted(self.terms, key=lambda term: -abs(term.coef[estimator]))

    def equation(self, estimator: str, *, with_character: bool = True) -> str:
        """The right-hand side, largest coefficient first: ``0.240 EXCLAMATION MARK (!) - ...``."""
        if not self.terms:
            return "0"
        text = ""
        for term in self.largest_first(estimator):
            value = term.coef[estimator]
            sign = ("-" if value < 0 else "") if not text else (" - " if value < 0 else " + ")
            name = term.category.label if with_character else term.category.short
            text += f"{sign}{abs(value):.3f} {name}"
        return text


def choose_case(
    evaluation: xr.Dataset,
    category: str = "auto",
    *,
    split: str = "fit",
    support_size: Sequence[int] = (3, 4),
    estimator: str = "lasso",
    key: str = "tables.table1.cases",
) -> tuple[int, int]:
    """Choose target category and support size on one split alone.

    Parameters
    ----------
    evaluation : xarray.Dataset
        Evaluation store of one ordered pair.
    category : str
        Name, code or character of the target, or ``auto``: the one with the smallest relative
        error on its positive images.
    split : str
        The split that dependencies were fitted on.
    support_size : sequence of two int
        Smallest and largest number of sources, as they really are ("at most k" may hold fewer).
    estimator : str
        One of `ESTIMATORS`, whose error decides.
    key : str
        Configuration key to name in an error.

    Returns
    -------
    tuple of int
        Positions along `target_category` and along `support_size`.

    Raises
    ------
    InputError
        If the category is unknown, or no dependency of that size has an error on positive images.
    """
    lowest, highest = support_size
    error = evaluation.relative_error_positive.sel(split=split, estimator=estimator).transpose(
        "target_category", "support_size"
    )
    actual = (evaluation.support >= 0).sum("slot").transpose("target_category", "support_size")
    allowed = (actual.values >= lowest) & (actual.values <= highest)
    if category != "auto":
        position = find_category(categories(evaluation, "target_category"), category, key)
        allowed &= (np.arange(len(allowed)) == position)[:, np.newaxis]
    score = np.where(allowed & np.isfinite(error.values), error.values, np.inf)
    if not np.isfinite(score).any():
        raise InputError(
            f"{key}: {category!r} of {evaluation.attrs['source']}--{evaluation.attrs['target']} has no "
            f"dependency on {lowest} to {highest} categories with positive images in the split {split}; "
            "widen tables.table1.support_size or choose another category"
        )
    best = np.unravel_index(int(np.argmin(score)), score.shape)
    return int(best[0]), int(best[1])


def describe_case(evaluation: xr.Dataset, position: int, size_position: int) -> Case:
    """Read one dependency and its numbers on both splits."""
    at = evaluation.isel(target_category=position, support_size=size_position)
    splits = [str(split) for split in evaluation.split.values]
    metrics = {
        split: {
            estimator: {m: float(at[m].sel(split=split, estimator=estimator)) for m in METRICS}
            for estimator in ESTIMATORS
        }
        for split in splits
    }
    original = {
        split: {
            "accuracy": float(at.original_accuracy.sel(split=split)),
            "positive_accuracy": float(at.original_positive_accuracy.sel(split=split)),
        }
        for split in splits
    }
    return Case(
        source=str(evaluation.attrs["source"]),
        target=str(evaluation.attrs["target"]),
        category=categories(evaluation, "target_category")[position],
        terms=_terms(at),
        alpha=float(at.alpha),
        relative_alpha=float(at.relative_alpha),
        metrics=metrics,
        original=original,
        pseudo=frozenset(
            split
            for split, how in evaluation.attrs.get("positives", {}).items()
            if str(how).startswith("pseudo")
        ),
    )


def _terms(at: xr.Dataset) -> tuple[Term, ...]:
    sources = categories(at, "source_category")
    index = pd.Index(at.source_category.values)
    support = at.support.values
    coef = {name: at.coef.sel(estimator=name).values for name in ESTIMATORS}
    terms = [
        Term(
            sources[int(index.get_loc(category))],
            {name: float(coef[name][slot]) for name in ESTIMATORS},
        )
        for slot, category in enumerate(support)
        if category >= 0
    ]
    return tuple(sorted(terms, key=lambda term: -abs(term.coef["lasso"])))


def choose_cases(
    evaluations: Iterable[xr.Dataset],
    cases: str | Mapping[str, str],
    *,
    split: str,
    support_size: Sequence[int],
    choose_by: str,
) -> list[dict[str, Any]]:
    """Choose the case of every ordered pair, as `tables.table1.cases` says it.

    Parameters
    ----------
    evaluations : iterable of xarray.Dataset
        Evaluation stores, one per ordered pair.
    cases : str or mapping of str to str
        ``auto``, or the target category of some pairs ``source--target`` by name, code or
        character; a pair that is not named is ``auto``.
    split : str
        The split that dependencies were fitted on.
    support_size : sequence of two int
        Smallest and largest number of sources, as they really are.
    choose_by : str
        The estimator whose error decides.

    Returns
    -------
    list of dict
        Per pair, as plain JSON types: `source` and `target`, the networks; `target_category`, its
        `target_code` and `target_name`; `support_size`, the point of the path ("at most"), and
        `n_sources`, how many sources are really there; `chosen`, ``auto`` or ``config``; and
        `choose_by` and `split`, whose error decided and where.

    Raises
    ------
    InputError
        If a category is unknown, or a pair has no dependency of that size.
    """
    return [
        _chosen_case(one, cases, split=split, support_size=support_size, choose_by=choose_by)
        for one in evaluations
    ]


def _chosen_case(
    evaluation: xr.Dataset,
    cases: str | Mapping[str, str],
    *,
    split: str,
    support_size: Sequence[int],
    choose_by: str,
) -> dict[str, Any]:
    pair = pair_of(evaluation.attrs)
    wanted = cases if isinstance(cases, str) else str(cases.get(pair, "auto"))
    position, size_position = choose_case(
        evaluation,
        wanted,
        split=split,
        support_size=support_size,
        estimator=choose_by,
        key=f"tables.table1.cases.{pair}",
    )
    category = categories(evaluation, "target_category")[position]
    at = evaluation.isel(target_category=position, support_size=size_position)
    return {
        "source": str(evaluation.attrs["source"]),
        "target": str(evaluation.attrs["target"]),
        "target_category": int(at.target_category),
        "target_code": category.code,
        "target_name": category.name,
        "support_size": int(at.support_size),
        "n_sources": int((at.support >= 0).sum()),
        "chosen": "auto" if wanted == "auto" else "config",
        "choose_by": choose_by,
        "split": split,
    }


def pair_of(networks: Mapping[str, Any]) -> str:
    """The name of an ordered pair of networks, as in files' names and in the configuration.

    Examples
    --------
    >>> pair_of({"source": "resnet18", "target": "vit"})
    'resnet18--vit'
    """
    return f"{networks['source']}--{networks['target']}"


def read_case(chosen: str | PathLike[str], evaluation: xr.Dataset) -> Case:
    """The case that `choose_cases` chose for a pair, with its numbers.

    Parameters
    ----------
    chosen : path
        The file of all pairs' cases.
    evaluation : xarray.Dataset
        Evaluation store of one ordered pair.

    Raises
    ------
    InputError
        If the file has no case of this pair, or the store no such category or support size.
    """
    pair = pair_of(evaluation.attrs)
    entries = {pair_of(one): one for one in json.loads(Path(chosen).read_text("utf-8"))}
    if pair not in entries:
        raise InputError(f"{chosen}: has no case of {pair}; remove it and run again")
    wanted = [
        (evaluation[axis].values.tolist(), entries[pair][axis])
        for axis in ("target_category", "support_size")
    ]
    if any(value not in known for known, value in wanted):
        raise InputError(
            f"{chosen}: the case of {pair} is not in its store; remove it and run again"
        )
    position, size_position = (known.index(value) for known, value in wanted)
    return describe_case(evaluation, position, size_position)
