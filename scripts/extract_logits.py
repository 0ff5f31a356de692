"""Write a network's logits of a set of images: whatever is missing, then the whole store."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from neuraldeps.logits.extraction import ExtractionOptions, extract_logits, prepare_extraction
from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    card: str,
    checkpoint: str | None,
    images: str,
    logits: str,
    *,
    model: str,
    spec: Mapping[str, Any],
    options: Mapping[str, Any],
    rows: int | None,
    threads: int,
    workers: int = 0,
    made_by: str = "extract_logits",
) -> None:
    torch.set_num_threads(threads)
    how = ExtractionOptions(**options)
    network, source, store = prepare_extraction(
        model, spec, card, checkpoint, images, logits, how, rows, workers, made_by=made_by
    )
    extract_logits(network, source, store, how)
    store.finish()


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.card,
            snakemake.input.get("checkpoint") or None,
            snakemake.input.images,
            snakemake.output.logits,
            model=snakemake.wildcards.model,
            spec=snakemake.params.spec,
            options=snakemake.params.options,
            rows=snakemake.params.rows,
            threads=1,
            workers=snakemake.threads - 1,
        )
