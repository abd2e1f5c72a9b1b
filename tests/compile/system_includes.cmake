# system_includes(<result> <include root> <header>...): source text that includes what the headers
# include from elsewhere, each once; intrinsics only on the processor they are for.
function(system_includes result include_dir)
  set(lines "")
  foreach(header IN LISTS ARGN)
    file(STRINGS "${include_dir}/${header}" includes REGEX "^#include <[^>]*>")
    list(FILTER includes EXCLUDE REGEX "<ropewalk/")
    list(APPEND lines ${includes})
  endforeach()
  list(REMOVE_DUPLICATES lines)
  list(JOIN lines "\n" text)
  string(REPLACE "#include <arm_neon.h>" "#if defined(__ARM_NEON)\n#include <arm_neon.h>\n#endif"
         text "${text}")
  string(REPLACE "#include <immintrin.h>" "#if defined(__SSE2__)\n#include <immintrin.h>\n#endif"
         text "${text}")
  set(${result} "${text}\n" PARENT_SCOPE)
endfunction()

# own_includes(<result> <header>...): source text that includes every one of them.
function(own_includes result)
  list(TRANSFORM ARGN REPLACE "^(.+)$" "#include <\\1>\n")
  string(CONCAT text ${ARGN})
  set(${result} "${text}" PARENT_SCOPE)
endfunction()
