"""Choose the dependency that the tables and figures show of every ordered pair of networks."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuraldeps.dependencies.cases import choose_cases
from neuraldeps.logs import job_log
from neuraldeps.stores import aside, open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    evaluations: Sequence[str],
    chosen: str,
    *,
    split: str,
    cases: str | Mapping[str, str],
    support_size: Sequence[int],
    choose_by: str,
    min_positives: int,
) -> None:
    stores = [open_store(path) for path in evaluations]
    entries = choose_cases(
        stores,
        cases,
        split=split,
        support_size=support_size,
        choose_by=choose_by,
        min_positives=min_positives,
    )
    text = json.dumps(entries, indent=1, ensure_ascii=False)
    with aside(chosen) as path:
        path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.evaluations,
            snakemake.output.cases,
            split=snakemake.params.split,
            cases=snakemake.params.cases,
            support_size=snakemake.params.support_size,
            choose_by=snakemake.params.choose_by,
            min_positives=snakemake.params.min_positives,
        )
