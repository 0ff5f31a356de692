"""Classes of a data set matched to the categories of the networks."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from neuraldeps.categories import fold
from neuraldeps.errors import InputError
from neuraldeps.images.delimited import read_rows, repeated

if TYPE_CHECKING:
    import xarray as xr

logger = logging.getLogger(__name__)


class Categories(NamedTuple):
    """Categories in the order of a network's outputs: codes (synsets) and names."""

    codes: list[str]
    names: list[str]


def categories_of(index: "xr.Dataset") -> Categories:
    """Codes and names of the categories that an index has.

    Parameters
    ----------
    index : xarray.Dataset
        Index of a split.

    Returns
    -------
    Categories
        Names and codes, in the network's order.
    """
    columns = (index[f"category_{kind}"].values for kind in ("code", "name"))
    return Categories(*([str(word) for word in column] for column in columns))


def load_categories(
    given: str | None,
    n_categories: int,
    classes: Mapping[str, int] | None = None,
    empty: Mapping[str, str] = MappingProxyType({}),
) -> Categories:
    """Codes and names of the categories, without a network.

    Parameters
    ----------
    given : str, optional
        A subset of timm's `ImageNetInfo` (``imagenet-1k``, ``imagenet-21k-miil``, ...) or a CSV with
        the columns code and name; by default the class names that the images come with.
    n_categories : int
        How many there must be.
    classes : mapping, optional
        Class names of the images and their numbers.
    empty : mapping, optional
        Folders without an image and what is in them, for error messages.

    Returns
    -------
    Categories
        Codes and names, in the order of the logits.

    Raises
    ------
    InputError
        If there are none such, or of another number.

    Examples
    --------
    >>> found = load_categories("imagenet-1k", 1000)
    >>> found.codes[0], found.names[0]
    ('n01440764', 'tench, Tinca tinca')
    """
    if given is None:
        ordered = sorted(classes or {}, key=lambda name: (classes or {})[name])
        if ordered != sorted(ordered):
            logger.warning(
                "the categories are in timm's order (%s, ...), not in character order (%s, ...): "
                "a network trained with torchvision's ImageFolder uses the latter",
                ", ".join(ordered[:3]),
                ", ".join(sorted(ordered)[:3]),
            )
        found = Categories(ordered, ordered)
        if not classes:
            numbers = [str(number) for number in range(n_categories)]
            found = Categories(numbers, [f"category {number}" for number in numbers])
    elif Path(given).suffix == ".csv":
        found = _read_categories(given)
    else:
        from timm.data import ImageNetInfo  # not for tables: it takes seconds, and PyTorch

        try:
            info = ImageNetInfo(given)
        except AssertionError as error:
            raise InputError(
                f"dataset.categories: timm knows no {given!r}; give imagenet-1k, imagenet-12k, "
                "imagenet-22k, imagenet-21k-goog, imagenet-21k-miil, or a .csv of code,name"
            ) from error
        found = Categories(info.label_names(), list(info.label_descriptions()))
    if len(found.codes) != n_categories:
        without = next((f" ({path} holds no image: {what})" for path, what in empty.items()), "")
        raise InputError(
            f"dataset.categories: {given or 'the images'} gives {len(found.codes)} categories{without}, "
            f"dataset.n_categories is {n_categories}; correct one of them"
        )
    return found


def match_classes(
    classes: Mapping[str, int],
    categories: Categories,
    key: str,
    *,
    in_order: bool = False,
    of_fit: bool = False,
) -> dict[int, int]:
    """Find the category of each class of a source by its name.

    Parameters
    ----------
    classes : mapping of str to int
        Class names (folders' names, synsets) and the source's numbers.
    categories : Categories
        Codes and names, in the order of the logits.
    key : str
        The configuration key of the split, for error messages.
    in_order : bool
        Whether the numbers are the user's own (`class_map`) and must be those of the categories.
    of_fit : bool
        Whether the categories are those of the images that CovLasso is solved on.

    Returns
    -------
    dict of int to int
        Number in the source to position among the categories.

    Raises
    ------
    InputError
        If a class is no category, two are the same, or the order differs.
    """
    meanings = find_meanings(classes, categories)
    found: dict[int, int] = {}
    unknown, vague = [], []
    for name, number in classes.items():
        # names that several categories share are told apart by a source in the categories' order
        places = [number] if number in meanings[name] else meanings[name]
        if not places:
            unknown.append(repr(name))
        elif len(places) > 1:
            vague.append(f"{name!r}: {', '.join(categories.codes[at] for at in places)}")
        elif in_order and places[0] != number:
            raise InputError(
                f"{key}.class_map: {name!r} is number {number}, the categories have it at {places[0]}; "
                "bring both into the order of the networks' outputs"
            )
        else:
            found[number] = places[0]
    if unknown:
        of = "dataset.categories"
        fix = "correct categories, give a class_map, or labels: false"
        if of_fit:
            of, fix = "the split that is fitted on", "correct the folders, or give labels: false"
        raise InputError(
            f"{key}: {len(unknown)} of {len(classes)} class names match no code or name of {of} "
            f"({', '.join(unknown[:3])}); {fix}"
        )
    if vague:
        raise InputError(
            f"{key}: {len(vague)} of {len(classes)} class names mean several categories ({vague[0]}); "
            "name the classes by their codes"
        )
    twice = [at for at, count in Counter(found.values()).items() if count > 1]
    if twice:
        raise InputError(
            f"{key}: two classes are both {categories.codes[twice[0]]!r}; give a class_map"
        )
    return found


def match_labels(
    words: Sequence[str], lines: Sequence[int], categories: Categories, where: str
) -> dict[str, int]:
    """Find the category of each label of a table.

    Parameters
    ----------
    words : sequence of str
        Labels: codes, names or numbers; empty is none.
    lines : sequence of int
        Where each stands.
    categories : Categories
        Codes and names, in the order of the logits.
    where : str
        Key and file, for error messages.

    Returns
    -------
    dict of str to int
        Position among the categories, -1 of the empty label.

    Raises
    ------
    InputError
        If a label is no category, or may be several.
    """
    first = dict(zip(reversed(words), reversed(lines), strict=True))
    found = {"": -1}
    # where categories are called by numbers that are not their places, a number is a name
    numbered = all(
        not word.isdecimal() or int(word) == at
        for at, both in enumerate(zip(*categories, strict=True))
        for word in both
    )
    for word, places in find_meanings([word for word in first if word], categories).items():
        if not places and word.isdecimal() and numbered and int(word) < len(categories.codes):
            places = [int(word)]
        if len(places) > 1:
            codes = " and ".join(categories.codes[at] for at in places)
            raise InputError(
                f"{where}, line {first[word]}: {word!r} means several categories; give a code, {codes}"
            )
        if not places:
            raise InputError(
                f"{where}, line {first[word]}: {word!r} is not a category; give its number, code or name as "
                "dataset.categories has it, or leave it empty"
            )
        found[word] = places[0]
    return found


def find_meanings(words: Iterable[str], categories: Categories) -> dict[str, list[int]]:
    """Find the categories that each word may mean: by code or name, or else by a synonym.

    Parameters
    ----------
    words : iterable of str
        Class names that came with the images.
    categories : Categories
        Codes and names, in the order of the logits.

    Returns
    -------
    dict of str to list of int
        Positions, none of a word that is unknown.

    Notes
    -----
    Where every word is a code or a whole name they mean nothing else. Where some are synonyms
    (``tench`` of ``tench, Tinca tinca``), so may the others be: ``maillot`` is the name of one
    category of ImageNet, and a synonym of the next.
    """
    codes, names = categories
    exact, folded = _places(codes), _places(map(fold, codes))
    named, alike = _places(names), _places(map(fold, names))

    def whole(word: str) -> list[int]:
        small = fold(word)
        places = exact.get(word) or folded.get(small) or named.get(word) or alike.get(small)
        return places or []

    found = {word: whole(word) for word in words}
    if all(found.values()):
        return found
    synonyms = [
        (at, fold(part.strip())) for at, name in enumerate(names) for part in name.split(",")
    ]
    parts: dict[str, set[int]] = defaultdict(set)
    for at, part in synonyms:
        parts[part].add(at)
    for word, places in found.items():
        if word not in exact and fold(word) not in folded:
            found[word] = sorted({*places, *parts.get(fold(word), ())})
    return found


def _places(words: Iterable[str]) -> dict[str, list[int]]:
    """Positions of every word."""
    found: dict[str, list[int]] = {}
    for at, word in enumerate(words):
        found.setdefault(word, []).append(at)
    return found


def _read_categories(path: str) -> Categories:
    rows = read_rows(path, "dataset.categories", ["code", "name"])
    found = Categories(rows.values["code"], rows.values["name"])
    for line, pair in zip(rows.lines, zip(*found, strict=True), strict=True):
        if not all(pair):
            raise InputError(
                f"dataset.categories: {path}, line {line}: lacks its code or name; give both"
            )
    if twice := repeated(found.codes):
        raise InputError(f"dataset.categories: {path} has {twice[0]!r} twice; correct it")
    return found
