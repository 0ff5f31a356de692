"""What a category is called, by people and by data sets, and how it is found by any of its names."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from neuraldeps.errors import InputError

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Category:
    """A category as people see it: its name, its code (synset or code point)."""

    name: str
    code: str

    @property
    def character(self) -> str | None:
        """The character itself where the code is a code point, else None.

        Examples
        --------
        >>> Category("VERTICAL LINE", "U+007C").character
        '|'
        """
        if not self.code.upper().startswith("U+"):
            return None
        return chr(int(self.code[2:], 16))

    @property
    def label(self) -> str:
        """The name, and the character behind it where there is one."""
        character = self.character
        return self.short if character is None else f"{self.name} ({character})"

    @property
    def short(self) -> str:
        """The name without the synonyms that ImageNet's names carry.

        Examples
        --------
        >>> Category("American egret, great white heron", "n02009912").short
        'American egret'
        """
        return self.name.split(",")[0].strip()

    @property
    def caption(self) -> str:
        """The short name in sentence case, for figures that show the character next to it.

        Examples
        --------
        >>> Category("LATIN CAPITAL LETTER A WITH GRAVE", "U+00C0").caption
        'Latin capital A with grave'
        """
        if self.character is None:
            return self.short
        words = self.name.replace(" LETTER ", " ").split()
        is_capital = "CAPITAL" in words
        lower = [w if is_capital and len(w) == 1 else w.lower() for w in words]
        return " ".join([lower[0].capitalize(), *lower[1:]])


def categories(dataset: "xr.Dataset", dimension: str = "category") -> list[Category]:
    """Names and codes along a dimension of a store, in its order; its numbers where it has none.

    Parameters
    ----------
    dataset : xarray.Dataset
        A store with the coordinates ``{dimension}_name`` and ``{dimension}_code``, or
        without.
    dimension : str
        The dimension.

    Returns
    -------
    list of Category
        In the store's order.
    """
    numbers = [str(number) for number in dataset[dimension].values]
    codes, names = (
        [str(value) for value in dataset[f"{dimension}_{kind}"].values]
        if f"{dimension}_{kind}" in dataset.coords
        else numbers
        for kind in ("code", "name")
    )
    return [Category(name, code) for name, code in zip(names, codes, strict=True)]


def find_category(known: Sequence[Category], wanted: str, key: str) -> int:
    """Position of a category given by its name, a synonym in it, its code or its character.

    Parameters
    ----------
    known : sequence of Category
        Where to look.
    wanted : str
        Name, synonym, code or character.
    key : str
        Configuration key to name in an error.

    Returns
    -------
    int
        Position in `known`.

    Raises
    ------
    InputError
        If none or more than one answers; the line names the configuration key.
    """
    folded = fold(wanted.strip())

    def is_called(category: Category) -> bool:
        return wanted in (category.code, category.character)

    def answers(category: Category) -> bool:
        words = [category.name, category.code, *category.name.split(",")]
        return is_called(category) or folded in {fold(word.strip()) for word in words}

    found = [at for at, category in enumerate(known) if is_called(category)]
    if len(found) != 1:
        found = [at for at, category in enumerate(known) if answers(category)]
    if len(found) == 1:
        return found[0]
    if found:
        codes = " or ".join(repr(known[at].code) for at in found[:3])
        raise InputError(
            f"{key}: {len(found)} categories named {wanted!r}; give a code, {codes}, or auto"
        )
    raise InputError(
        f"{key}: no category named {wanted!r}; give a name or code such as "
        f"{known[0].short!r} or {known[0].code!r}, or auto"
    )


def restriction(
    categories_of: "xr.Dataset", ood: "xr.Dataset", wanted: str | Sequence[str]
) -> np.ndarray | None:
    """Categories that the anomaly score's softmax and the in-distribution images are restricted to.

    Parameters
    ----------
    categories_of, ood : xarray.Dataset
        Stores of logits or images: of all categories, and of the out-of-distribution split.
    wanted : str or sequence of str
        ``all``; ``folders``: those that the folders of the out-of-distribution images are named by
        (ImageNet-O's 200); or names or codes.

    Returns
    -------
    ndarray of int64 or None
        Ascending positions along `category`; None for all.

    Raises
    ------
    InputError
        If a category is unknown.
    """
    if wanted == "all":
        return None
    known = categories(categories_of)
    if wanted == "folders":
        wanted = sorted({PurePosixPath(str(path)).parent.name for path in ood["path"].values})
    return np.unique([find_category(known, name, "robustness.ood_categories") for name in wanted])


def fold(name: str) -> str:
    """Write a name without what two spellings of it may differ in: case, and composed letters.

    Parameters
    ----------
    name : str
        As it is written somewhere.

    Returns
    -------
    str
        To be compared with other names that were folded, and not shown.

    Examples
    --------
    >>> fold("Cafe\N{COMBINING ACUTE ACCENT}") == fold("CAF\N{LATIN CAPITAL LETTER E WITH ACUTE}")
    True
    """
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
