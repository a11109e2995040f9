#!/usr/bin/env bash
# lqer_act_w_only.sh CONFIG TAG [--set key=value]… [--results DIR] [--jobs COUNT]: runs this sweep over CONFIG.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
exec "$root/scripts/ptq" sweep "$root/sweeps/lqer_act_w_only.toml" "$@"
