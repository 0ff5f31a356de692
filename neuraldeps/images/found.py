"""What a listing found, and how names are read and ordered."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from PIL import Image

# formats that Pillow tells from others and cannot decode everywhere
NOT_DECODED = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}
# what systems leave in folders; names that begin with a dot are hidden anyway
LITTER = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
}
DIGITS = re.compile(r"(\d+)")


@dataclass
class Found:
    """Images of a folder or tar file, in timm's order.

    Attributes
    ----------
    paths : list of str
    classes : list of str
        Name of each image's innermost folder, empty where it lies in none.
    spans : list of tuple of two int
        Of a tar file: where each image's bytes begin, and how many they are.
    places : dict of str to list of str
        Folders of every class.
    passed : Counter
        How many files of which extension were skipped.
    example : str
        One of them.
    empty : dict of str to str
        Innermost folders without an image, and what is in them.
    notes : list of str
        What else the user should know.
    """

    paths: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    places: dict[str, list[str]] = field(default_factory=dict)
    passed: Counter[str] = field(default_factory=Counter)
    example: str = ""
    empty: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def pass_over(self, path: str, ending: str) -> None:
        """Count a file that is no image by its ending.

        Parameters
        ----------
        path : str
            Of the file.
        ending : str
            Its ending.
        """
        self.passed[ending or "without an ending"] += 1
        self.example = self.example or path


@cache
def readable_endings() -> frozenset[str]:
    """Endings of the files that Pillow decodes, in lower case, with their dot.

    Returns
    -------
    frozenset of str
        Such as ``.jpg``.
    """
    known = Image.registered_extensions()
    return frozenset(
        ending for ending, kind in known.items() if kind in Image.OPEN and kind not in NOT_DECODED
    )


def natural_key(text: str) -> list[str | int]:
    """Sort key of timm: case aside, and numbers as numbers.

    Parameters
    ----------
    text : str
        A name.

    Returns
    -------
    list of str and int
        Its parts.

    Examples
    --------
    >>> sorted(["b10", "B9", "a"], key=natural_key)
    ['a', 'B9', 'b10']
    """
    parts = DIGITS.split(text.lower())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)]


def number_classes(names: Iterable[str]) -> dict[str, int]:
    """Number class names in timm's order; names that differ in case alone, in that of characters.

    Parameters
    ----------
    names : iterable of str
        Class names, in any order.

    Returns
    -------
    dict of str to int
        From 0.
    """
    ordered = sorted(set(names), key=lambda name: (natural_key(name), name))
    return {name: number for number, name in enumerate(ordered)}


def counted(passed: Mapping[str, int]) -> str:
    """Say how many files of which ending there are: ``3 .webp, 1 .txt``.

    Parameters
    ----------
    passed : mapping of str to int
        Number of files by ending.

    Returns
    -------
    str
        The most frequent first.
    """
    ordered = sorted(passed.items(), key=lambda item: (-item[1], item[0]))
    text = ", ".join(f"{count} {ending}" for ending, count in ordered[:5])
    return text + (", ..." if len(ordered) > 5 else "")


def readable_name(path: str) -> str:
    r"""Write a path that may be no UTF-8 so that it can be printed, ``caf\xe9``.

    Parameters
    ----------
    path : str
        As the operating system gave it.

    Returns
    -------
    str
        With bytes that are no text escaped.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_hidden(name: str) -> bool:
    """Tell names that are hidden, or a system's own; the current and the parent folder's are not.

    Parameters
    ----------
    name : str
        Of a file or folder, without its path.

    Returns
    -------
    bool
        Whether it is passed over.
    """
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in LITTER


def ending_of(name: str) -> str:
    """Ending of a file's name, in lower case, with its dot.

    Parameters
    ----------
    name : str
        Of a file.

    Returns
    -------
    str
        Empty where there is none.
    """
    return os.path.splitext(name)[1].lower()


def is_utf8(name: str) -> bool:
    """Tell whether a name, as the operating system gave it, is UTF-8.

    Parameters
    ----------
    name : str
        With what Python escapes what is none.

    Returns
    -------
    bool
        Whether it can be written as it is.
    """
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)
