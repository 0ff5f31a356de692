"""Write the logits of a network with its first random weights, of every set of images that judges."""

from typing import TYPE_CHECKING

from neuraldeps.logs import job_log
from neuraldeps.seeds import seed_of
from scripts import extract_arm

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        extract_arm.main(
            snakemake.input.card,
            None,
            list(snakemake.input.images),
            list(snakemake.output.logits),
            model=snakemake.wildcards.model,
            spec={**snakemake.params.spec, "pretrained": False},
            options=snakemake.params.options,
            rows=snakemake.params.rows,
            workers=snakemake.threads - 1,
            made_by="extract_untrained",
            seed=seed_of(snakemake.params.seed, "untrained", snakemake.wildcards.model),
        )
