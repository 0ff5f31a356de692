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


rule compare_networks:
    """Hold the dependencies within two versions of one network against each other."""
    input:
        subsets=[
            f"results/dependencies/best_subset/{{{one}}}--{{{one}}}.zarr"
            for one in ("source", "target")
        ],
        moments=[
            f"results/moments/{{{one}}}--{{{one}}}.zarr"
            for one in ("source", "target")
        ],
        stability=[
            f"results/stability/{{{one}}}--{{{one}}}.zarr"
            for one in ("source", "target")
            if config["stability"]["enabled"]
        ],
    output:
        csv="results/diff/{source}--{target}.csv",
        parquet="results/diff/{source}--{target}.parquet",
        json="results/diff/{source}--{target}.json",
    log:
        "logs/compare_networks/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/compare_networks/{source}--{target}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=solver_mem_mb,
        runtime=minutes(60),
    params:
        sizes=config["cards"]["sizes"],
    script:
        "../scripts/compare_networks.py"
