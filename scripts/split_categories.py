"""Draw the categories that a base network is not to know."""

import csv
from typing import TYPE_CHECKING

from neuraldeps.generalizability.partition import split_categories
from neuraldeps.logs import job_log
from neuraldeps.stores import aside, open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(images: str, categories: str, *, n_new: int, seed: int) -> None:
    coords = open_store(images).coords
    n_categories = coords.sizes["category"]
    new = set(split_categories(n_categories, n_new, seed).new)
    names = [name for name in ("category_code", "category_name") if name in coords]
    columns = [coords[name].values for name in names]
    with aside(categories) as path, path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["category", "role", *names])
        for category in range(n_categories):
            role = "new" if category in new else "base"
            rows.writerow([category, role, *(column[category] for column in columns)])


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.images,
            snakemake.output.categories,
            n_new=snakemake.params.n_new,
            seed=int(snakemake.wildcards.seed),
        )
