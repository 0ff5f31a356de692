# in:  results/images/, results/networks/{model}/, results/logits/{model}/
# out: results/generalizability/, results/tables/table{2,4}.{csv,md,tex}, logs/tables/table2_times.csv


localrules:
    split_categories,


rule split_categories:
    """Draw the categories that a base network is not to know."""
    input:
        images=categories_store(GENERAL_SPLIT),
    output:
        categories="results/generalizability/categories/{setting}_seed{seed}.csv",
    log:
        "logs/split_categories/{setting}_seed{seed}.log",
    benchmark:
        "logs/benchmarks/split_categories/{setting}_seed{seed}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(5),
    params:
        n_new=lambda wildcards: {**SETTINGS, SETTING_OF_ONE: 1}[wildcards.setting],
    script:
        "../scripts/split_categories.py"


rule render_balanced:
    """Draw as many images of the one new category as of all the others."""
    input:
        bitmaps="results/images/bitmaps.zarr",
        categories=f"results/generalizability/categories/{SETTING_OF_ONE}_seed{{seed}}.csv",
    output:
        images=directory("results/generalizability/images/balanced_seed{seed}.zarr"),
    log:
        "logs/render_balanced/{seed}.log",
    benchmark:
        "logs/benchmarks/render_balanced/{seed}.tsv"
    wildcard_constraints:
        seed=one_of(map(str, GENERAL_SEEDS) if GLYPH_SPLITS else []),
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(10),
    params:
        n_each=GENERAL["balanced"],
        img_size=config["dataset"]["img_size"],
    script:
        "../scripts/render_balanced.py"


rule index_balanced:
    """Index as many photos of the one new category as of all the others."""
    input:
        index=f"results/images/{GENERAL_SPLIT}.zarr",
        categories=f"results/generalizability/categories/{SETTING_OF_ONE}_seed{{seed}}.csv",
    output:
        images=directory("results/generalizability/images/balanced_seed{seed}.zarr"),
    log:
        "logs/index_balanced/{seed}.log",
    benchmark:
        "logs/benchmarks/index_balanced/{seed}.tsv"
    wildcard_constraints:
        seed=one_of(map(str, GENERAL_SEEDS) if PHOTO_SPLITS else []),
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(120),
    params:
        n_each=GENERAL["balanced"],
    script:
        "../scripts/index_balanced.py"


rule train_base:
    """Train a network on the base categories alone."""
    input:
        unpack(training_images),
        categories=categories_path,
        card="results/networks/{model}/card.json",
    output:
        checkpoint="results/generalizability/{model}/{setting}/seed{seed}/model.safetensors",
        curve="results/generalizability/{model}/{setting}/seed{seed}/curve.csv",
        card="results/generalizability/{model}/{setting}/seed{seed}/card.json",
    log:
        "logs/train_base/{model}/{setting}/{seed}.log",
    benchmark:
        "logs/benchmarks/train_base/{model}/{setting}/{seed}.tsv"
    wildcard_constraints:
        model=one_of(GENERAL_MODELS),
        setting=one_of([*SETTINGS, SETTING_OF_ONE]),
    conda:
        "../envs/gpu.yaml"
    threads: training_threads
    resources:
        mem_mb=training_mem_mb,
        runtime=minutes(1440),
        gpu=training_gpus,
    params:
        spec=network_spec,
        options=training_options,
        samples_per_category=lambda wildcards: model_spec(wildcards)["train"][
            "samples_per_category"
        ],
        valid_samples_per_category=lambda wildcards: model_spec(wildcards)["train"][
            "valid_samples_per_category"
        ],
    script:
        "../scripts/train_base.py"


rule extract_base_logits:
    """Write a base network's logits of a set of images of all categories, base and new."""
    input:
        unpack(base_inputs),
        images=base_images,
    output:
        logits=directory(
            "results/generalizability/{model}/{setting}/seed{seed}/logits/{split}.zarr"
        ),
    log:
        "logs/extract_base_logits/{model}/{setting}/{seed}/{split}.log",
    benchmark:
        "logs/benchmarks/extract_base_logits/{model}/{setting}/{seed}/{split}.tsv"
    wildcard_constraints:
        model=one_of(GENERAL_MODELS),
        split=one_of([*SPLITS, "balanced"]),
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
    script:
        "../scripts/extract_base_logits.py"


rule fit_new_categories:
    """Learn the new categories as linear combinations of the stored logits, every variant."""
    input:
        logits=lambda wildcards: base_logits(wildcards, GENERAL_SPLIT),
        categories=categories_path,
    output:
        weights=directory(
            "results/generalizability/{model}/{setting}/seed{seed}/{task}/weights.zarr"
        ),
    log:
        text="logs/fit_new_categories/{model}/{setting}/{seed}/{task}.log",
        times="logs/fit_new_categories/{model}/{setting}/{seed}/{task}.csv",
    benchmark:
        "logs/benchmarks/fit_new_categories/{model}/{setting}/{seed}/{task}.tsv"
    wildcard_constraints:
        model=one_of(GENERAL_MODELS),
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=learning_mem_mb,
        runtime=minutes(720),
    params:
        variants={
            name: in_order(variant) for name, variant in GENERAL["variants"].items()
        },
        samples_per_category=GENERAL["samples_per_category"],
        held_out_every=GENERAL["held_out_every"],
        binary=lambda wildcards: wildcards.task == "balanced",
    script:
        "../scripts/fit_new_categories.py"


rule evaluate_new_categories:
    """Evaluate base and new categories together, and the baseline, on held-out images."""
    input:
        weights="results/generalizability/{model}/{setting}/seed{seed}/{task}/weights.zarr",
        logits=lambda wildcards: base_logits(wildcards, TEST),
        baseline=baseline_logits,
        categories=categories_path,
    output:
        evaluation=directory(
            "results/generalizability/{model}/{setting}/seed{seed}/{task}/evaluation.zarr"
        ),
    log:
        "logs/evaluate_new_categories/{model}/{setting}/{seed}/{task}.log",
    benchmark:
        "logs/benchmarks/evaluate_new_categories/{model}/{setting}/{seed}/{task}.tsv"
    wildcard_constraints:
        model=one_of(GENERAL_MODELS),
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(60),
    params:
        binary=lambda wildcards: wildcards.task == "balanced",
    script:
        "../scripts/evaluate_new_categories.py"


rule tabulate_generalizability:
    """Write Tables 2 and 4: new categories learned from base categories, against the baseline."""
    input:
        evaluations=expand("{run}/evaluation.zarr", run=GENERAL_RUNS),
        paper=PAPER_TABLES,
    output:
        table2_csv=report(
            "results/tables/table2.csv",
            caption="../report/table2.rst",
            category="Tables",
            subcategory="Table 2",
            labels={"table": "new categories", "format": "CSV"},
        ),
        table2_html=report(
            "results/tables/table2.html",
            caption="../report/table2.rst",
            category="Tables",
            subcategory="Table 2",
            labels={"table": "new categories", "format": "table to read"},
        ),
        table2_md="results/tables/table2.md",
        table2_tex="results/tables/table2.tex",
        table4_csv=report(
            "results/tables/table4.csv",
            caption="../report/table4.rst",
            category="Tables",
            subcategory="Table 4",
            labels={"table": "base and new apart", "format": "CSV"},
        ),
        table4_html=report(
            "results/tables/table4.html",
            caption="../report/table4.rst",
            category="Tables",
            subcategory="Table 4",
            labels={"table": "base and new apart", "format": "table to read"},
        ),
        table4_md="results/tables/table4.md",
        table4_tex="results/tables/table4.tex",
    log:
        "logs/tabulate_generalizability.log",
    benchmark:
        "logs/benchmarks/tabulate_generalizability.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        dataset=DATASET,
        default=GENERAL["default_variant"],
        split=GENERAL_SPLIT,
        test=TEST,
    script:
        "../scripts/tabulate_generalizability.py"


rule tabulate_times:
    """Gather what trainings and the learning of new categories took; times are no results."""
    input:
        evaluations=expand("{run}/evaluation.zarr", run=GENERAL_RUNS),
    output:
        times="logs/tables/table2_times.csv",
    log:
        "logs/tabulate_times.log",
    benchmark:
        "logs/benchmarks/tabulate_times.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(5),
    params:
        # no input: whoever removes the logs does not train anew
        trainings=[
            {
                "model": model,
                "setting": setting,
                "seed": seed,
                "epochs": config["models"][model]["train"]["epochs"],
                "benchmarks": training_benchmarks(model, setting, seed),
            }
            for model in GENERAL_MODELS
            for setting in [BASELINE, *SETTINGS]
            for seed in GENERAL_SEEDS
        ],
        extraction=expand(
            "logs/benchmarks/extract_base_logits/{model}/{setting}/{seed}/{split}.tsv",
            model=GENERAL_MODELS,
            setting=SETTINGS,
            seed=GENERAL_SEEDS,
            split=GENERAL_SPLIT,
        ),
        learning=expand(
            "logs/fit_new_categories/{model}/{setting}/{seed}/multiclass.csv",
            model=GENERAL_MODELS,
            setting=SETTINGS,
            seed=GENERAL_SEEDS,
        ),
    script:
        "../scripts/tabulate_times.py"
