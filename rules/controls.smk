# in:  results/logits/{model}/{split}.zarr and second moments of the networks that have controls
# out: results/logits/{model}@{control}/{split}.zarr, logits of control networks, which go through all
#      rules of moments and dependencies like any other's;
#      results/controls/{source}--{target}.zarr, sources that nobody searched for


rule make_control_logits:
    """Write the logits of a control network, made from those of a network of the run."""
    input:
        logits="results/logits/{model}/{split}.zarr",
        moments="results/moments/{model}--{model}.zarr",
    output:
        logits=directory("results/logits/{model}@{control}/{split}.zarr"),
    log:
        "logs/make_control_logits/{model}@{control}/{split}.log",
    benchmark:
        "logs/benchmarks/make_control_logits/{model}@{control}/{split}.tsv"
    wildcard_constraints:
        control="gaussian|shuffled|planted",
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=control_mem_mb,
        runtime=minutes(240),
    params:
        seed=config["seed"],
        rows=config["resources"]["rows_per_shard"],
    script:
        "../scripts/make_control_logits.py"


rule extract_untrained:
    """Write the logits of a network with its first random weights."""
    input:
        card="results/networks/{model}/card.json",
        images=expand("results/images/{split}.zarr", split=JUDGED_SPLITS),
    output:
        logits=[
            directory(f"results/logits/{{model}}@untrained/{split}.zarr")
            for split in JUDGED_SPLITS
        ],
    log:
        "logs/extract_untrained/{model}.log",
    benchmark:
        "logs/benchmarks/extract_untrained/{model}.tsv"
    wildcard_constraints:
        model=one_of(NETWORKS),
    conda:
        "../envs/gpu.yaml"
    threads: 1 + config["resources"]["workers"]
    resources:
        mem_mb=extraction_mem_mb,
        runtime=minutes(720),
        gpu=config["resources"]["gpu"],
    params:
        spec=network_spec,
        options=extraction_options,
        rows=config["resources"]["rows_per_shard"],
        seed=config["seed"],
    script:
        "../scripts/extract_untrained.py"


rule evaluate_controls:
    """Judge sources of a pair that nobody searched for: random ones, the nearest, and all."""
    input:
        subsets="results/dependencies/best_subset/{source}--{target}.zarr",
        within="results/moments/{source}--{source}.zarr",
        pair=pair_moments,
        source=f"results/logits/{{source}}/{TEST}.zarr",
        target=f"results/logits/{{target}}/{TEST}.zarr",
    output:
        controls=directory("results/controls/{source}--{target}.zarr"),
    log:
        "logs/evaluate_controls/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/evaluate_controls/{source}--{target}.tsv"
    conda:
        REDUCTION_ENV
    threads: 1
    resources:
        mem_mb=with_device(solver_mem_mb),
        runtime=pass_runtime,
        gpu=REDUCTION_GPUS,
    params:
        sizes=config["controls"]["sizes"],
        exclude_own=config["covlasso"]["exclude_own"],
        seed=config["seed"],
        min_positives=config["tables"]["table1"]["min_positives"],
    script:
        "../scripts/evaluate_controls.py"


rule tabulate_controls:
    """Write what controls and planted dependencies amount to."""
    input:
        evaluations=[
            f"results/dependencies/evaluation/{source}--{target}.zarr"
            for source, target in [*CONTROLLED_PAIRS, *CONTROL_PAIRS]
            if not target.endswith("@planted")
        ],
        controls=[
            f"results/controls/{source}--{target}.zarr"
            for source, target in CONTROLLED_PAIRS
        ],
        subsets=expand(
            "results/dependencies/best_subset/{one}--{one}.zarr", one=PLANTED
        ),
        paths=expand("results/dependencies/covlasso/{one}--{one}.zarr", one=PLANTED),
        planted=expand("results/moments/{one}--{one}.zarr", one=PLANTED),
        moments=[moment_path(*[one.removesuffix("@planted")] * 2) for one in PLANTED],
    output:
        controls_csv=report(
            "results/tables/controls.csv",
            caption="../report/controls.rst",
            category="Tables",
            subcategory="Controls",
            labels={"table": "controls", "format": "CSV"},
        ),
        controls_html=report(
            "results/tables/controls.html",
            caption="../report/controls.rst",
            category="Tables",
            subcategory="Controls",
            labels={"table": "controls", "format": "table to read"},
        ),
        controls_md="results/tables/controls.md",
        controls_tex="results/tables/controls.tex",
        planted_csv=report(
            "results/tables/planted.csv",
            caption="../report/planted.rst",
            category="Tables",
            subcategory="Controls",
            labels={"table": "planted", "format": "CSV"},
        ),
        planted_html=report(
            "results/tables/planted.html",
            caption="../report/planted.rst",
            category="Tables",
            subcategory="Controls",
            labels={"table": "planted", "format": "table to read"},
        ),
        planted_md="results/tables/planted.md",
        planted_tex="results/tables/planted.tex",
    log:
        "logs/tabulate_controls.log",
    benchmark:
        "logs/benchmarks/tabulate_controls.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=solver_mem_mb,
        runtime=minutes(20),
    params:
        sizes=config["controls"]["sizes"],
        split=TEST,
        seed=config["seed"],
    script:
        "../scripts/tabulate_controls.py"
