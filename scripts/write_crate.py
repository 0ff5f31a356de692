"""Write what a run made, from what and how, as an RO-Crate's metadata."""

from pathlib import Path
from typing import TYPE_CHECKING

from neuraldeps.logs import job_log
from neuraldeps.stores import aside
from neuraldeps.tables.crate import write_crate

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(crate: str, *, about: str) -> None:
    text = write_crate(str(Path(crate).parent), about)
    with aside(crate) as path:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake.output.crate, about=snakemake.params.about)
