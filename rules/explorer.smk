# in:  results/dependencies/evaluation, results/cards, results/stability, results/controls,
#      results/images/{test}.zarr, whatever of them the run has
# out: results/explorer/, a page with its data and pictures


rule make_explorer:
    """Make a folder to be opened in a browser: every category, pair, estimator and size."""
    input:
        evaluations=[
            f"results/dependencies/evaluation/{source}--{target}.zarr"
            for source, target in PAIRS
        ],
        cards=[
            f"results/cards/{source}--{target}.json"
            for source, target in PAIRS
            if config["cards"]["enabled"]
        ],
        stability=[
            f"results/stability/{source}--{target}.zarr"
            for source, target in STABILITY_PAIRS
        ],
        controls=[
            f"results/controls/{source}--{target}.zarr"
            for source, target in CONTROLLED_PAIRS
        ],
        images=[
            f"results/images/{split}.zarr"
            for split in [*GLYPH_SPLITS, *PHOTO_SPLITS]
            if split == TEST
        ],
    output:
        folder=EXPLORER,
    log:
        "logs/make_explorer.log",
    benchmark:
        "logs/benchmarks/make_explorer.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=explorer_mem_mb,
        runtime=minutes(120),
    params:
        splits={"fit": FIT, "test": TEST},
        options=without(in_order(config["explorer"]), "enabled", "in_report"),
        seed=config["seed"],
    script:
        "../scripts/make_explorer.py"
