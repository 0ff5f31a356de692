"""Write Tables 2 and 4: new categories learned from base categories' logits, against the baseline."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from neuraldeps.logs import job_log
from neuraldeps.stores import open_store
from neuraldeps.tables import generalizability as tables
from neuraldeps.tables.writing import FORMS, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    evaluations: Sequence[str],
    paper: str,
    table2: Mapping[str, str],
    table4: Mapping[str, str],
    *,
    dataset: str,
    default: str,
    split: str,
    test: str,
) -> None:
    runs = [open_store(path).load() for path in evaluations]
    theirs = pd.read_csv(paper) if dataset == "imagenet" else None
    second, fourth = tables.table2(runs, theirs), tables.table4(runs, theirs)
    with_paper = theirs is not None
    write_table(
        second,
        tables.TABLE2 | (tables.PAPER2 if with_paper else {}),
        table2,
        caption="Table 2. New categories learned as combinations of base categories' logits.",
        notes=tables.table2_notes(second, default, split, test, of_photos=dataset != "glyphs"),
    )
    write_table(
        fourth,
        tables.TABLE4 | (tables.PAPER4 if with_paper else {}),
        table4,
        caption="Table 4. Accuracy on base and on new categories, restricted and full arg-max.",
        notes=tables.table4_notes(fourth, test),
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.evaluations,
            snakemake.input.paper,
            {form: snakemake.output[f"table2_{form}"] for form in FORMS},
            {form: snakemake.output[f"table4_{form}"] for form in FORMS},
            dataset=snakemake.params.dataset,
            default=snakemake.params.default,
            split=snakemake.params.split,
            test=snakemake.params.test,
        )
