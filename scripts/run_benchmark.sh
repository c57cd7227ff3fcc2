#!/bin/sh
# Deprecated: use `ai-dev-bench run --profile PROFILE`.
profile=${1:-}
[ -n "$profile" ] || { echo "usage: $0 PROFILE (or rather: ai-dev-bench run --profile PROFILE)" >&2; exit 2; }
shift
echo "deprecated: $0; use: ai-dev-bench run --profile $profile $*" >&2
root=$(cd "$(dirname "$0")/.." && pwd) || exit 2
exec "${PYTHON:-python3}" -m ai_dev_tools.cli.benchmark_cli run --root "$root" --profile "$profile" "$@"
