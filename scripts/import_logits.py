"""Bring logits from elsewhere into a store like that of any network."""

from typing import TYPE_CHECKING

from neuraldeps.extraction import lay_out_logits
from neuraldeps.images import read_coords
from neuraldeps.importing import content_digest, copy_logits, describe_logits, open_logits
from neuraldeps.logs import job_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    source: str,
    labels: str | None,
    images: str | None,
    logits: str,
    *,
    model: str,
    split: str,
    n_categories: int,
    rows: int | None,
) -> None:
    key = f"models.{model}.logits.{split}"
    array, carried = open_logits(source, key)
    stored, images_fingerprint = read_coords(images) if images else (None, None)
    coords = describe_logits(
        array,
        carried,
        key,
        n_categories=n_categories,
        labels=labels,
        images=stored,
    )
    sources = {"logits": content_digest(source)}
    sources |= {"labels": content_digest(labels)} if labels else {}
    sources |= {"images": images_fingerprint} if images else {}
    config = {"model": model, "split": split, "dtype": str(array.dtype)}
    copy_logits(
        array,
        lay_out_logits(
            logits, coords, made_by="import_logits", config=config, sources=sources, rows=rows
        ),
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.source,
            snakemake.input.get("labels") or None,
            snakemake.input.get("images") or None,
            snakemake.output.logits,
            model=snakemake.wildcards.model,
            split=snakemake.wildcards.split,
            n_categories=snakemake.params.n_categories,
            rows=snakemake.params.rows,
        )
