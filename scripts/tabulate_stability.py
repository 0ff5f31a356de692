"""Write how stable the best subsets of every pair are, and how far those of pairs agree."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from neuraldeps.logs import job_log
from neuraldeps.stores import open_store
from neuraldeps.tables.stability import (
    AGREEMENT,
    AGREEMENT_NOTES,
    STABILITY,
    STABILITY_NOTES,
    agreement_table,
    seeds_table,
    stability_table,
)
from neuraldeps.tables.writing import FORMS, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    stability: Sequence[str],
    subsets: Sequence[str],
    stability_outputs: Mapping[str, str],
    agreement_outputs: Mapping[str, str],
    *,
    sizes: Sequence[int],
    seed_groups: Sequence[Sequence[str]],
) -> None:
    stores = [open_store(path).load() for path in subsets]
    within = {
        store.attrs["source"]: store
        for store in stores
        if store.attrs["source"] == store.attrs["target"]
    }
    over_halves = stability_table(map(open_store, stability))
    over_seeds = seeds_table(within, seed_groups, sizes)
    write_table(
        pd.concat([over_halves, over_seeds]) if len(over_seeds) else over_halves,
        STABILITY,
        stability_outputs,
        caption="Stability of the best subsets over random halves of the images and over seeds of training.",
        notes=STABILITY_NOTES,
    )
    write_table(
        agreement_table(stores, sizes),
        AGREEMENT,
        agreement_outputs,
        caption="Agreement of the best subsets of pairs of networks.",
        notes=AGREEMENT_NOTES,
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            list(snakemake.input.stability),
            list(snakemake.input.subsets),
            {form: snakemake.output[f"stability_{form}"] for form in FORMS},
            {form: snakemake.output[f"agreement_{form}"] for form in FORMS},
            sizes=snakemake.params.sizes,
            seed_groups=snakemake.params.seed_groups,
        )
