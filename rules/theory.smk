# in:  results/logits/{model}/{split}.zarr of the split that dependencies are fitted on,
#      results/dependencies/covlasso/{source}--{target}.zarr and the second moments
# out: results/theory/redundancy/{model}.zarr, err(0) and the rank of a network's logits;
#      results/theory/sparsity/{source}--{target}.zarr, Eq. 5, Theorem 3 and Conjecture 1


rule measure_redundancy:
    """Measure err(0) of every category of a network, and the rank of its logits."""
    input:
        logits=f"results/logits/{{model}}/{FIT}.zarr",
    output:
        redundancy=directory("results/theory/redundancy/{model}.zarr"),
    log:
        "logs/measure_redundancy/{model}.log",
    benchmark:
        "logs/benchmarks/measure_redundancy/{model}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=redundancy_mem_mb,
        runtime=pass_runtime,
    params:
        centering=config["centering"],
        precision=lambda wildcards: (
            "float32"
            if wildcards.model in IMPORTED
            else config["extraction"]["precision"]
        ),
    script:
        "../scripts/measure_redundancy.py"


rule check_sparsity:
    """Hold Eq. 5, Theorem 3 and Conjecture 1 against every CovLasso solution of a pair."""
    input:
        unpack(known_redundancy),
        paths="results/dependencies/covlasso/{source}--{target}.zarr",
        within="results/moments/{source}--{source}.zarr",
        pair=pair_moments,
    output:
        sparsity=directory("results/theory/sparsity/{source}--{target}.zarr"),
    log:
        "logs/check_sparsity/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/check_sparsity/{source}--{target}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=solver_mem_mb,
        runtime=minutes(60),
    params:
        exclude_own=config["covlasso"]["exclude_own"],
    script:
        "../scripts/check_sparsity.py"


rule tabulate_theory:
    """Write what redundancy and sparsity amount to: a row per network, and per pair and penalty."""
    input:
        redundancy=(
            expand("results/theory/redundancy/{model}.zarr", model=MODELS)
            if config["theory"]["redundancy"]
            else []
        ),
        cards=expand("results/networks/{model}/card.json", model=NETWORKS),
        sparsity=[
            f"results/theory/sparsity/{source}--{target}.zarr"
            for source, target in PAIRS
        ],
    output:
        redundancy_csv=report(
            "results/tables/redundancy.csv",
            caption="../report/redundancy.rst",
            category="Tables",
            subcategory="Theory",
            labels={"table": "redundancy", "format": "CSV"},
        ),
        redundancy_html=report(
            "results/tables/redundancy.html",
            caption="../report/redundancy.rst",
            category="Tables",
            subcategory="Theory",
            labels={"table": "redundancy", "format": "table to read"},
        ),
        redundancy_md="results/tables/redundancy.md",
        redundancy_tex="results/tables/redundancy.tex",
        sparsity_csv=report(
            "results/tables/sparsity.csv",
            caption="../report/sparsity.rst",
            category="Tables",
            subcategory="Theory",
            labels={"table": "sparsity", "format": "CSV"},
        ),
        sparsity_html=report(
            "results/tables/sparsity.html",
            caption="../report/sparsity.rst",
            category="Tables",
            subcategory="Theory",
            labels={"table": "sparsity", "format": "table to read"},
        ),
        sparsity_md="results/tables/sparsity.md",
        sparsity_tex="results/tables/sparsity.tex",
    log:
        "logs/tabulate_theory.log",
    benchmark:
        "logs/benchmarks/tabulate_theory.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        described=NETWORKS,
        sizes=config["cards"]["sizes"],
    script:
        "../scripts/tabulate_theory.py"
