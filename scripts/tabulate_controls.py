"""Write what controls and planted dependencies amount to."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from neuraldeps.controls.planting import plan
from neuraldeps.logs import job_log
from neuraldeps.seeds import seed_of
from neuraldeps.stores import map_array, open_store
from neuraldeps.tables.controls import (
    CONTROLS,
    CONTROLS_NOTES,
    PLANTED,
    PLANTED_NOTES,
    controls_table,
    planted_table,
)
from neuraldeps.tables.writing import FORMS, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    evaluations: Sequence[str],
    controls: Sequence[str],
    planted: Sequence[tuple[str, str, str, str]],
    controls_outputs: Mapping[str, str],
    planted_outputs: Mapping[str, str],
    *,
    sizes: Sequence[int],
    split: str,
    seed: int,
) -> None:
    write_table(
        controls_table(map(open_store, evaluations), map(open_store, controls), sizes, split=split),
        CONTROLS,
        controls_outputs,
        caption=f"Controls: dependencies and what needs no learning, on the split {split}.",
        notes=CONTROLS_NOTES,
    )
    tables = [
        planted_table(
            open_store(subsets).load(),
            open_store(paths).load(),
            map_array(moments, "second_moment"),
            plan(map_array(before, "second_moment"), seed_of(seed, "planted")),
        )
        for subsets, paths, moments, before in planted
    ]
    write_table(
        pd.concat([pd.DataFrame(columns=list(PLANTED)), *tables], ignore_index=True),
        PLANTED,
        planted_outputs,
        caption="Planted dependencies: known combinations among the rows of a trained classifier.",
        notes=PLANTED_NOTES if tables else ["Not measured: no pair within a network has controls."],
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            list(snakemake.input.evaluations),
            list(snakemake.input.controls),
            list(
                zip(
                    snakemake.input.subsets,
                    snakemake.input.paths,
                    snakemake.input.planted,
                    snakemake.input.moments,
                    strict=True,
                )
            ),
            {form: snakemake.output[f"controls_{form}"] for form in FORMS},
            {form: snakemake.output[f"planted_{form}"] for form in FORMS},
            sizes=snakemake.params.sizes,
            split=snakemake.params.split,
            seed=snakemake.params.seed,
        )
