#!/bin/sh
# Compares every output that README.md shows with the program's own.
#   sh readme.sh <README.md> <compiler> <include folder> <programs folder> <work folder>
# A block tagged `text` shows the output of the block before it: a `cpp` program, or the last command
# of a block tagged just `sh` when that runs build/release/examples/<program>. A line `...` in it
# stands for any number of lines. At least one program and one command must be shown.
set -eu
readme=$1 compiler=$2 include=$3 programs=$4 work=$5
rm -rf "$work"
mkdir -p "$work"

awk -v work="$work" '
  /^```/ && !inside {
    inside = 1
    block = sprintf("%s/%03d", work, ++blocks)
    print substr($0, 4) >(block ".info")
    printf "" >(block ".body")
    next
  }
  /^```/ { inside = 0; next }
  inside { print >(block ".body") }' "$readme"

shown_programs=0 shown_commands=0 output=none
for info in "$work"/*.info; do
  block=${info%.info}
  tag=$(cat "$info")
  if [ "$output" != none ] && [ "$tag" != text ]; then
    echo "README.md does not show the output of the block before this one:" >&2
    cat "$block.body" >&2
    exit 1
  fi
  case $tag in
    cpp)
      cp "$block.body" "$block.cpp"
      "$compiler" -std=c++17 -Wall -Wextra -Werror -I "$include" "$block.cpp" -o "$block.out"
      "$block.out" >"$block.output"
      output=$block.output
      shown_programs=$((shown_programs + 1))
      ;;
    sh)
      command=$(tail -n 1 "$block.body" | sed 's/^.*&& *//')
      output=none
      case $command in
        build/release/examples/*)
          sh -c "exec \"$programs\"/${command#build/release/examples/}" >"$block.output"
          output=$block.output
          shown_commands=$((shown_commands + 1))
          ;;
      esac
      ;;
    text)
      if [ "$output" = none ]; then
        echo "the block before this one has no output to compare:" >&2
        cat "$block.body" >&2
        exit 1
      fi
      awk '
        FNR == NR { actual[++lines] = $0; next }
        $0 == "..." { skip = 1; next }
        {
          ++line
          while (skip && line <= lines && actual[line] != $0) ++line
          if (line > lines || actual[line] != $0) {
            printf "README.md shows:  %s\nthe program says: %s\n", $0, actual[line]
            exit failed = 1
          }
          skip = 0
        }
        END {
          if (!failed && !skip && line < lines) {
            printf "README.md leaves out: %s\n", actual[line + 1]
            exit 1
          }
        }' "$output" "$block.body"
      output=none
      ;;
    *) output=none ;;
  esac
done
if [ "$shown_programs" -eq 0 ] || [ "$shown_commands" -eq 0 ] || [ "$output" != none ]; then
  echo "README.md shows $shown_programs programs and $shown_commands commands; each needs its output" >&2
  exit 1
fi
echo "$shown_programs programs and $shown_commands commands print what README.md shows"
