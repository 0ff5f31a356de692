"""Lay one of Tables 1 to 4 out as the paper does."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from neuraldeps.logs import job_log
from neuraldeps.tables.layout import CAPTIONS, Choice, lay_out_table
from neuraldeps.tables.writing import FORMS, write_forms

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    table: str,
    paper: str,
    outputs: Mapping[str, str],
    *,
    number: int,
    dataset: str,
    choice: Mapping[str, str],
) -> None:
    theirs = pd.read_csv(paper) if dataset == "imagenet" else None
    numbers, shown, notes = lay_out_table(number, pd.read_csv(table), Choice(**choice), theirs)
    write_forms(numbers, shown, outputs, caption=CAPTIONS[number], notes=notes)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.table,
            snakemake.input.paper,
            {form: snakemake.output[form] for form in FORMS},
            number=int(snakemake.wildcards.number),
            dataset=snakemake.params.dataset,
            choice=snakemake.params.choice,
        )
