"""The data set at a glance: categories in every face, and test images of the same categories."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuraldeps.categories import Category, categories
from neuraldeps.figures.style import MUTED, styled, wrapped

TILE = 0.42


@dataclass(frozen=True)
class ContactSheet:
    """Rows of a contact sheet.

    Attributes
    ----------
    categories : sequence of Category
    faces : sequence of str
    bitmaps : ndarray, shape (category, face, y, x), uint8
    images : ndarray, shape (category, image, y, x), uint8
    ood_images : ndarray, shape (image, y, x), uint8
    """

    categories: Sequence[Category]
    faces: Sequence[str]
    bitmaps: np.ndarray
    images: np.ndarray
    ood_images: np.ndarray


def choose_rows(
    bitmaps: xr.Dataset,
    test: xr.Dataset,
    ood: xr.Dataset | None,
    *,
    n_categories: int = 16,
    n_images: int = 8,
    seed: int = 0,
) -> ContactSheet:
    """Draw categories by seed, and for each its first test images.

    Parameters
    ----------
    bitmaps : xarray.Dataset
        `bitmap` (category, face, y, x).
    test, ood : xarray.Dataset
        `image` (sample, y, x) and `label` (sample), a position along the categories of `bitmaps`.
    n_categories, n_images : int
        How many categories, and images of each.
    seed : int
        Of the draw.

    Returns
    -------
    ContactSheet
        What is drawn.
    """
    labels = test.label.values
    rng = np.random.default_rng(seed)
    there = np.unique(labels[labels >= 0])
    chosen = np.sort(rng.choice(there, min(n_categories, len(there)), replace=False))
    rows = [np.flatnonzero(labels == category)[:n_images] for category in chosen]
    shortest = min(len(row) for row in rows)
    picked = np.stack([row[:shortest] for row in rows])
    images = test.image.isel(sample=picked.ravel()).values
    n_faces = bitmaps.sizes["face"]
    strip = np.zeros((0, *images.shape[1:]), np.uint8)
    if ood is not None:
        n = min(ood.sizes["sample"], n_faces + shortest)
        strip = ood.image.isel(sample=np.sort(rng.choice(ood.sizes["sample"], n, False))).values
    known = categories(bitmaps)
    return ContactSheet(
        categories=[known[category] for category in chosen],
        faces=[str(face) for face in bitmaps.face.values],
        bitmaps=bitmaps.bitmap.isel(category=chosen).values,
        images=images.reshape(*picked.shape, *images.shape[1:]),
        ood_images=strip,
    )


def mosaic(tiles: np.ndarray) -> np.ndarray:
    """Put tiles (row, column, y, x) side by side, one pixel of paper between them, ink dark.

    Parameters
    ----------
    tiles : ndarray, shape (row, column, y, x), uint8
        Brightness of the ink.

    Returns
    -------
    ndarray, shape (y, x), uint8
        One picture.
    """
    rows, columns, height, width = tiles.shape
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), 255, np.uint8)
    for row in range(rows):
        for column in range(columns):
            y, x = row * (height + 1), column * (width + 1)
            sheet[y : y + height, x : x + width] = 255 - tiles[row, column]
    return sheet


@styled
def plot_contact_sheet(sheet: ContactSheet) -> Figure:
    """Draw the sheet.

    Parameters
    ----------
    sheet : ContactSheet
        What is drawn.

    Returns
    -------
    Figure
        A row per category.
    """
    n_rows, n_faces = sheet.bitmaps.shape[:2]
    n_images, n_ood = sheet.images.shape[1], len(sheet.ood_images)
    names, gap, header, footer = 2.05, 0.4, 1.12, (0.75 if n_ood else 0.1)
    width = names + (n_faces + n_images) * TILE + gap + 0.15
    height = header + n_rows * TILE + footer
    figure = Figure(figsize=(width, height))

    def place(left: float, top: float, columns: int, rows: int) -> Axes:
        box = (left, height - top - rows * TILE, columns * TILE, rows * TILE)
        axes = figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
        axes.axis("off")
        return axes

    drawn = place(names, header, n_faces, n_rows)
    _show(drawn, mosaic(sheet.bitmaps))
    right = names + n_faces * TILE + gap
    _show(place(right, header, n_images, n_rows), mosaic(sheet.images))
    for row, category in enumerate(sheet.categories):
        y = 1 - (header + (row + 0.5) * TILE) / height
        text = wrapped(category.caption, 28, 2)
        figure.text((names - 0.1) / width, y, text, ha="right", va="center", fontsize=7.5)
    for column, face in enumerate(sheet.faces):
        figure.text(
            (names + (column + 0.35) * TILE) / width,
            1 - (header - 0.06) / height,
            face_name(face),
            rotation=40,
            ha="left",
            va="bottom",
            rotation_mode="anchor",
            fontsize=7,
            color=MUTED,
        )
    heading = {
        "y": 1 - (header - 0.25) / height,
        "fontsize": 9.5,
        "fontweight": "bold",
        "va": "top",
    }
    figure.text((names - 0.1) / width, s="Categories", ha="right", **heading)
    figure.text(right / width, s="Test images", **heading)
    if n_ood:
        top = header + n_rows * TILE + 0.25
        _show(place(names, top, n_ood, 1), mosaic(sheet.ood_images[np.newaxis]))
        y = 1 - (top + TILE / 2) / height
        x = (names - 0.1) / width
        figure.text(x, y, "Out of distribution", ha="right", va="center", fontsize=8, weight="bold")
    return figure


def face_name(face: str) -> str:
    """Words of a font's file name.

    Parameters
    ----------
    face : str
        A font's file name, without folder.

    Returns
    -------
    str
        For people.

    Examples
    --------
    >>> face_name("DejaVuSansMono-BoldOblique")
    'Sans Mono Bold Oblique'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", face.removeprefix("DejaVu").replace("-", " "))


def _show(axes: Axes, sheet: np.ndarray) -> None:
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="antialiased", aspect="auto")
