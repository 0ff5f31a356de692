# in:  results/dependencies/evaluation/{source}--{target}.zarr, and the logits of the split that judges
# out: results/cards/{source}--{target}.{csv,parquet,json}, one row per category


rule make_cards:
    """Gather what is known of every category of an ordered pair, one row each."""
    input:
        unpack(target_redundancy),
        unpack(known_stability),
        evaluation="results/dependencies/evaluation/{source}--{target}.zarr",
        source=f"results/logits/{{source}}/{TEST}.zarr",
        target=f"results/logits/{{target}}/{TEST}.zarr",
    output:
        csv="results/cards/{source}--{target}.csv",
        parquet="results/cards/{source}--{target}.parquet",
        json="results/cards/{source}--{target}.json",
    log:
        "logs/make_cards/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/make_cards/{source}--{target}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=solver_mem_mb,
        runtime=pass_runtime,
    params:
        split=TEST,
        sizes=config["cards"]["sizes"],
        n_worst=config["cards"]["n_worst"],
    script:
        "../scripts/make_cards.py"
