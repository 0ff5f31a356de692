# in:  nothing: the characters are listed in neuraldeps/assets, the fonts are matplotlib's;
#      or photos, wherever the configuration says they are
# out: results/images/bitmaps.zarr, results/images/{split}.zarr, results/images/categories.csv


rule render_bitmaps:
    """Draw every character in every face: what training draws fresh poses from."""
    output:
        bitmaps=directory("results/images/bitmaps.zarr"),
    log:
        "logs/render_bitmaps.log",
    benchmark:
        "logs/benchmarks/render_bitmaps.tsv"
    priority: TABLE1_FIRST
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(10),
    params:
        n_categories=N_CATEGORIES,
        n_ood=config["dataset"]["n_ood"],
    script:
        "../scripts/render_bitmaps.py"


rule render_glyphs:
    """Draw one fixed set of images: every character equally often, in random faces and poses."""
    input:
        bitmaps="results/images/bitmaps.zarr",
    output:
        images=directory("results/images/{split}.zarr"),
    log:
        "logs/render_glyphs/{split}.log",
    benchmark:
        "logs/benchmarks/render_glyphs/{split}.tsv"
    wildcard_constraints:
        split=one_of(GLYPH_SPLITS),
    priority: TABLE1_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=render_mem_mb,
        runtime=minutes(30),
    params:
        samples_per_category=glyphs_per_category,
        img_size=config["dataset"]["img_size"],
        seed=config["seed"],
    script:
        "../scripts/render_glyphs.py"


rule index_images:
    """Index one set of photos: paths, labels and categories, no pixels."""
    input:
        tables=given_tables,
        fit=categories_of_fit,
    output:
        images=directory("results/images/{split}.zarr"),
    log:
        "logs/index_images/{split}.log",
    benchmark:
        "logs/benchmarks/index_images/{split}.tsv"
    wildcard_constraints:
        split=one_of(PHOTO_SPLITS),
    priority: CHECKS_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(120),
    params:
        spec=split_spec,
        categories=config["dataset"]["categories"],
        n_categories=N_CATEGORIES,
        folders_name_categories=folders_name_categories,
        seed=config["seed"],
    script:
        "../scripts/index_images.py"


localrules:
    check_categories,


rule check_categories:
    """Check that every category that the configuration names is there, and list them all."""
    input:
        images=categories_store(FIT),
    output:
        table="results/images/categories.csv",
    log:
        "logs/check_categories.log",
    benchmark:
        "logs/benchmarks/check_categories.tsv"
    priority: CHECKS_FIRST + 1
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(10),
    params:
        named=lambda wildcards: named_categories(),
    script:
        "../scripts/check_categories.py"
