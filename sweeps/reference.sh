#!/usr/bin/env bash
# reference.sh CONFIG TAG [--set key=value]… [--results DIR] [--jobs COUNT]: the sweep of this name over CONFIG.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
exec "$root/scripts/ptq" sweep "$root/sweeps/reference.toml" "$@"
