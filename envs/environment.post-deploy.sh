#!/usr/bin/env bash
# Snakemake runs this once in a new environment: jobs there get the very package that the Snakefile imports.
set -eu
packages=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
ln -sfn "${AI_DEV_BENCH_PACKAGE:?is set by the Snakefile of this workflow}" "$packages/ai_dev_tools"
