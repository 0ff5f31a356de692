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
    """One source category of a dependency and its coefficient."""

    category: Category
    coef: float


@dataclass(frozen=True)
class Case:
    """One target category: its dependency by every estimator, and what both splits say about it.

    `terms` maps an estimator to its sources, largest coefficient first; `metrics` maps split,
    estimator and metric name to the stored number; `original` maps split and metric name to the
    network's own accuracy. `pseudo` names the splits that are judged on pseudo-positives, the
    network's own top-1.
    """

    source: str
    target: str
    category: Category
    terms: Mapping[str, tuple[Term, ...]]
    alpha: float
    relative_alpha: float
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]]
    original: Mapping[str, Mapping[str, float]]
    pseudo: frozenset[str] = frozenset()

    @property
    def codes(self) -> list[str]:
        """Codes of the target and of every estimator's sources, each once."""
        sources = [term.category.code for terms in self.terms.values() for term in terms]
        return list(dict.fromkeys([self.category.code, *sources]))

    def equation(self, estimator: str, *, with_character: bool = True) -> str:
        """The right-hand side, largest coefficient first: ``0.240 EXCLAMATION MARK (!) - ...``.

        Parameters
        ----------
        estimator : str
            One of `ESTIMATORS`.
        with_character : bool
            Whether a name is followed by its character.

        Returns
        -------
        str
            On one line.
        """
        if not self.terms[estimator]:
            return "0"
        text = ""
        for term in self.terms[estimator]:
            sign = (
                ("-" if term.coef < 0 else "") if not text else (" - " if term.coef < 0 else " + ")
            )
            name = term.category.label if with_character else term.category.short
            text += f"{sign}{abs(term.coef):.3f} {name}"
        return text


def choose_case(
    evaluation: xr.Dataset,
    category: str = "auto",
    *,
    split: str = "fit",
    support_size: Sequence[int] = (3, 4),
    estimator: str = "subset",
    min_positives: int = 1,
    key: str = "tables.table1.cases",
) -> tuple[int, int]:
    """Choose target category and support size on one split alone.

    Parameters
    ----------
    evaluation : xarray.Dataset
        Evaluation store of one ordered pair.
    category : str
        Name, code or character of the target, or ``auto``: of those with enough positive images,
        the one with the smallest relative error on them.
    split : str
        The split that dependencies were fitted on.
    support_size : sequence of two int
        Smallest and largest number of sources, as they really are ("at most k" may hold fewer).
    estimator : str
        One of `ESTIMATORS`, whose error decides.
    min_positives : int
        Images that a category needs in every split to be chosen automatically; as many as any
        category has where none has so many.
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
    of = evaluation.sel(estimator=estimator)
    axes = ("target_category", "support_size")
    error = of.relative_error_positive.sel(split=split).transpose(*axes)
    actual = (of.support >= 0).sum("slot").transpose(*axes)
    allowed = (actual.values >= lowest) & (actual.values <= highest)
    if category == "auto":
        fewest = evaluation.n_positive.min("split").values
        allowed &= (fewest >= min(min_positives, fewest.max(initial=0)))[:, np.newaxis]
    else:
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
    """Read one dependency and its numbers on both splits.

    Parameters
    ----------
    evaluation : xarray.Dataset
        Evaluation store of an ordered pair.
    position : int
        Of the target, along `target_category`.
    size_position : int
        Of the size, along `support_size`.

    Returns
    -------
    Case
        By every estimator.
    """
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
        terms={name: _terms(at, name) for name in ESTIMATORS},
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


def _terms(at: xr.Dataset, estimator: str) -> tuple[Term, ...]:
    """An estimator's sources and coefficients, largest first."""
    sources = categories(at, "source_category")
    index = pd.Index(at.source_category.values)
    of = at.sel(estimator=estimator)
    terms = [
        Term(sources[int(index.get_loc(category))], float(coef))
        for category, coef in zip(of.support.values, of.coef.values, strict=True)
        if category >= 0
    ]
    return tuple(sorted(terms, key=lambda term: -abs(term.coef)))


def choose_cases(
    evaluations: Iterable[xr.Dataset],
    cases: str | Mapping[str, str],
    *,
    split: str,
    support_size: Sequence[int],
    choose_by: str,
    min_positives: int,
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
    min_positives : int
        Images that a category needs in every split to be chosen automatically.

    Returns
    -------
    list of dict
        Per pair, as plain JSON types: `source` and `target`, the networks; `target_category`, its
        `target_code` and `target_name`; `support_size`, how many sources at most, and
        `n_sources`, how many `choose_by` really has; `n_positive`, the category's images per split;
        `chosen`, ``auto`` or ``config``; and `choose_by` and `split`, whose error decided and where.

    Raises
    ------
    InputError
        If a category is unknown, or a pair has no dependency of that size.
    """
    return [
        _chosen_case(
            one,
            cases,
            split=split,
            support_size=support_size,
            choose_by=choose_by,
            min_positives=min_positives,
        )
        for one in evaluations
    ]


def _chosen_case(
    evaluation: xr.Dataset,
    cases: str | Mapping[str, str],
    *,
    split: str,
    support_size: Sequence[int],
    choose_by: str,
    min_positives: int,
) -> dict[str, Any]:
    pair = pair_of(evaluation.attrs)
    wanted = cases if isinstance(cases, str) else str(cases.get(pair, "auto"))
    position, size_position = choose_case(
        evaluation,
        wanted,
        split=split,
        support_size=support_size,
        estimator=choose_by,
        min_positives=min_positives,
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
        "n_sources": int((at.support.sel(estimator=choose_by) >= 0).sum()),
        "n_positive": {str(name): int(at.n_positive.sel(split=name)) for name in at.split.values},
        "chosen": "auto" if wanted == "auto" else "config",
        "choose_by": choose_by,
        "split": split,
    }


def pair_of(networks: Mapping[str, Any]) -> str:
    """The name of an ordered pair of networks, as in files' names and in the configuration.

    Parameters
    ----------
    networks : mapping
        With `source` and `target`, such as a store's attributes.

    Returns
    -------
    str
        ``source--target``.

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

    Returns
    -------
    Case
        The dependency of that category at that size, by every estimator.

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
