# in:  results/dependencies/covlasso/{model}--{model}.zarr, results/networks/{model}/, results/images/
# out: results/robustness/{model}/seed{seed}.zarr, results/tables/table3.{csv,md,tex}


rule choose_pair:
    """Choose the pair of categories whose dependency is cut off."""
    input:
        paths="results/dependencies/covlasso/{model}--{model}.zarr",
        bitmaps=(
            "results/images/bitmaps.zarr"
            if config["dataset"]["kind"] == "glyphs"
            else []
        ),
    output:
        pair="results/robustness/{model}/pair.json",
    log:
        "logs/choose_pair/{model}.log",
    benchmark:
        "logs/benchmarks/choose_pair/{model}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=solver_mem_mb,
        runtime=minutes(20),
    params:
        wanted=lambda wildcards: wanted_pair(wildcards.model),
        support_size=ROBUSTNESS["choose_pair"]["support_size"],
        shape_quantile=ROBUSTNESS["choose_pair"]["shape_quantile"],
    script:
        "../scripts/choose_pair.py"


rule finetune_arm:
    """Fine-tune one arm, with or without the penalty."""
    input:
        unpack(training_images),
        unpack(arm_inputs),
        card="results/networks/{model}/card.json",
    output:
        checkpoint="results/robustness/{model}/seed{seed}/{arm}/model.safetensors",
        curve="results/robustness/{model}/seed{seed}/{arm}/curve.csv",
    log:
        "logs/finetune_arm/{model}/{seed}/{arm}.log",
    benchmark:
        "logs/benchmarks/finetune_arm/{model}/{seed}/{arm}.tsv"
    wildcard_constraints:
        model=one_of(ROBUST_MODELS),
        arm=one_of(FINETUNED),
    conda:
        "../envs/gpu.yaml"
    threads: training_threads
    resources:
        mem_mb=training_mem_mb,
        runtime=minutes(1440),
        gpu=training_gpus,
    params:
        spec=network_spec,
        options=arm_options,
        penalty=arm_penalty,
        samples_per_category=ROBUSTNESS["finetune"]["samples_per_category"],
        valid_samples_per_category=ROBUSTNESS["finetune"]["valid_samples_per_category"],
    script:
        "../scripts/finetune_arm.py"


rule extract_arm:
    """Write one arm's logits of every set of images, in one start of the network."""
    input:
        checkpoint=arm_checkpoint,
        card="results/networks/{model}/card.json",
        images=expand("results/images/{split}.zarr", split=ROBUST_SPLITS),
    output:
        logits=[
            temp(
                directory(
                    f"results/robustness/{{model}}/seed{{seed}}/{{arm}}/{split}.zarr"
                )
            )
            for split in ROBUST_SPLITS
        ],
    log:
        "logs/extract_arm/{model}/{seed}/{arm}.log",
    benchmark:
        "logs/benchmarks/extract_arm/{model}/{seed}/{arm}.tsv"
    wildcard_constraints:
        model=one_of(ROBUST_MODELS),
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
        "../scripts/extract_arm.py"


rule measure_robustness:
    """Measure all arms of one network and seed on the same images."""
    input:
        fit=arm_logits("fit"),
        test=arm_logits("test"),
        ood=arm_logits("ood"),
        pair="results/robustness/{model}/pair.json",
    output:
        measures=directory("results/robustness/{model}/seed{seed}.zarr"),
    log:
        "logs/measure_robustness/{model}/{seed}.log",
    benchmark:
        "logs/benchmarks/measure_robustness/{model}/{seed}.tsv"
    conda:
        REDUCTION_ENV
    threads: 1
    resources:
        mem_mb=with_device(arm_mem_mb),
        runtime=minutes(120),
        gpu=REDUCTION_GPUS,
    params:
        arms=ROBUST_ARMS,
        dataset=DATASET,
        centering=config["centering"],
        ood_categories=ROBUSTNESS["ood_categories"],
        alpha=config["covlasso"]["alpha"],
        relative_alpha=config["covlasso"]["relative_alpha"],
    script:
        "../scripts/measure_robustness.py"


rule tabulate_robustness:
    """Write Table 3: every arm, and its differences from the control."""
    input:
        measures=[
            f"results/robustness/{model}/seed{seed}.zarr"
            for model in ROBUST_MODELS
            for seed in ROBUST_SEEDS
        ],
        checked=CHECKED,
        paper=PAPER_TABLES,
    output:
        csv=report(
            "results/tables/table3.csv",
            caption="../report/table3.rst",
            category="Tables",
            subcategory="Table 3",
            labels={"table": "robustness", "format": "CSV"},
        ),
        html=report(
            "results/tables/table3.html",
            caption="../report/table3.rst",
            category="Tables",
            subcategory="Table 3",
            labels={"table": "robustness", "format": "table to read"},
        ),
        md="results/tables/table3.md",
        tex="results/tables/table3.tex",
    log:
        "logs/tabulate_robustness.log",
    benchmark:
        "logs/benchmarks/tabulate_robustness.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(60),
    params:
        models=ROBUST_MODELS,
        n_seeds=len(ROBUST_SEEDS),
        weight=ROBUSTNESS["penalty_weight"],
        finetune=ROBUSTNESS["finetune"],
        start_epochs=ROBUSTNESS["start_epochs"],
        n_bootstrap=ROBUSTNESS["n_bootstrap"],
        seed=config["seed"],
    script:
        "../scripts/tabulate_robustness.py"
