"""Bring logits from elsewhere into a store like that of any network."""

from pathlib import Path
from typing import TYPE_CHECKING

from neuraldeps.images.classes import load_categories
from neuraldeps.images.reading import read_coords
from neuraldeps.logits.external import (
    Column,
    copy_logits,
    describe_logits,
    open_logits,
    read_labels,
    read_paths,
)
from neuraldeps.logits.store import lay_out_logits
from neuraldeps.logs import job_log
from neuraldeps.stores import content_digest, strings

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    source: str,
    labels: str | None,
    paths: str | None,
    images: str | None,
    logits: str,
    *,
    model: str,
    split: str,
    n_categories: int,
    rows: int | None,
    categories: str | None = None,
) -> None:
    key = f"models.{model}.logits.{split}"
    array, carried = open_logits(source, key)
    carried |= {"label": read_labels(labels, f"models.{model}.labels.{split}")} if labels else {}
    carried |= {"path": read_paths(paths, f"models.{model}.paths.{split}")} if paths else {}
    if categories:
        where, found = (
            f"dataset.categories: {categories}",
            load_categories(categories, n_categories),
        )
        carried["category_name"] = Column(where, strings(found.names))
        carried["category_code"] = Column(where, strings(found.codes))
    given = {"logits": source, "labels": labels, "paths": paths, "categories": categories}
    sources = {
        part: content_digest(path) for part, path in given.items() if path and Path(path).exists()
    }
    stored = None
    if images:
        stored, sources["images"] = read_coords(images)
    coords = describe_logits(array, carried, key, n_categories=n_categories, images=stored)
    store = lay_out_logits(
        logits,
        coords,
        made_by="import_logits",
        config={"model": model, "split": split, "dtype": str(array.dtype)},
        sources=sources,
        rows=rows,
        attrs=coords.attrs,
    )
    copy_logits(array, store, key, masked=coords.attrs.get("masked_categories", ()))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.source,
            snakemake.input.get("labels") or None,
            snakemake.input.get("paths") or None,
            snakemake.input.get("images") or None,
            snakemake.output.logits,
            model=snakemake.wildcards.model,
            split=snakemake.wildcards.split,
            n_categories=snakemake.params.n_categories,
            rows=snakemake.params.rows,
            categories=snakemake.params.categories,
        )
