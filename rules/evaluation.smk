# in:  results/covlasso/{source}--{target}.zarr and the logits of both splits
# out: results/evaluation/{source}--{target}.zarr, results/dependencies/cases.json


rule evaluate_dependencies:
    """Judge every dependency on the images that it was fitted on and on held-out ones."""
    input:
        paths="results/covlasso/{source}--{target}.zarr",
        within="results/moments/{source}--{source}.zarr",
        pair=pair_moments,
        source=expand("results/logits/{{source}}/{split}.zarr", split=JUDGED_SPLITS),
        target=expand("results/logits/{{target}}/{split}.zarr", split=JUDGED_SPLITS),
    output:
        evaluation=directory("results/evaluation/{source}--{target}.zarr"),
    log:
        "logs/evaluate_dependencies/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/evaluate_dependencies/{source}--{target}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=solver_mem_mb,
        runtime=pass_runtime,
    params:
        dataset=DATASET,
        splits=JUDGED_SPLITS,
    script:
        "../scripts/evaluate_dependencies.py"


rule choose_cases:
    """Choose the dependency that the tables and figures show of every ordered pair."""
    input:
        evaluations=[
            f"results/evaluation/{source}--{target}.zarr" for source, target in PAIRS
        ],
        checked=CHECKED,
    output:
        cases="results/dependencies/cases.json",
    log:
        "logs/choose_cases.log",
    benchmark:
        "logs/benchmarks/choose_cases.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        split=FIT,
        cases=config["tables"]["table1"]["cases"],
        support_size=config["tables"]["table1"]["support_size"],
        choose_by=config["tables"]["table1"]["choose_by"],
    script:
        "../scripts/choose_cases.py"
