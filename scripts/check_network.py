"""Check a network before any long work: it can be built, loaded and run; describe it on a card."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neuraldeps.images.glyphs import data_config
from neuraldeps.logs import job_log
from neuraldeps.networks.build import build_network, check_pretrained, describe_network
from neuraldeps.networks.checkpoints import load_checkpoint

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    checkpoint: str | None,
    card: str,
    *,
    model: str,
    spec: Mapping[str, Any],
    n_categories: int,
    dataset: str,
    img_size: int,
) -> None:
    images = data_config(img_size) if dataset == "glyphs" else None
    check_pretrained(model, spec, n_categories)
    network = build_network(model, {**spec, "pretrained": False}, n_categories, images)
    if checkpoint is not None:
        load_checkpoint(network, checkpoint, model)
    finished = checkpoint is not None or bool(spec.get("pretrained"))
    use_test_size = finished and images is None
    describe_network(model, spec, network, n_categories, use_test_size=use_test_size).to_json(card)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            next(iter(snakemake.input.checkpoint), None),
            snakemake.output.card,
            model=snakemake.wildcards.model,
            spec=snakemake.params.spec,
            n_categories=snakemake.params.n_categories,
            dataset=snakemake.params.dataset,
            img_size=snakemake.params.img_size,
        )
