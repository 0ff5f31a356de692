# in:  results/logits/{model}/{split}.zarr, the split that dependencies are fitted on
# out: results/moments/{source}--{target}.zarr, one per unordered pair (names sorted)


rule reduce_second_moment:
    """Reduce the logits of two networks to their uncentred second moment, float64."""
    input:
        source=f"results/logits/{{source}}/{FIT}.zarr",
        target=f"results/logits/{{target}}/{FIT}.zarr",
    output:
        moments=directory("results/moments/{source}--{target}.zarr"),
    log:
        "logs/reduce_second_moment/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/reduce_second_moment/{source}--{target}.tsv"
    priority: table1_first
    conda:
        REDUCTION_ENV
    threads: 1
    resources:
        mem_mb=with_device(moment_mem_mb),
        runtime=pass_runtime,
        gpu=REDUCTION_GPUS,
    params:
        centering=config["centering"],
    script:
        "../scripts/reduce_second_moment.py"
