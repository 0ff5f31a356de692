"""Write a base network's logits of a set of images of all categories, base and new."""

from typing import TYPE_CHECKING

from neuraldeps.logs import job_log
from scripts import extract_logits

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        extract_logits.main(
            snakemake.input.card,
            snakemake.input.checkpoint,
            snakemake.input.images,
            snakemake.output.logits,
            model=snakemake.wildcards.model,
            spec=snakemake.params.spec,
            options=snakemake.params.options,
            rows=snakemake.params.rows,
            threads=1,
            workers=snakemake.threads - 1,
            made_by="extract_base_logits",
        )
