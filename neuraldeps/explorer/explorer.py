"""The explorer's folder: the page, an index, and blocks of data and pictures beside it."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuraldeps.cards.flags import FLAGS
from neuraldeps.estimators import ESTIMATORS
from neuraldeps.explorer.blocks import (
    BOUNDS,
    QUANTILES,
    STEP,
    blocks_of,
    columns_of,
    distributions_of,
    facts_of,
)
from neuraldeps.explorer.communities import columns_of_map, draw_map
from neuraldeps.explorer.pair import Pair, open_pairs
from neuraldeps.explorer.pictures import Pictures
from neuraldeps.explorer.static import write_page
from neuraldeps.explorer.writing import CHANGE, SHARE, new_folder, write_script
from neuraldeps.logs import progress

log = logging.getLogger(__name__)
MAPPED = "subset"  # whose dependencies the map shows


def make_explorer(
    folder: str,
    evaluations: Sequence[str],
    *,
    cards: Sequence[str] = (),
    stability: Sequence[str] = (),
    controls: Sequence[str] = (),
    images: str | None = None,
    splits: Mapping[str, str],
    block_size: int = 20,
    n_images: int = 4,
    image_size: int = 64,
    max_images: int = 40_000,
    map_size: int = 4,
    seed: int = 0,
) -> None:
    """Make a folder to be opened in a browser: every category, pair, estimator and size.

    Parameters
    ----------
    folder : str
        Folder to make; what stands there is replaced.
    evaluations : sequence of str
        Evaluation stores, one per ordered pair of networks.
    cards, stability, controls : sequence of str
        Cards in JSON, and stores of stability and of controls, of the pairs that have them.
    images : str, optional
        Images, or their index, of the split that judges.
    splits : mapping of str to str
        Names of the splits that `fit` and `test` are.
    block_size : int
        Categories that a click loads at once.
    n_images, image_size, max_images : int
        Sample images per category, their largest side in pixels, and how many images the folder
        holds in all: first the samples, then those that dependencies miss most.
    map_size : int
        Support size of the dependencies that the map shows.
    seed : int
        Of the communities.

    Raises
    ------
    StoreError
        If two evaluations are over different categories.
    """
    pairs, splits = open_pairs(evaluations, cards, stability, controls), dict(splits)
    with new_folder(folder) as work:
        write_page(work)
        pictures = Pictures(images, image_size, max_images) if images else None
        shown = _write_samples(work / "images", pictures, len(pairs[0].targets), n_images)
        index = _index(pairs, splits, block_size) | {"images": shown}
        for number, pair in enumerate(progress(pairs, "explorer", None, "pair")):
            index["pairs"][number]["worst"] = _write_worst(work / "images", pictures, number, pair)
            _write_pair(work / "data", number, pair, splits, block_size)
            size = max((one for one in pair.sizes if one <= map_size), default=pair.sizes[0])
            drawn = draw_map(pair, MAPPED, size, seed)
            write_script(work / "data", f"maps/{number}", columns_of_map(drawn) | {"size": size})
        found = {"pairs": [distributions_of(pair, splits["test"]) for pair in pairs]}
        write_script(work / "data", "overview", found)
        write_script(work / "data", "index", index)


def _index(pairs: Sequence[Pair], splits: dict[str, str], block_size: int) -> dict[str, Any]:
    """What the page needs before anything is chosen."""
    names = pairs[0].targets
    coded = [one.code for one in names]
    return {
        "categories": {"code": coded, "name": [one.name for one in names]},
        "has_characters": all(one.character for one in names),
        "models": list(dict.fromkeys(one for pair in pairs for one in (pair.source, pair.target))),
        "pairs": [_pair_of(pair, splits) for pair in pairs],
        "splits": splits,
        "sizes": pairs[0].sizes,
        "epsilon": pairs[0].judged["epsilon"].values.tolist(),
        "estimators": [
            {
                "name": name,
                "label": ESTIMATORS[name].label,
                "meaning": ESTIMATORS[name].meaning,
                "color": ESTIMATORS[name].color,
                "has_penalty": ESTIMATORS[name].has_penalty,
            }
            for name in pairs[0].estimators
        ],
        "flags": [{"name": name, "meaning": flag.meaning} for name, flag in FLAGS.items()],
        "quantiles": list(QUANTILES),
        "bounds": list(BOUNDS),
        "step": STEP,
        "block_size": block_size,
        "scale": {"share": SHARE, "change": CHANGE},
    }


def _pair_of(pair: Pair, splits: dict[str, str]) -> dict[str, Any]:
    judged = pair.judged.sel(split=splits["test"])
    accuracy = float(judged["original_accuracy"])
    positives = pair.judged.attrs.get("positives", {}).get(splits["test"], "labelled")
    return {
        "source": pair.source,
        "target": pair.target,
        "n_images": int(judged["n_samples"]),
        "accuracy": round(accuracy, 5) if math.isfinite(accuracy) else None,
        "pseudo_positives": positives != "labelled",
        "has": {
            "cards": pair.cards is not None,
            "stability": pair.stability is not None,
            "controls": pair.controls is not None,
        },
    }


def _write_pair(data: Path, number: int, pair: Pair, splits: dict[str, str], size: int) -> None:
    """Write a pair's blocks and the columns of its table."""
    for block, columns in blocks_of(pair, splits, size):
        write_script(data, f"blocks/{number}/{block}", columns)
    write_script(data, f"tables/{number}/facts", facts_of(pair, splits["test"]))
    for name, columns in columns_of(pair, splits["test"]):
        write_script(data, f"tables/{number}/{name}", columns)


def _write_samples(
    folder: Path, pictures: Pictures | None, n_categories: int, n_images: int
) -> list[int]:
    """Write the sample images: the first alone, the others side by side; how many each has."""
    if pictures is None or not n_images:
        return []
    shown = []
    for category in range(n_categories):
        rows = pictures.of_category(category, n_images)
        place = folder / str(category // 100)
        n_shown = 0
        if pictures.save(place / f"{category}.webp", rows[:1]):
            n_shown = 1
            if pictures.save(place / f"{category}-others.webp", rows[1:]):
                n_shown = len(rows)
        shown.append(n_shown)
    if 0 in shown:
        log.warning("categories shown without an image: %d of %d", shown.count(0), len(shown))
    return shown if any(shown) else []


def _write_worst(folder: Path, pictures: Pictures | None, number: int, pair: Pair) -> list[int]:
    """Write of every category the images that its dependency misses most; how many each has."""
    if pictures is None or pair.cards is None:
        return []
    shown = []
    for category, card in enumerate(_named(pair.cards)):
        rows = pictures.named(card)
        place = folder / f"worst{number}" / str(category // 100)
        is_shown = pictures.save(place / f"{category}.webp", rows)
        shown.append(len(rows) if is_shown else 0)
    return shown if any(shown) else []


def _named(cards: Iterable[Mapping[str, Any]]) -> Iterable[Sequence[str | int]]:
    return (card["worst_images"] for card in cards)
