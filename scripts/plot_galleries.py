"""Draw the categories of a pair of networks with the best and with the most peculiar dependencies."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neuraldeps.figures.gallery import choose_gallery, plot_galleries
from neuraldeps.figures.pictures import sample_pictures
from neuraldeps.figures.style import save_pages
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    evaluation: str,
    logits: str,
    pngs: Mapping[str, Sequence[str]],
    pdfs: Mapping[str, str],
    *,
    fit: str,
    test: str,
    galleries: Mapping[str, Any],
) -> None:
    store = open_store(evaluation)
    options = {name: galleries[name] for name in ("estimator", "support_size", "n_categories")}
    chosen = choose_gallery(store, fit=fit, **options)
    codes = [code for cases in chosen.values() for case in cases for code in case.codes]
    pages = plot_galleries(
        chosen,
        store.attrs["source"],
        store.attrs["target"],
        n_pages=len(pngs["best"]),
        per_page=galleries["per_page"],
        estimator=galleries["estimator"],
        split=test,
        pictures=sample_pictures(open_store(logits), codes),
    )
    for kind, figures in pages.items():
        save_pages(figures, pngs[kind], pdfs[kind])


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        kinds = ("best", "peculiar")
        main(
            snakemake.input.evaluation,
            snakemake.input.logits,
            {kind: list(snakemake.output[f"{kind}_pages"]) for kind in kinds},
            {kind: snakemake.output[kind] for kind in kinds},
            fit=snakemake.params.fit,
            test=snakemake.params.test,
            galleries=snakemake.params.galleries,
        )
