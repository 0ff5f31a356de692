"""Data of a pair of networks in small pieces: blocks of categories, and columns of the table."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from neuraldeps.cards.flags import FLAGS
from neuraldeps.explorer.pair import Pair
from neuraldeps.explorer.writing import CHANGE, short, whole

# what a block has of every estimator and size: on which of the two splits, and by which name
SHARES = {
    "error": ("relative_error_positive", "test"),
    "error_all": ("relative_error", "test"),
    "accuracy": ("positive_accuracy", "test"),
    "error_fit": ("relative_error_positive", "fit"),
}
DELTAS = {"delta": "delta", "delta_own": "delta_positive"}
Piece = tuple[str, dict[str, Any]]


def blocks_of(pair: Pair, splits: dict[str, str], size: int) -> Iterator[Piece]:
    """Cut what is known of every category into blocks.

    Parameters
    ----------
    pair : Pair
        An ordered pair of networks.
    splits : dict of str to str
        Names of the splits that `fit` and `test` are.
    size : int
        Categories of a block.

    Yields
    ------
    tuple of str and dict
        The block's number, and its columns: one entry per category, whole numbers as `whole` makes
        them.
    """
    n_targets = pair.judged.sizes["target_category"]
    for number, first in enumerate(range(0, n_targets, size)):
        rows = slice(first, first + size)
        part = Pair(
            pair.judged.isel(target_category=rows),
            None if pair.cards is None else pair.cards[rows],
            None if pair.stability is None else pair.stability.isel(target_category=rows),
            None if pair.controls is None else pair.controls.isel(target_category=rows),
        )
        yield str(number), _block(part, splits)


def _block(pair: Pair, splits: dict[str, str]) -> dict[str, Any]:
    test, estimators = splits["test"], pair.estimators
    judged = pair.judged.sel(split=test)
    block: dict[str, Any] = _dependencies(pair) | {
        name: {one: whole(pair.measure(array, splits[role], one)) for one in estimators}
        for name, (array, role) in SHARES.items()
    }
    original = float(judged["original_accuracy"])
    block["accuracy_change"] = {
        one: whole(pair.measure("accuracy", test, one) - original, CHANGE) for one in estimators
    }
    for name, array in DELTAS.items():
        block[name] = {one: whole(pair.measure(array, test, one, "epsilon")) for one in estimators}
    block["alpha"] = short(judged["alpha"].transpose("target_category", "support_size").values)
    block["relative_alpha"] = short(
        judged["relative_alpha"].transpose("target_category", "support_size").values
    )
    if pair.stability is not None:
        block["stability"] = _stability(pair)
    if pair.controls is not None:
        block["controls"] = _controls(pair)
    if pair.cards is not None:
        block["worst"] = [[str(path) for path in card["worst_images"]] for card in pair.cards]
        block["worst_residual"] = [
            short(np.array(card["worst_residuals"], float)) for card in pair.cards
        ]
    return block


def _dependencies(pair: Pair) -> dict[str, Any]:
    """Sources by their place among all that a category ever has, and coefficients.

    `chosen` and `coef` run through the sizes of a category; of each size there are as many as
    `n_chosen` says. What an estimator shares with an earlier one stands there once, by its name.
    """
    axes = ("target_category", "support_size", "slot")
    support, coef = (
        {
            one: pair.judged[name].sel(estimator=one).transpose(*axes).values
            for one in pair.estimators
        }
        for name in ("support", "coef")
    )
    n_targets = pair.judged.sizes["target_category"]
    known: list[dict[int, int]] = [{} for _ in range(n_targets)]
    chosen: dict[str, Any] = {}
    n_chosen: dict[str, Any] = {}
    for name, numbers in support.items():
        twin = next((one for one in chosen if np.array_equal(support[one], numbers)), None)
        if twin is not None:
            chosen[name], n_chosen[name] = twin, twin
            continue
        n_chosen[name] = (numbers >= 0).sum(axis=2).tolist()
        chosen[name] = [
            [places.setdefault(source, len(places)) for source in row[row >= 0].tolist()]
            for places, row in zip(known, numbers, strict=True)
        ]
    used = {name: numbers >= 0 for name, numbers in support.items()}
    weights = {
        name: [whole(row[there]) for row, there in zip(coef[name], used[name], strict=True)]
        for name in support
    }
    return {
        "sources": [list(places) for places in known],
        "chosen": chosen,
        "n_chosen": n_chosen,
        "coef": weights,
    }


def _stability(pair: Pair) -> dict[str, Any]:
    """Stability of the best subsets with its interval, and near-equal supports, at some sizes."""
    assert pair.stability is not None
    store = pair.stability.transpose("target_category", "support_size", ...)
    names = ("stability", "stability_low", "stability_high")
    shares = [whole(store[name].values) for name in names]
    return {
        "sizes": store["support_size"].values.tolist(),
        **dict(zip(("value", "low", "high"), shares, strict=True)),
        "near_equal": store["n_near_equal"].values.tolist(),
    }


def _controls(pair: Pair) -> dict[str, Any]:
    """Errors and accuracies of sources that nobody searched for."""
    assert pair.controls is not None
    store = pair.controls.transpose("target_category", "predictor")
    return {
        "predictors": [str(name) for name in store["predictor"].values],
        "sizes": store["predictor_size"].values.tolist(),
        "error": whole(store["relative_error_positive"].values),
        "accuracy": whole(store["positive_accuracy"].values),
    }


def facts_of(pair: Pair, test: str) -> dict[str, Any]:
    """Columns of the table that no estimator and no size changes.

    Parameters
    ----------
    pair : Pair
        An ordered pair of networks.
    test : str
        The split that judges.

    Returns
    -------
    dict of str to list
        One entry per category. `flags` is a sum of powers of two, in the order of `FLAGS`.
    """
    judged = pair.judged.sel(split=test)
    power = judged["target_second_moment"].values
    living = power[power > 0]
    typical = np.median(living) if len(living) else 1.0
    facts: dict[str, Any] = {
        "n_images": judged["n_positive"].values.tolist(),
        "original": whole(judged["original_positive_accuracy"].values),
        "second_moment": short(power / typical),
    }
    if pair.cards is not None:
        bits = {name: 1 << place for place, name in enumerate(FLAGS)}
        facts["flags"] = [sum(bits[name] for name in card["flags"]) for card in pair.cards]
        for name in ("err0_relative", "stability", "near_equal_supports"):
            column = [card[name] for card in pair.cards]
            if any(value is not None for value in column):
                facts[name] = short(np.array(column, float))
    return facts


def columns_of(pair: Pair, test: str) -> Iterator[Piece]:
    """Columns of the table for every estimator and size.

    Parameters
    ----------
    pair : Pair
        An ordered pair of networks.
    test : str
        The split that judges.

    Yields
    ------
    tuple of str and dict
        ``{estimator}-{size}``, and the columns.
    """
    for one in pair.estimators:
        error = whole(pair.measure("relative_error_positive", test, one).T)
        accuracy = whole(pair.measure("positive_accuracy", test, one).T)
        for place, size in enumerate(pair.sizes):
            yield f"{one}-{size}", {"error": error[place], "accuracy": accuracy[place]}


def distributions_of(pair: Pair, test: str) -> dict[str, Any]:
    """How errors are distributed over the categories, by estimator and size.

    Parameters
    ----------
    pair : Pair
        An ordered pair of networks.
    test : str
        The split that judges.

    Returns
    -------
    dict
        Per estimator `quantiles` (size, quantile) of `QUANTILES`, `within` (size, bound) of
        `BOUNDS`, as shares, and the `histogram` (size, bin) in steps of `STEP`, the last one open.
    """
    found: dict[str, Any] = {}
    edges = np.append(np.arange(0, 1 + STEP / 2, STEP), np.inf)
    for one in pair.estimators:
        error = pair.measure("relative_error_positive", test, one)
        known = [column[np.isfinite(column)] for column in error.T]
        found[one] = {
            "quantiles": [
                whole(np.quantile(column, QUANTILES)) if len(column) else [None] * len(QUANTILES)
                for column in known
            ],
            "within": [
                whole(np.array([(column < bound).mean() for bound in BOUNDS]))
                if len(column)
                else [None] * len(BOUNDS)
                for column in known
            ],
            "histogram": [np.histogram(column, edges)[0].tolist() for column in known],
        }
    return found


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BOUNDS = (0.1, 0.2, 0.3)
STEP = 0.05
