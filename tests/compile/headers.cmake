# The headers through one compiler and one standard, warnings as errors:
#   every header alone, twice, in an otherwise empty file, unless TOGETHER is set;
#   all of them under macros that other programs define;
#   all but the leaves under these and the flags of inference engines.
#   cmake -D COMPILER=<path> -D STANDARD=<flag> -D INCLUDE_DIR=<include root> -D WORK_DIR=<folder>
#         -D OPTIONS=<include flags of other libraries> [-D ONLY=<regex of headers>] [-D TOGETHER=ON]
#         -P headers.cmake
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/system_includes.cmake")
if(NOT COMPILER)
  message("skip: this compiler was not found")
  return()
endif()
separate_arguments(OPTIONS UNIX_COMMAND "${OPTIONS}")

set(failures 0)
# check(<name> <source text> [<flag>...])
function(check name text)
  set(source "${WORK_DIR}/${name}.cpp")
  file(WRITE "${source}" "${text}")
  execute_process(
    COMMAND "${COMPILER}" ${STANDARD} -fsyntax-only -Wall -Wextra -Wpedantic -Wconversion
            -Wsign-conversion -Wshadow -Werror -I "${INCLUDE_DIR}" ${OPTIONS} ${ARGN} "${source}"
    RESULT_VARIABLE result ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message("${name}:\n${text}\n${output}")
    math(EXPR failures "${failures} + 1")
    set(failures ${failures} PARENT_SCOPE)
  endif()
endfunction()

# Headers from elsewhere come before the macros, which are not theirs to survive; when ours include
# them again, nothing is left in them.
set(ours "")
set(ours_without_leaves "")
file(GLOB_RECURSE headers RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/ropewalk/*.hpp")
if(ONLY)
  list(FILTER headers INCLUDE REGEX "${ONLY}")
endif()
foreach(header IN LISTS headers)
  string(REGEX REPLACE "[/.]" "_" name "${header}")
  if(NOT TOGETHER)
    check(alone_${name} "#include <${header}>\n#include <${header}>\n")
  endif()

  string(APPEND ours "#include <${header}>\n")
  if(NOT header MATCHES "^ropewalk/(interop/.*|eigen\\.hpp)$")
    string(APPEND ours_without_leaves "#include <${header}>\n")
  endif()
endforeach()
system_includes(theirs "${INCLUDE_DIR}" ${headers})
set(macros "
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define I (hostile macro I)
#define small char
#define near
#define far
#define None 0L
")
if(NOT ONLY)
  check(hostile "${theirs}\n${macros}\n${ours}")
  check(engine "${theirs}\n${macros}\n${ours_without_leaves}"
        -O3 -ffast-math -fno-exceptions -fno-rtti)
endif()

list(LENGTH headers count)
if(count EQUAL 0 OR failures GREATER 0)
  message(FATAL_ERROR "${failures} failures in ${count} headers")
endif()
message("${count} headers: no warning")
