"""Write what a run says of the paper's claims: a verdict, its number and its control."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neuraldeps.logs import job_log
from neuraldeps.tables.findings import write_findings
from neuraldeps.tables.pages import write_page

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(tables: Sequence[str], findings: str, page: str, *, about: str) -> None:
    write_findings({Path(table).stem: table for table in tables}, findings, about=about)
    write_page(Path(findings).read_text("utf-8"), Path(page), "Findings")


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            list(snakemake.input.tables),
            snakemake.output.findings,
            snakemake.output.page,
            about=snakemake.params.about,
        )
