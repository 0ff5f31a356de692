"""Check that every category that the configuration names is there, and list them all."""

import csv
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuraldeps.cases import categories, find_category
from neuraldeps.logs import job_log
from neuraldeps.robustness import restriction
from neuraldeps.stores import aside, open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(images: str, ood: str | None, table: str, *, named: Mapping[str, Sequence[str]]) -> None:
    store = open_store(images)
    known = categories(store)
    for key, names in named.items():
        for name in names:
            find_category(known, name, key)
    if ood is not None:
        restriction(store, open_store(ood), "folders")
    with aside(table) as path, path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["category", "category_code", "category_name"])
        rows.writerows([i, category.code, category.name] for i, category in enumerate(known))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.images,
            next(iter(snakemake.input.ood), None),
            snakemake.output.table,
            named=snakemake.params.named,
        )
