import csv
import unicodedata

import matplotlib
import numpy as np
import pytest
from PIL import Image

from neuraldeps.errors import InputError
from neuraldeps.images import glyphs


def test_committed_list_is_what_selection_gives():
    with (glyphs._assets() / "glyph_categories.csv").open(newline="") as file:
        committed = [(row["code_point"], row["name"], row["role"]) for row in csv.DictReader(file)]
    inside, outside = glyphs.select_categories()
    assert committed == [(g.code, g.name, "in_distribution") for g in inside] + [
        (g.code, g.name, "out_of_distribution") for g in outside
    ]


def test_selection_is_large_enough_and_disjoint():
    inside, outside = glyphs.load_categories()
    assert len(inside) == 1000
    assert len(outside) >= 200
    assert not set(inside) & set(outside)
    assert inside == sorted(inside, key=lambda glyph: glyph.code_point)
    assert all(glyph.name == unicodedata.name(chr(glyph.code_point)) for glyph in inside)


def test_a_smaller_task_is_part_of_a_larger_one():
    small, few = glyphs.load_categories(30, 5)
    large, many = glyphs.load_categories(100, 50)
    assert set(small) < set(large)
    assert set(few) < set(many)


@pytest.mark.parametrize(
    ("n_categories", "n_ood", "key"),
    [(1001, 5, "n_categories"), (0, 5, "n_cat"), (9, 4000, "n_ood")],
)
def test_too_many_categories_are_refused(n_categories, n_ood, key):
    with pytest.raises(InputError, match=rf"{key}.*: \d+; give a number up to \d+"):
        glyphs.load_categories(n_categories, n_ood)


def test_no_two_categories_look_the_same_in_any_face():
    bitmaps = glyphs.draw_bitmaps([g for role in glyphs.load_categories() for g in role])
    assert bitmaps.any((2, 3)).all()
    for face in range(len(glyphs.FACES)):
        assert len(np.unique(bitmaps[:, face].reshape(len(bitmaps), -1), axis=0)) == len(bitmaps)


def test_bitmap_is_the_character_that_freetype_draws_for_matplotlib():
    """Another renderer of the same font agrees on the shape, up to hinting and place."""
    from matplotlib.ft2font import FT2Font

    letter = glyphs.Glyph(ord("R"))
    ours = glyphs.draw_bitmaps([letter], ["DejaVuSerif"])[0, 0]
    font = FT2Font(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSerif.ttf")
    font.set_size(glyphs.EM, 72)
    font.set_text("R")
    font.draw_glyphs_to_bitmap(antialiased=True)
    theirs = np.asarray(font.get_image())

    def ink(image):
        rows, columns = np.nonzero(image > 127)
        box = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        return np.asarray(Image.fromarray(np.ascontiguousarray(box)).resize((24, 24)), float)

    assert np.corrcoef(ink(ours).ravel(), ink(theirs).ravel())[0, 1] > 0.9


def test_a_glyph_that_does_not_fit_is_left_blank(monkeypatch):
    monkeypatch.setattr(glyphs, "EM", 90)
    assert not glyphs.draw_bitmaps([glyphs.Glyph(ord("W"))], ["DejaVuSans"]).any()
