"""What a run knows of one ordered pair of networks, as the explorer shows it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neuraldeps.categories import Category, categories
from neuraldeps.errors import StoreError
from neuraldeps.stores import open_store


@dataclass(frozen=True)
class Pair:
    """An ordered pair of networks.

    Attributes
    ----------
    judged : xarray.Dataset
        The evaluation of its dependencies, loaded.
    cards : list of dict, optional
        One per target category.
    stability, controls : xarray.Dataset, optional
        Of its best subsets, and sources that nobody searched for.
    """

    judged: xr.Dataset
    cards: list[dict[str, Any]] | None = None
    stability: xr.Dataset | None = None
    controls: xr.Dataset | None = None

    @property
    def source(self) -> str:
        """The network whose logits predict."""
        return str(self.judged.attrs["source"])

    @property
    def target(self) -> str:
        """The network whose logits are predicted."""
        return str(self.judged.attrs["target"])

    @property
    def sizes(self) -> list[int]:
        """Support sizes."""
        return self.judged["support_size"].values.tolist()

    @property
    def estimators(self) -> list[str]:
        """Names of the estimators."""
        return [str(name) for name in self.judged["estimator"].values]

    @property
    def targets(self) -> list[Category]:
        """Target categories, in the store's order."""
        return categories(self.judged, "target_category")

    def measure(self, name: str, split: str, estimator: str, *axes: str) -> np.ndarray:
        """One measure of one estimator's dependencies on one split.

        Parameters
        ----------
        name : str
            Of the array.
        split, estimator : str
            Where, and whose.
        *axes : str
            Further dimensions, after the target and before the size.

        Returns
        -------
        ndarray, shape (target_category, ..., support_size)
            Its values.
        """
        chosen = self.judged[name].sel(split=split, estimator=estimator)
        return chosen.transpose("target_category", *axes, "support_size").values


def open_pairs(
    evaluations: Sequence[str],
    cards: Sequence[str] = (),
    stability: Sequence[str] = (),
    controls: Sequence[str] = (),
) -> list[Pair]:
    """Open what a run knows of its pairs; files of one pair share a name but for its ending.

    Parameters
    ----------
    evaluations : sequence of str
        Evaluation stores, one per pair.
    cards, stability, controls : sequence of str
        Cards in JSON, and stores of stability and controls, of as many pairs as have them.

    Returns
    -------
    list of Pair
        In the order of `evaluations`.

    Raises
    ------
    StoreError
        If two evaluations are over different categories.
    """
    by_name = [{Path(path).stem: path for path in paths} for paths in (cards, stability, controls)]
    pairs = []
    for evaluation in evaluations:
        card, stable, control = (paths.get(Path(evaluation).stem) for paths in by_name)
        pairs.append(
            Pair(
                open_store(evaluation).load(),
                json.loads(Path(card).read_text(encoding="utf-8")) if card else None,
                open_store(stable).load() if stable else None,
                open_store(control).load() if control else None,
            )
        )
    for pair, evaluation in zip(pairs, evaluations, strict=True):
        if pair.targets != pairs[0].targets or _sources(pair) != pairs[0].targets:
            raise StoreError(
                f"{evaluation}: has other categories than {evaluations[0]}; bring the categories of all "
                "networks into the same order, or set explorer.enabled: false"
            )
    return pairs


def _sources(pair: Pair) -> list[Category]:
    return categories(pair.judged, "source_category")
