#!/bin/bash
# Seconds of processor time that a compiler needs for one file that includes the umbrella header: best
# and median of nine runs, beside the same for an empty file and for the standard headers the library
# uses. Processor time, because other work on the machine hardly changes it.
#   bash compile_time.sh [compiler] [include folder]
set -euo pipefail
TIMEFORMAT='%U %S'
compiler=${1:-g++}
include=${2:-$(dirname "$0")/../include}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo 'int main() { return 0; }' >"$work/empty.cpp"
{
  # The umbrella's own standard headers; interop/ and eigen.hpp are not part of it.
  find "$include/ropewalk" -name '*.hpp' ! -path '*/interop/*' ! -name eigen.hpp \
    -exec sed -n 's/^#include <\([a-z_]*\)>$/#include <\1>/p' {} + | sort -u
  cat "$work/empty.cpp"
} >"$work/standard.cpp"
{
  echo '#include <ropewalk/ropewalk.hpp>'
  cat "$work/empty.cpp"
} >"$work/umbrella.cpp"

"$compiler" --version | head -n 1
for name in empty standard umbrella; do
  for run in 1 2 3 4 5 6 7 8 9; do
    { time "$compiler" -std=c++17 -O2 -I "$include" -c "$work/$name.cpp" -o "$work/$name.o"; } 2>&1
  done | awk '{ print $1 + $2 }' | sort -n | awk -v name="$name" '
    { seconds[NR] = $1 }
    END { printf "%-9s best %.3f s, median %.3f s\n", name, seconds[1], seconds[5] }'
done
