"""Draw every character in every face: what training draws fresh poses from."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from neuraldeps.glyphs import FACES, load_categories, render_bitmaps
from neuraldeps.logs import job_log
from neuraldeps.stores import provenance, strings, write_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(bitmaps: str, *, n_categories: int, n_ood: int) -> None:
    variables, coords = {}, {"face": ("face", strings(FACES))}
    inside, outside = load_categories(n_categories, n_ood)
    for prefix, glyphs in ("", inside), ("ood_", outside):
        category = f"{prefix}category"
        variables[f"{prefix}bitmap"] = (
            (category, "face", "y", "x"),
            render_bitmaps(glyphs),
            {"long_name": "ink", "units": "1/255"},
        )
        coords[category] = (category, np.arange(len(glyphs), dtype=np.int32))
        coords[f"{category}_name"] = (category, strings([glyph.name for glyph in glyphs]))
        coords[f"{category}_code"] = (category, strings([glyph.code for glyph in glyphs]))
    attrs = provenance(
        "render_bitmaps",
        "Unicode characters in twelve faces: in distribution, and kept out of it (ood_)",
        config={"n_categories": n_categories, "n_ood": n_ood},
        packages=("matplotlib", "pillow"),
    )
    write_store(xr.Dataset(variables, coords, attrs), bitmaps)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.output.bitmaps,
            n_categories=snakemake.params.n_categories,
            n_ood=snakemake.params.n_ood,
        )
