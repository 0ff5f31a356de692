"""Write Table 1, one chosen dependency per pair of networks, and its distribution over all categories."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from neuraldeps.dependencies.cases import read_case
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store
from neuraldeps.tables import dependencies as tables
from neuraldeps.tables.dependency_notes import distribution_notes, table1_notes
from neuraldeps.tables.writing import FORMS, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def shown_sizes(support_size: Sequence[int], max_support: int) -> list[int]:
    """Powers of two, the sizes that a case is chosen among, and the largest."""
    lowest, highest = support_size
    powers = {2**exponent for exponent in range(max_support.bit_length())}
    return sorted(powers | {*range(lowest, highest + 1), max_support})


def main(
    evaluations: Sequence[str],
    cases: str,
    paper: str,
    table1: Mapping[str, str],
    distribution: Mapping[str, str],
    *,
    splits: tuple[str, str],
    support_size: Sequence[int],
    max_support: int,
    choose_by: str,
    min_positives: int,
) -> None:
    fit, test = splits
    stores = [open_store(path) for path in evaluations]
    chosen = [read_case(cases, store) for store in stores]
    pseudo = any(tables.is_pseudo(store, test) for store in stores)
    is_imagenet = not pseudo and all(store.attrs["dataset"] == "imagenet" for store in stores)
    theirs = pd.read_csv(paper) if is_imagenet else None
    frames = [
        (tables.table1(chosen, theirs, split=test), tables.TABLE1),
        (tables.table1(chosen, theirs, split=test, with_character=False), tables.TABLE1),
        (
            tables.table1_distribution(stores, shown_sizes(support_size, max_support), split=test),
            tables.DISTRIBUTION,
        ),
    ]
    if pseudo:
        frames = [tables.name_pseudo_positives(*frame) for frame in frames]
    (shown, columns), (printable, _), (everything, distribution_columns) = frames
    write_table(
        shown,
        columns,
        table1,
        caption="Table 1. Neural dependencies within and between networks, one case per pair.",
        notes=table1_notes(
            stores,
            fit,
            test,
            support_size=support_size,
            choose_by=choose_by,
            min_positives=min_positives,
            with_paper=is_imagenet,
        ),
        printable=printable,
    )
    write_table(
        everything,
        distribution_columns,
        distribution,
        caption="Table 1, all categories: distribution of error and accuracy over the categories.",
        notes=distribution_notes(test, stores, fit),
    )
    # on the screen, among what Snakemake says of other jobs
    print(f"Ready to look at: {table1['md']}, {distribution['md']}", flush=True)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.evaluations,
            snakemake.input.cases,
            snakemake.input.paper,
            {form: snakemake.output[form] for form in FORMS},
            {form: snakemake.output[f"distribution_{form}"] for form in FORMS},
            splits=(snakemake.params.fit, snakemake.params.test),
            support_size=snakemake.params.support_size,
            max_support=snakemake.params.max_support,
            choose_by=snakemake.params.choose_by,
            min_positives=snakemake.params.min_positives,
        )
