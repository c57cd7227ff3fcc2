#!/bin/sh
# Deprecated: use `ai-dev-bench batch NAME`.
name=${1:-}
[ -n "$name" ] || { echo "usage: $0 NAME (or rather: ai-dev-bench batch quick)" >&2; exit 2; }
shift
echo "deprecated: $0; use: ai-dev-bench batch $name $*" >&2
root=$(cd "$(dirname "$0")/.." && pwd) || exit 2
exec "${PYTHON:-python3}" -m ai_dev_tools.cli.benchmark_cli batch "$name" --root "$root" "$@"
