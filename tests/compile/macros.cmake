# Macros that remain defined after every header was included, against those that the standard
# library and other libraries had defined already.
#   cmake -D COMPILER=<path> -D INCLUDE_DIR=<include root> -D WORK_DIR=<folder> -D OPTIONS=<flags>
#         -P macros.cmake
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/system_includes.cmake")
separate_arguments(OPTIONS UNIX_COMMAND "${OPTIONS}")

function(defined_macros result name text)
  file(WRITE "${WORK_DIR}/${name}.cpp" "${text}")
  execute_process(
    COMMAND "${COMPILER}" -std=c++17 -I "${INCLUDE_DIR}" ${OPTIONS} -E -dM "${WORK_DIR}/${name}.cpp"
    OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "#define [A-Za-z0-9_]+" definitions "${output}")
  list(TRANSFORM definitions REPLACE "#define " "")
  set(${result} "${definitions}" PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE headers RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/ropewalk/*.hpp")
own_includes(ours ${headers})
system_includes(others "${INCLUDE_DIR}" ${headers})
defined_macros(with ours "${ours}")
defined_macros(without others "${others}")

list(REMOVE_ITEM with ${without})
list(LENGTH with count)
if(NOT "ROPEWALK_VERSION_MAJOR" IN_LIST with)
  message(FATAL_ERROR "the headers' own macros were not seen: ${count} others")
endif()
list(FILTER with EXCLUDE REGEX "^ROPEWALK_[A-Z0-9_]+$")
if(with)
  message(FATAL_ERROR "macros without the prefix ROPEWALK_: ${with}")
endif()
message("${count} macros, all of them ROPEWALK_")
