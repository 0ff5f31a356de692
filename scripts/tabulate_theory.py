"""Write what redundancy and sparsity amount to: a row per network, and per pair and penalty."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from neuraldeps.logs import job_log
from neuraldeps.networks.card import NetworkCard
from neuraldeps.stores import open_store
from neuraldeps.tables.theory import (
    REDUNDANCY,
    REDUNDANCY_NOTES,
    SPARSITY,
    SPARSITY_NOTES,
    redundancy_table,
    sparsity_table,
)
from neuraldeps.tables.writing import FORMS, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    redundancy: Sequence[str],
    cards: Sequence[str],
    sparsity: Sequence[str],
    redundancy_outputs: Mapping[str, str],
    sparsity_outputs: Mapping[str, str],
    *,
    described: Sequence[str],
    sizes: Sequence[int],
) -> None:
    card = {
        model: NetworkCard.from_json(path) for model, path in zip(described, cards, strict=True)
    }
    notes = REDUNDANCY_NOTES if redundancy else ["Not measured: theory.redundancy is false."]
    write_table(
        redundancy_table(map(open_store, redundancy), card),
        REDUNDANCY,
        redundancy_outputs,
        caption="Redundancy: the rank of every network's logits, and err(0) of its categories.",
        notes=notes,
    )
    write_table(
        sparsity_table(map(open_store, sparsity), sizes),
        SPARSITY,
        sparsity_outputs,
        caption="Sparsity: Theorem 3 and Conjecture 1, over every target.",
        notes=SPARSITY_NOTES,
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            list(snakemake.input.redundancy),
            list(snakemake.input.cards),
            list(snakemake.input.sparsity),
            {form: snakemake.output[f"redundancy_{form}"] for form in FORMS},
            {form: snakemake.output[f"sparsity_{form}"] for form in FORMS},
            described=snakemake.params.described,
            sizes=snakemake.params.sizes,
        )
