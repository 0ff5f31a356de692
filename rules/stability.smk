# in:  results/dependencies/best_subset/{source}--{target}.zarr, second moments, and the logits of the
#      split that dependencies are fitted on
# out: results/stability/{source}--{target}.zarr, how stable the best subsets are


rule measure_stability:
    """Find a pair's best subsets again on random halves of the images, and see what stays."""
    input:
        subsets="results/dependencies/best_subset/{source}--{target}.zarr",
        within="results/moments/{source}--{source}.zarr",
        pair=pair_moments,
        source=f"results/logits/{{source}}/{FIT}.zarr",
        target=f"results/logits/{{target}}/{FIT}.zarr",
    output:
        stability=directory("results/stability/{source}--{target}.zarr"),
    log:
        "logs/measure_stability/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/measure_stability/{source}--{target}.tsv"
    conda:
        REDUCTION_ENV
    threads: 1
    resources:
        mem_mb=with_device(stability_mem_mb),
        runtime=pass_runtime,
        gpu=REDUCTION_GPUS,
    params:
        sizes=config["cards"]["sizes"],
        n_splits=config["stability"]["n_splits"],
        exclude_own=config["covlasso"]["exclude_own"],
        seed=config["seed"],
    script:
        "../scripts/measure_stability.py"


rule tabulate_stability:
    """Write how stable the best subsets of every pair are, and how far those of pairs agree."""
    input:
        stability=[
            f"results/stability/{source}--{target}.zarr"
            for source, target in STABILITY_PAIRS
        ],
        subsets=[
            f"results/dependencies/best_subset/{source}--{target}.zarr"
            for source, target in PAIRS
        ],
    output:
        stability_csv=report(
            "results/tables/stability.csv",
            caption="../report/stability.rst",
            category="Tables",
            subcategory="Stability",
            labels={"table": "stability", "format": "CSV"},
        ),
        stability_html=report(
            "results/tables/stability.html",
            caption="../report/stability.rst",
            category="Tables",
            subcategory="Stability",
            labels={"table": "stability", "format": "table to read"},
        ),
        stability_md="results/tables/stability.md",
        stability_tex="results/tables/stability.tex",
        agreement_csv=report(
            "results/tables/agreement.csv",
            caption="../report/agreement.rst",
            category="Tables",
            subcategory="Stability",
            labels={"table": "agreement of pairs", "format": "CSV"},
        ),
        agreement_html=report(
            "results/tables/agreement.html",
            caption="../report/agreement.rst",
            category="Tables",
            subcategory="Stability",
            labels={"table": "agreement of pairs", "format": "table to read"},
        ),
        agreement_md="results/tables/agreement.md",
        agreement_tex="results/tables/agreement.tex",
    log:
        "logs/tabulate_stability.log",
    benchmark:
        "logs/benchmarks/tabulate_stability.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=solver_mem_mb,
        runtime=minutes(20),
    params:
        sizes=config["cards"]["sizes"],
        seed_groups=SEED_GROUPS,
    script:
        "../scripts/tabulate_stability.py"
