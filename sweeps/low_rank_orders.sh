#!/usr/bin/env bash
# low_rank_orders.sh CONFIG TAG [--set key=value]… [--results DIR] [--jobs COUNT]: runs this sweep over CONFIG.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
exec "$root/scripts/ptq" sweep "$root/sweeps/low_rank_orders.toml" "$@"
