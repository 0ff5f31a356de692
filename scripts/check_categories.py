"""Check that every category that the configuration names is there, and list them all."""

import csv
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuraldeps.categories import categories, find_category
from neuraldeps.logs import job_log
from neuraldeps.stores import aside, open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(images: str, table: str, *, named: Mapping[str, Sequence[str]]) -> None:
    known = categories(open_store(images))
    for key, names in named.items():
        for name in names:
            find_category(known, name, key)
    with aside(table) as path, path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["category", "category_code", "category_name"])
        rows.writerows([i, category.code, category.name] for i, category in enumerate(known))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake.input.images, snakemake.output.table, named=snakemake.params.named)
