# Units of one program may have different -m flags: what a definition says must not depend on them,
# or the linker would give one unit's kernel to another. The only words that may are the aliases
# `using Native... = ...`.
#   cmake -D COMPILER=<path> -D NM=<path> -D INCLUDE_DIR=<include root> -D WORK_DIR=<folder>
#         -P unit_flags.cmake
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND "${COMPILER}" -dumpmachine OUTPUT_VARIABLE machine)
if(NOT machine MATCHES "x86_64")
  message("skip: only x86-64 has units of different flags here")
  return()
endif()
file(MAKE_DIRECTORY "${WORK_DIR}")
set(flags_plain "")
set(flags_avx2 -mavx2 -mfma -mf16c)
set(flags_avx512 -march=skylake-avx512)
set(flags_ifma -march=icelake-server)
set(needs_avx2 [[__builtin_cpu_supports("avx2")]])
set(needs_avx512 [[__builtin_cpu_supports("avx512bw")]])
set(needs_ifma [[(__builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("avx512vbmi2"))]])

# 1. The text of the headers, under every set of flags. Headers from elsewhere, which may depend on
# them, are replaced by empty ones.
file(GLOB headers RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/ropewalk/*.hpp"
     "${INCLUDE_DIR}/ropewalk/simd/*.hpp")
list(FILTER headers EXCLUDE REGEX "eigen.hpp|_neon.hpp")
set(text "")
foreach(header IN LISTS headers)
  string(APPEND text "#include <${header}>\n")
endforeach()
file(WRITE "${WORK_DIR}/headers.cpp" "${text}")
file(GLOB_RECURSE sources "${INCLUDE_DIR}/ropewalk/*.hpp")
foreach(source IN LISTS sources)
  file(STRINGS "${source}" lines REGEX "^#include <[^/>]+>")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^#include <([^>]+)>.*" "\\1" name "${line}")
    file(WRITE "${WORK_DIR}/empty/${name}" "")
  endforeach()
endforeach()

# text_of(<result> <directory> <flag>...): the headers without comments, directives and aliases.
function(text_of result directory source)
  execute_process(COMMAND "${COMPILER}" -std=c++17 ${ARGN} -E -P -nostdinc
                          -I "${directory}" -I "${WORK_DIR}/empty" "${source}"
                  OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX REPLACE "using Native[A-Za-z]* =[^;]*;" "" output "${output}")
  set(${result} "${output}" PARENT_SCOPE)
endfunction()

file(WRITE "${WORK_DIR}/planted.cpp" "#ifdef __AVX2__\nint lanes = 8;\n#else\nint lanes = 4;\n#endif\n")
text_of(planted_plain "${INCLUDE_DIR}" "${WORK_DIR}/planted.cpp")
text_of(planted_avx2 "${INCLUDE_DIR}" "${WORK_DIR}/planted.cpp" ${flags_avx2})
if(planted_plain STREQUAL planted_avx2)
  message(FATAL_ERROR "a planted dependence on flags was not seen")
endif()
text_of(expected "${INCLUDE_DIR}" "${WORK_DIR}/headers.cpp" ${flags_plain})
if(NOT expected MATCHES "struct Avx512Phase")
  message(FATAL_ERROR "the kernels are not in the text that is compared")
endif()
foreach(unit IN ITEMS avx2 avx512 ifma)
  text_of(found "${INCLUDE_DIR}" "${WORK_DIR}/headers.cpp" ${flags_${unit}})
  if(NOT found STREQUAL expected)
    file(WRITE "${WORK_DIR}/expected.txt" "${expected}")
    file(WRITE "${WORK_DIR}/found.txt" "${found}")
    message(FATAL_ERROR "with ${flags_${unit}} the headers say something else: compare "
                        "${WORK_DIR}/expected.txt and found.txt")
  endif()
endforeach()

# 2. A program of four units: right results from each, and no native table or conversion shared.
set(objects "")
set(list "")
foreach(unit IN ITEMS avx2 avx512 ifma)
  string(APPEND list " DO(${unit}, ${needs_${unit}})")
endforeach()
set(source "${CMAKE_CURRENT_LIST_DIR}/unit_flags.cpp")
foreach(unit IN ITEMS plain avx2 avx512 ifma)
  set(definitions "-DROPEWALK_UNIT=${unit}")
  if(unit STREQUAL "plain")
    list(APPEND definitions "-DROPEWALK_UNITS(DO)=${list}")
  endif()
  execute_process(COMMAND "${COMPILER}" -std=c++17 -O0 ${flags_${unit}} ${definitions}
                          -I "${INCLUDE_DIR}" -c "${source}" -o "${WORK_DIR}/${unit}.o"
                  COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND objects "${WORK_DIR}/${unit}.o")
  execute_process(COMMAND "${NM}" --demangle --defined-only "${WORK_DIR}/${unit}.o"
                  OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]*(phase_table<|fill_phase_rows<|simd::convert<)[^\n]*" symbols
         "${output}")
  list(TRANSFORM symbols REPLACE "^[0-9a-f]+ " "")
  if(NOT symbols)
    message(FATAL_ERROR "${NM} shows no table in the unit ${unit}")
  endif()
  foreach(other IN LISTS all_symbols)
    if(other IN_LIST symbols AND NOT other MATCHES "convert<ropewalk::v0::simd::Avx512Convert")
      message(FATAL_ERROR "two units share ${other}")
    endif()
  endforeach()
  list(APPEND all_symbols ${symbols})
endforeach()
execute_process(COMMAND "${COMPILER}" ${objects} -o "${WORK_DIR}/unit_flags"
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${WORK_DIR}/unit_flags" COMMAND_ERROR_IS_FATAL ANY)
message("four units, one text, right results")
