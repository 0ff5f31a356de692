# in:  the configuration of every network, results/images/
# out: results/networks/{model}/card.json, and model.safetensors and curve.csv of those trained here;
#      results/networks/{model}/seed{seed}/baseline/ of further seeds, start/ of their first epochs


rule check_network:
    """Check a network before any long work: it can be built, loaded and run; describe it."""
    input:
        checkpoint=own_checkpoint,
    output:
        card="results/networks/{model}/card.json",
    log:
        "logs/check_network/{model}.log",
    benchmark:
        "logs/benchmarks/check_network/{model}.tsv"
    wildcard_constraints:
        model=one_of(NETWORKS),
    priority: CHECKS_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(10),
    params:
        spec=network_spec,
        n_categories=N_CATEGORIES,
        dataset=config["dataset"]["kind"],
        img_size=config["dataset"]["img_size"],
    script:
        "../scripts/check_network.py"


rule train_backbone:
    """Train a network from scratch, on fresh poses of the glyphs or on photos."""
    input:
        unpack(training_images),
        card="results/networks/{model}/card.json",
        begun=training_begun,
    output:
        checkpoint="results/networks/{model}/model.safetensors",
        curve="results/networks/{model}/curve.csv",
    log:
        "logs/train_backbone/{model}.log",
    benchmark:
        "logs/benchmarks/train_backbone/{model}.tsv"
    wildcard_constraints:
        model=one_of(TRAINED),
    priority: TABLE1_FIRST
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
        seed=training_seed,
        stop_after=None,
    script:
        "../scripts/train_backbone.py"


use rule train_backbone as train_start with:
    """Train the first epochs of the schedule: where fine-tuning starts, and the baseline goes on."""
    input:
        unpack(training_images),
        card="results/networks/{model}/card.json",
        begun=[],
    output:
        checkpoint="results/networks/{model}/seed{seed}/start/model.safetensors",
        curve="results/networks/{model}/seed{seed}/start/curve.csv",
        state=temp("results/networks/{model}/seed{seed}/start/last.ckpt"),
    log:
        "logs/train_start/{model}/{seed}.log",
    benchmark:
        "logs/benchmarks/train_start/{model}/{seed}.tsv"
    params:
        seed=lambda wildcards: int(wildcards.seed),
        stop_after=START_EPOCHS,


use rule train_backbone as train_baseline with:
    """Train another seed's baseline; the first is the main job's."""
    output:
        checkpoint="results/networks/{model}/seed{seed}/baseline/model.safetensors",
        curve="results/networks/{model}/seed{seed}/baseline/curve.csv",
    log:
        "logs/train_baseline/{model}/{seed}.log",
    benchmark:
        "logs/benchmarks/train_baseline/{model}/{seed}.tsv"
    params:
        seed=lambda wildcards: int(wildcards.seed),
