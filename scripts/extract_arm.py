"""Write one arm's logits of every set of images that Table 3 needs, in one start of the network."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from neuraldeps.logits.extraction import ExtractionOptions, extract_logits, prepare_extraction
from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    card: str,
    checkpoint: str | None,
    images: Sequence[str],
    logits: Sequence[str],
    *,
    model: str,
    spec: Mapping[str, Any],
    options: Mapping[str, Any],
    rows: int | None,
    workers: int,
    made_by: str = "extract_arm",
    seed: int | None = None,
) -> None:
    torch.set_num_threads(1)
    how = ExtractionOptions(**options)
    for shown, path in zip(images, logits, strict=True):
        network, source, store = prepare_extraction(
            *(model, spec, card, checkpoint, shown, path, how, rows, workers),
            made_by=made_by,
            seed=seed,
        )
        extract_logits(network, source, store, how)
        store.finish()


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.card,
            snakemake.input.checkpoint,
            list(snakemake.input.images),
            list(snakemake.output.logits),
            model=snakemake.wildcards.model,
            spec=snakemake.params.spec,
            options=snakemake.params.options,
            rows=snakemake.params.rows,
            workers=snakemake.threads - 1,
        )
