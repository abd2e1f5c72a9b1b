#!/bin/bash
# The device tests over a few shapes under compute-sanitizer: memory out of bounds, races in shared
# memory, memory that nobody wrote, barriers. Needs a card and the CUDA Toolkit, from the top of the tree:
#   bash tests/cuda/device/sanitize.sh [architecture] [shapes] [family...]
#   bash tests/cuda/device/sanitize.sh 90 8 attention decode
# Exit code 0: every run was clean. 77: no compute-sanitizer.
set -euo pipefail
architecture=${1:-90}
shapes=${2:-8}
families=("${@:3}")
[ ${#families[@]} -gt 0 ] || families=(rotary attention decode gradient)
if ! command -v compute-sanitizer >/dev/null; then
  echo "compute-sanitizer was not found: nothing was checked"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
for family in "${families[@]}"; do
  nvcc -std=c++17 -lineinfo -arch="sm_$architecture" -I include -I cuda/include -I tests \
    -o "$work/$family" "tests/cuda/device/$family.cu"
  for tool in memcheck racecheck initcheck synccheck; do
    echo "== $family, $tool, $shapes shapes"
    compute-sanitizer --tool "$tool" --error-exitcode 3 "$work/$family" "$shapes" || failed=1
  done
done
exit $failed
