# in:  results/moments/{a}--{b}.zarr, and the logits of both splits
# out: results/dependencies/covlasso/{source}--{target}.zarr, the exact paths of all target categories;
#      results/dependencies/best_subset/{source}--{target}.zarr, their best few sources at every size;
#      results/dependencies/evaluation/{source}--{target}.zarr, every dependency judged on images;
#      results/dependencies/cases.json, the one of every pair that Table 1 shows;
#      results/dependencies/correlation/{source}--{target}.zarr and results/dependencies/chord.zarr,
#      what Figures 3 and 4 show


rule solve_covlasso:
    """Solve CovLasso for one strided batch of target categories."""
    input:
        source="results/moments/{source}--{source}.zarr",
        target="results/moments/{target}--{target}.zarr",
        pair=pair_moments,
    output:
        part=temp(
            directory(
                "results/dependencies/covlasso/{source}--{target}.part{batch}.zarr"
            )
        ),
    log:
        "logs/solve_covlasso/{source}--{target}.part{batch}.log",
    benchmark:
        "logs/benchmarks/solve_covlasso/{source}--{target}.part{batch}.tsv"
    priority: table1_first
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=solver_mem_mb,
        runtime=minutes(60),
    params:
        batches=BATCHES,
        max_support=config["covlasso"]["max_support"],
        exclude_own=config["covlasso"]["exclude_own"],
        alpha=config["covlasso"]["alpha"],
        relative_alpha=config["covlasso"]["relative_alpha"],
    script:
        "../scripts/solve_covlasso.py"


rule gather_covlasso:
    """Gather the batches of one ordered pair of networks in one store."""
    input:
        parts=expand(
            "results/dependencies/covlasso/{{source}}--{{target}}.part{batch}.zarr",
            batch=range(BATCHES),
        ),
    output:
        paths=directory("results/dependencies/covlasso/{source}--{target}.zarr"),
    log:
        "logs/gather_covlasso/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/gather_covlasso/{source}--{target}.tsv"
    priority: table1_first
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=solver_mem_mb,
        runtime=minutes(20),
    script:
        "../scripts/gather_covlasso.py"


rule solve_best_subset:
    """Find the best few sources of one strided batch of target categories."""
    input:
        source="results/moments/{source}--{source}.zarr",
        target="results/moments/{target}--{target}.zarr",
        pair=pair_moments,
    output:
        part=temp(
            directory(
                "results/dependencies/best_subset/{source}--{target}.part{batch}.zarr"
            )
        ),
    log:
        "logs/solve_best_subset/{source}--{target}.part{batch}.log",
    benchmark:
        "logs/benchmarks/solve_best_subset/{source}--{target}.part{batch}.tsv"
    priority: table1_first
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=solver_mem_mb,
        runtime=minutes(60),
    params:
        batches=BATCHES,
        max_support=config["covlasso"]["max_support"],
        exclude_own=config["covlasso"]["exclude_own"],
        width=config["best_subset"]["width"],
        proven_size=proven_size,
    script:
        "../scripts/solve_best_subset.py"


rule gather_best_subset:
    """Gather the batches of one ordered pair of networks in one store."""
    input:
        parts=expand(
            "results/dependencies/best_subset/{{source}}--{{target}}.part{batch}.zarr",
            batch=range(BATCHES),
        ),
    output:
        subsets=directory("results/dependencies/best_subset/{source}--{target}.zarr"),
    log:
        "logs/gather_best_subset/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/gather_best_subset/{source}--{target}.tsv"
    priority: table1_first
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=solver_mem_mb,
        runtime=minutes(20),
    script:
        "../scripts/gather_best_subset.py"


rule solve_correlation:
    """Solve some targets of an ordered pair, with their correlations (Figure 3)."""
    input:
        source="results/moments/{source}--{source}.zarr",
        target="results/moments/{target}--{target}.zarr",
        pair=pair_moments,
    output:
        correlation=directory(
            "results/dependencies/correlation/{source}--{target}.zarr"
        ),
    log:
        "logs/solve_correlation/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/solve_correlation/{source}--{target}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=solver_mem_mb,
        runtime=minutes(20),
    params:
        n_targets=config["figures"]["correlation"]["n_targets"],
        relative_alpha=config["figures"]["correlation"]["relative_alpha"],
        exclude_own=config["covlasso"]["exclude_own"],
        seed=config["seed"],
    script:
        "../scripts/solve_correlation.py"


rule solve_chord:
    """Solve target categories from base categories alone (Figure 4)."""
    input:
        moments=moment_path(CHORD_MODEL, CHORD_MODEL),
    output:
        chord=directory("results/dependencies/chord.zarr"),
    log:
        "logs/solve_chord.log",
    benchmark:
        "logs/benchmarks/solve_chord.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=solver_mem_mb,
        runtime=minutes(20),
    params:
        n_base=config["figures"]["chord"]["n_base"],
        n_targets=config["figures"]["chord"]["n_targets"],
        support_size=config["figures"]["chord"]["support_size"],
        seed=config["seed"],
    script:
        "../scripts/solve_chord.py"


rule evaluate_dependencies:
    """Judge every dependency on the images that it was fitted on and on held-out ones."""
    input:
        paths="results/dependencies/covlasso/{source}--{target}.zarr",
        subsets="results/dependencies/best_subset/{source}--{target}.zarr",
        within="results/moments/{source}--{source}.zarr",
        pair=pair_moments,
        source=judged_logits("source"),
        target=judged_logits("target"),
    output:
        evaluation=directory("results/dependencies/evaluation/{source}--{target}.zarr"),
    log:
        "logs/evaluate_dependencies/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/evaluate_dependencies/{source}--{target}.tsv"
    priority: table1_first
    conda:
        REDUCTION_ENV
    threads: 1
    resources:
        mem_mb=with_device(solver_mem_mb),
        runtime=pass_runtime,
        gpu=REDUCTION_GPUS,
    params:
        dataset=DATASET,
        splits=judged_splits,
        min_positives=config["tables"]["table1"]["min_positives"],
    script:
        "../scripts/evaluate_dependencies.py"


rule choose_cases:
    """Choose the dependency that the tables and figures show of every ordered pair."""
    input:
        evaluations=[
            f"results/dependencies/evaluation/{source}--{target}.zarr"
            for source, target in PAIRS
        ],
        checked=CHECKED,
    output:
        cases="results/dependencies/cases.json",
    log:
        "logs/choose_cases.log",
    benchmark:
        "logs/benchmarks/choose_cases.tsv"
    priority: TABLE1_FIRST
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
        min_positives=config["tables"]["table1"]["min_positives"],
    script:
        "../scripts/choose_cases.py"
