"""Two versions of one network: which dependencies are kept, lost and gained, one row per category."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from neuraldeps.categories import categories
from neuraldeps.refit import refit
from neuraldeps.stores import map_array, open_store

SURE = 0.9  # share of halves of the images that have a source, for it to be there surely
Place = tuple[int, int]  # of a target and a size


class _Network:
    """One of the two: its best subsets, second moment and supports on halves of the images."""

    def __init__(self, subsets: str, moments: str, stability: str | None) -> None:
        self.store = open_store(subsets).load()
        self.names = [one.short for one in categories(self.store, "source_category")]
        self.moment = map_array(moments, "second_moment")
        self.halves = open_store(stability)["half_support"].load() if stability else None

    def support(self, place: Place) -> list[int]:
        """Sources of the best subset."""
        target, size = place
        found = self.store["support"].sel(target_category=target, support_size=size).values
        return found[found >= 0].tolist()

    def error(self, target: int, support: Sequence[int]) -> float | None:
        """Root mean square error of least squares on given sources, over that of the logit."""
        power = float(self.moment[target, target])
        if power <= 0:
            return None
        if not support:
            return 1.0
        chosen = np.array(support)[np.newaxis, np.newaxis]
        coef = refit(self.moment, self.moment, np.array([target]), chosen)[0, 0]
        explained = coef @ self.moment[list(support), target]
        return float(np.sqrt(max(power - explained, 0.0) / power))

    def probability(self, place: Place, source: int) -> float | None:
        """Share of the halves of the images whose best subset has a source."""
        target, size = place
        if self.halves is None or size not in self.halves["support_size"].values:
            return None
        drawn = self.halves.sel(target_category=target, support_size=size).values
        return float((drawn == source).any(axis=1).mean())


def compare_networks(
    subsets: tuple[str, str],
    moments: tuple[str, str],
    models: tuple[str, str],
    *,
    sizes: Sequence[int],
    stability: tuple[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Hold the dependencies within two versions of one network against each other.

    Parameters
    ----------
    subsets, moments : tuple of str
        Stores of best subsets and of second moments within the first and the second network.
    models : tuple of str
        Their names.
    sizes : sequence of int
        Support sizes; those beyond what was solved are left out.
    stability : tuple of str, optional
        Stability stores within both, from which probabilities come.

    Returns
    -------
    list of dict
        One row per category, of plain JSON types: at every size the sources that are `kept`, `lost`
        and `gained`; of each lost one the share of halves of the images on which the second network
        has it all the same (`lost_probability`), of each gained one that of the first; those that
        are surely lost or gained, on at least 90 % of the halves of one and at most 10 % of the
        other; the error of the first network's dependency in it, of the second's in it, and of the
        first's sources, refitted, in the second, as shares of the logit's root mean square. A
        source that a selection leaves out may be needed all the same: near copies take turns.

    Raises
    ------
    StoreError
        If a store cannot be opened.
    """
    first, second = (
        _Network(*paths) for paths in zip(subsets, moments, stability or (None, None), strict=True)
    )
    names = categories(first.store, "target_category")
    known = set(first.store["support_size"].values.tolist())
    known &= set(second.store["support_size"].values.tolist())
    sizes = [size for size in sizes if size in known] or [max(known)]
    rows = []
    for target, name in zip(first.store["target_category"].values.tolist(), names, strict=True):
        row: dict[str, Any] = {
            "first": models[0],
            "second": models[1],
            "category": target,
            "code": name.code,
            "name": name.name,
        }
        for size in sizes:
            row |= {
                f"{size}_{column}": value
                for column, value in _of_size(first, second, (target, size)).items()
            }
        rows.append(row)
    return rows


def _of_size(first: _Network, second: _Network, place: Place) -> dict[str, Any]:
    target, _ = place
    names = first.names
    ours, theirs = first.support(place), second.support(place)
    kept = [one for one in ours if one in theirs]
    lost = [one for one in ours if one not in theirs]
    gained = [one for one in theirs if one not in ours]
    return {
        "kept": [names[one] for one in kept],
        "lost": [names[one] for one in lost],
        "lost_probability": [second.probability(place, one) for one in lost],
        "gained": [names[one] for one in gained],
        "gained_probability": [first.probability(place, one) for one in gained],
        "surely_lost": [names[one] for one in lost if _is_sure(first, second, place, one)],
        "surely_gained": [names[one] for one in gained if _is_sure(second, first, place, one)],
        "first_error": first.error(target, ours),
        "second_error": second.error(target, theirs),
        "transferred_error": second.error(target, ours),
    }


def _is_sure(has: _Network, lacks: _Network, place: Place, source: int) -> bool:
    there, absent = has.probability(place, source), lacks.probability(place, source)
    return there is not None and absent is not None and there >= SURE and absent <= 1 - SURE
