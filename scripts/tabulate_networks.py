"""Write the sanity row of every network: top-1, top-5, parameters, mean logit, rank bound."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuraldeps.logs import job_log
from neuraldeps.networks.card import NetworkCard
from neuraldeps.stores import open_store
from neuraldeps.tables.networks import NETWORKS, networks_notes, networks_table
from neuraldeps.tables.writing import FORMS, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    logits: Sequence[str],
    cards: Sequence[str],
    outputs: Mapping[str, str],
    *,
    models: Sequence[str],
    described: Sequence[str],
    test: str,
) -> None:
    card = {
        model: NetworkCard.from_json(path) for model, path in zip(described, cards, strict=True)
    }
    networks = {
        model: (open_store(store), card.get(model))
        for model, store in zip(models, logits, strict=True)
    }
    write_table(
        networks_table(networks),
        NETWORKS,
        outputs,
        caption=f"Networks: accuracy on the split {test}.",
        notes=networks_notes(test),
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.logits,
            snakemake.input.cards,
            {form: snakemake.output[form] for form in FORMS},
            models=snakemake.params.models,
            described=snakemake.params.described,
            test=snakemake.params.test,
        )
