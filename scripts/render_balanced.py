"""Draw as many images of the one new category as of all the others, to learn from and to judge."""

from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr

from neuraldeps.generalizability import read_split
from neuraldeps.logs import job_log
from neuraldeps.poses import bitmap_tensor, pose_all, seed_of
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
    bitmaps: str, categories: str, images: str, *, n_each: int, img_size: int, seed: int
) -> None:
    torch.set_num_threads(1)
    drawn = open_store(bitmaps).load()
    split = read_split(categories)
    parts, labels, pixels = [], [], []
    for part in "train", "test":
        rng = np.random.default_rng(seed_of(seed, "balanced", part))
        shown = np.r_[np.repeat(split.new, n_each), rng.choice(split.base, n_each)]
        glyphs = bitmap_tensor(drawn["bitmap"].values[shown])
        pixels.append(pose_all(glyphs, 1, img_size, seed, "balanced", part).images.numpy())
        labels.append(shown)
        parts += [part] * len(shown)
    label = np.concatenate(labels)
    codes = drawn["category_code"].values[label]
    paths = [
        f"{part}/{code}/{k:06d}" for k, (part, code) in enumerate(zip(parts, codes, strict=True))
    ]
    dataset = xr.Dataset(
        {
            "image": (
                ("sample", "y", "x"),
                np.concatenate(pixels),
                {"long_name": "brightness", "units": "1/255"},
            )
        },
        {
            "label": ("sample", label.astype(np.int32), {"long_name": "category"}),
            "path": ("sample", strings(paths)),
            "part": ("sample", strings(parts)),
            **{name: drawn[name] for name in ("category", "category_name", "category_code")},
        },
        provenance(
            "render_balanced",
            "Posed characters, one category as often as all the others",
            config={"n_each": n_each, "img_size": img_size, "new": split.new.tolist()},
            sources={"bitmaps": fingerprint(bitmaps)},
            seed=seed,
            packages=("torch",),
        ),
    )
    write_store(dataset, images, {"image": (rows_per_shard(img_size**2), img_size, img_size)})


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.bitmaps,
            snakemake.input.categories,
            snakemake.output.images,
            n_each=snakemake.params.n_each,
            img_size=snakemake.params.img_size,
            seed=int(snakemake.wildcards.seed),
        )
