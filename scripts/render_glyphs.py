"""Draw one fixed set of images: every character equally often, in random faces and poses."""

from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr

from neuraldeps.logs import job_log
from neuraldeps.poses import bitmap_tensor, pose_all
from neuraldeps.stores import (
    fingerprint,
    open_store,
    provenance,
    rows_per_shard,
    strings,
    write_store,
)

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    bitmaps: str, images: str, *, split: str, samples_per_category: int, img_size: int, seed: int
) -> None:
    torch.set_num_threads(1)
    drawn = open_store(bitmaps).load()
    prefix = "ood_" if split == "ood" else ""
    names = drawn[f"{prefix}category_name"].values
    codes = drawn[f"{prefix}category_code"].values
    posed = pose_all(
        bitmap_tensor(drawn[f"{prefix}bitmap"].values), samples_per_category, img_size, seed, split
    )
    shown = posed.labels.numpy()
    faces = drawn["face"].values[posed.faces.numpy()]
    number = np.arange(len(shown)) % samples_per_category
    paths = [
        f"{face}/{code}/{k:06d}" for face, code, k in zip(faces, codes[shown], number, strict=True)
    ]
    code_points = np.array([int(code[2:], 16) for code in codes], np.int32)
    label = np.full(len(shown), -1) if prefix else shown
    dataset = xr.Dataset(
        {
            "image": (
                ("sample", "y", "x"),
                posed.images.numpy(),
                {"long_name": "brightness", "units": "1/255"},
            )
        },
        {
            "label": ("sample", label.astype(np.int32), {"long_name": "category; -1 is none"}),
            "path": ("sample", strings(paths)),
            "face": ("sample", strings(faces)),
            "code_point": ("sample", code_points[shown]),
            "unicode_name": ("sample", strings(names[shown])),
            **{name: drawn[name] for name in ("category", "category_name", "category_code")},
        },
        provenance(
            "render_glyphs",
            f"Posed characters, split {split}",
            config={
                "split": split,
                "samples_per_category": samples_per_category,
                "img_size": img_size,
            },
            sources={"bitmaps": fingerprint(bitmaps)},
            seed=seed,
            packages=("torch",),
        ),
    )
    rows = rows_per_shard(img_size**2)
    write_store(dataset, images, {"image": (rows, img_size, img_size)})


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.bitmaps,
            snakemake.output.images,
            split=snakemake.wildcards.split,
            samples_per_category=snakemake.params.samples_per_category,
            img_size=snakemake.params.img_size,
            seed=snakemake.params.seed,
        )
