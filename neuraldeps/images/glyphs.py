"""Glyphs: a task of a thousand categories that needs no download.

The categories are Unicode characters, drawn from the twelve DejaVu faces in matplotlib's wheel. Which
characters, and in which order, is committed in ``assets/glyph_categories.csv``;
``python -m neuraldeps.images.glyphs`` works it out again.
"""

import csv
import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

from neuraldeps.errors import InputError
from neuraldeps.stores import provenance, strings
from neuraldeps.stores.layouts import BITMAPS

FACES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
)
CANVAS, EM, BASELINE = 56, 40, 40
N_CATEGORIES = 1000
DISTINCT = 0.04
MODIFIERS = {"Lm", "Sk"}
NOT_A_SHAPE_OF_ITS_OWN = (
    "BOX DRAWINGS",
    "SUPERSCRIPT",
    "SUBSCRIPT",
    "MODIFIER",
    "COMBINING",
)


@dataclass(frozen=True)
class Glyph:
    """A character as a category."""

    code_point: int

    @property
    def code(self) -> str:
        """Code point as Unicode writes it, ``U+0041``."""
        return f"U+{self.code_point:04X}"

    @property
    def name(self) -> str:
        """Unicode name, ``LATIN CAPITAL LETTER A``."""
        return unicodedata.name(chr(self.code_point))


def load_categories(
    n_categories: int = N_CATEGORIES, n_ood: int | None = None
) -> tuple[list[Glyph], list[Glyph]]:
    """Read the committed categories: in distribution, and kept out of it.

    Parameters
    ----------
    n_categories : int
        Categories in distribution; the first ones of the committed order, so that a smaller task
        is a part of a larger one.
    n_ood : int, optional
        Categories out of distribution; all of them by default.

    Returns
    -------
    tuple of two lists of Glyph
        Each sorted by code point. No glyph is in both.

    Raises
    ------
    InputError
        If there are fewer than asked for.

    Examples
    --------
    >>> inside, outside = load_categories(1000, 200)
    >>> len(inside), len(outside), inside[0].name
    (1000, 200, 'QUOTATION MARK')
    """
    glyphs: dict[str, list[Glyph]] = {"in_distribution": [], "out_of_distribution": []}
    with (_assets() / "glyph_categories.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            glyphs[row["role"]].append(Glyph(int(row["code_point"].removeprefix("U+"), 16)))
    inside, outside = glyphs.values()
    n_ood = len(outside) if n_ood is None else n_ood
    for key, n, there in ("n_categories", n_categories, inside), ("n_ood", n_ood, outside):
        if not 0 <= n <= len(there) or (n == 0 and there is inside):
            raise InputError(f"dataset.{key}: {n}; give a number up to {len(there)}")
    return _by_code_point(inside[:n_categories]), _by_code_point(outside[:n_ood])


def draw_bitmaps(glyphs: Sequence[Glyph], faces: Sequence[str] = FACES) -> np.ndarray:
    """Draw every glyph in every face: ink 255 on 0, on a common baseline, centred on the ink.

    Parameters
    ----------
    glyphs : sequence of Glyph
        Characters and fonts.
    faces : sequence of str
        File names, without suffix, of the fonts that matplotlib ships.

    Returns
    -------
    ndarray, shape (glyph, face, CANVAS, CANVAS), uint8
        A glyph that would not fit with a margin of one pixel is left blank.
    """
    bitmaps = np.zeros((len(glyphs), len(faces), CANVAS, CANVAS), np.uint8)
    for f, face in enumerate(faces):
        font = ImageFont.truetype(str(_font(face)), EM, layout_engine=ImageFont.Layout.BASIC)
        for g, glyph in enumerate(glyphs):
            left, top, right, bottom = font.getbbox(chr(glyph.code_point), anchor="ls")
            fits = (
                right - left <= CANVAS - 2
                and BASELINE + top >= 1
                and BASELINE + bottom <= CANVAS - 1
            )
            if right <= left or bottom <= top or not fits:
                continue
            image = Image.new("L", (CANVAS, CANVAS))
            position = (round(CANVAS / 2 - (left + right) / 2), BASELINE)
            ImageDraw.Draw(image).text(
                position, chr(glyph.code_point), fill=255, font=font, anchor="ls"
            )
            bitmaps[g, f] = np.asarray(image)
    return bitmaps


def render_bitmaps(n_categories: int, n_ood: int) -> xr.Dataset:
    """Draw the characters in and out of distribution in every face: what poses are drawn from.

    Parameters
    ----------
    n_categories, n_ood : int
        How many of either, from the start of their list.

    Returns
    -------
    xarray.Dataset
        `bitmap` (category, face, y, x), uint8, and the same with the prefix `ood_`; names and codes
        of the categories.
    """
    variables: dict[str, Any] = {}
    coords: dict[str, Any] = {"face": strings(FACES)}
    inside, outside = load_categories(n_categories, n_ood)
    for prefix, glyphs in ("", inside), ("ood_", outside):
        category = f"{prefix}category"
        variables[f"{prefix}bitmap"] = draw_bitmaps(glyphs)
        coords[category] = np.arange(len(glyphs), dtype=np.int32)
        coords[f"{category}_name"] = strings([glyph.name for glyph in glyphs])
        coords[f"{category}_code"] = strings([glyph.code for glyph in glyphs])
    attrs = provenance(
        "render_bitmaps",
        "Unicode characters in twelve faces: in distribution, and kept out of it (ood_)",
        config={"n_categories": n_categories, "n_ood": n_ood},
        packages=("matplotlib", "pillow"),
    )
    return BITMAPS.dataset(variables, coords, attrs)


def data_config(size: int) -> dict[str, Any]:
    """Describe images of glyphs in timm's words: one channel, pixels from -2 to 2.

    Parameters
    ----------
    size : int
        Side of the images, pixels.

    Returns
    -------
    dict
        As `timm.data.resolve_model_data_config` gives it.
    """
    return {
        "input_size": (1, size, size),
        "mean": (0.5,),
        "std": (0.25,),
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "center",
    }


def select_categories() -> tuple[list[Glyph], list[Glyph]]:
    """Choose the characters that can be told apart; takes about ten seconds.

    Returns
    -------
    tuple of two lists of Glyph
        In distribution (`N_CATEGORIES`) and out of it, in an order that only depends on the
        characters themselves.

    Notes
    -----
    Candidates are the named letters, digits, symbols and punctuation marks in all of `FACES`, without
    modifiers, box drawing, super- and subscripts. Going up in code points, one is kept when in no face
    it has the pixels of a kept one, and its distance to every kept one is at least `DISTINCT`.
    """
    candidates = [glyph for glyph in _candidates() if _is_wanted(glyph)]
    bitmaps = draw_bitmaps(candidates)
    drawn = np.all(np.any(bitmaps, axis=(2, 3)), axis=1)
    candidates = [glyph for glyph, there in zip(candidates, drawn, strict=True) if there]
    distances = _distances(bitmaps[drawn])
    kept: list[int] = []
    for i in range(len(candidates)):
        if not kept or distances[i, kept].min() >= DISTINCT:
            kept.append(i)
    chosen = sorted(
        (candidates[i] for i in kept),
        key=lambda glyph: hashlib.sha256(glyph.code.encode()).digest(),
    )
    return chosen[:N_CATEGORIES], chosen[N_CATEGORIES:]


def _assets() -> Path:
    return Path(str(files("neuraldeps"))) / "assets"


@cache
def _font(face: str) -> Path:
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"


def _by_code_point(glyphs: Sequence[Glyph]) -> list[Glyph]:
    return sorted(glyphs, key=lambda glyph: glyph.code_point)


def _candidates() -> Iterator[Glyph]:
    in_every_face = set.intersection(*(set(FT2Font(_font(face)).get_charmap()) for face in FACES))
    return (Glyph(code_point) for code_point in sorted(in_every_face))


def _is_wanted(glyph: Glyph) -> bool:
    character = chr(glyph.code_point)
    kind = unicodedata.category(character)
    return (
        kind[0] in "LNPS"
        and kind not in MODIFIERS
        and bool(unicodedata.name(character, ""))
        and not glyph.name.startswith(NOT_A_SHAPE_OF_ITS_OWN)
    )


def _distances(bitmaps: np.ndarray) -> np.ndarray:
    """Normalised squared L2 distance at half resolution, the least over shifts of one pixel.

    Parameters
    ----------
    bitmaps : ndarray, shape (glyph, face, CANVAS, CANVAS), uint8
        Brightness of the ink.

    Returns
    -------
    ndarray, shape (glyph, glyph), float32
        ``|a - b|^2 / (|a|^2 + |b|^2)``, mean over faces; 0 where the pixels are the same in any face.
    """
    n, n_faces = bitmaps.shape[:2]
    half = CANVAS // 2
    small = bitmaps.reshape(n, n_faces, half, 2, half, 2).mean((3, 5), dtype=np.float32) / 255
    total = np.zeros((n, n), np.float32)
    identical = np.zeros((n, n), bool)
    for face in range(n_faces):
        flat = small[:, face].reshape(n, -1)
        square = np.einsum("ij,ij->i", flat, flat)
        closest = np.full((n, n), -np.inf, np.float32)
        for shift in np.ndindex(3, 3):
            moved = np.roll(small[:, face], np.subtract(shift, 1), (1, 2)).reshape(n, -1)
            np.maximum(closest, flat @ moved.T, out=closest)
        norm = square[:, None] + square
        total += (norm - 2 * closest) / norm
        _, number = np.unique(bitmaps[:, face].reshape(n, -1), axis=0, return_inverse=True)
        identical |= number[:, None] == number
    total /= n_faces
    total[identical] = 0
    return total


def main() -> None:
    """Remake the committed list of categories."""
    inside, outside = select_categories()
    with (_assets() / "glyph_categories.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["code_point", "name", "role"])
        rows.writerows((glyph.code, glyph.name, "in_distribution") for glyph in inside)
        rows.writerows((glyph.code, glyph.name, "out_of_distribution") for glyph in outside)


if __name__ == "__main__":
    main()
