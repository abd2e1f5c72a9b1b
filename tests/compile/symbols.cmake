# Symbols of an object that includes every header and uses nothing, against those that headers from
# elsewhere leave there: nothing of ours may occupy memory.
#   cmake -D COMPILER=<path> -D NM=<path> -D INCLUDE_DIR=<include root> -D WORK_DIR=<folder>
#         -D OPTIONS=<flags> -P symbols.cmake
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/system_includes.cmake")
separate_arguments(OPTIONS UNIX_COMMAND "${OPTIONS}")
file(GLOB_RECURSE headers RELATIVE "${INCLUDE_DIR}" "${INCLUDE_DIR}/ropewalk/*.hpp")

# symbols(<result> <name> <text>): "<type> <name>" of everything defined with an address.
function(symbols result name text)
  file(WRITE "${WORK_DIR}/${name}.cpp" "${text}")
  execute_process(
    COMMAND "${COMPILER}" -std=c++17 -O0 -I "${INCLUDE_DIR}" ${OPTIONS} -c "${WORK_DIR}/${name}.cpp"
            -o "${WORK_DIR}/${name}.o"
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND "${NM}" --demangle --defined-only "${WORK_DIR}/${name}.o"
                  OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[0-9a-f]+ [BbCDdGgRrSsuVv] [^\n]*" lines "${output}")
  list(TRANSFORM lines REPLACE "^[0-9a-f]+ " "")
  set(${result} "${lines}" PARENT_SCOPE)
endfunction()

symbols(planted planted "static int counter;\nint next() { return ++counter; }\n")
if(NOT planted MATCHES "counter")
  message(FATAL_ERROR "${NM} does not show a counter that was planted: '${planted}'")
endif()

own_includes(ours ${headers})
system_includes(theirs "${INCLUDE_DIR}" ${headers})
symbols(with ours "${ours}")
symbols(without theirs "${theirs}")
list(REMOVE_ITEM with ${without})
if(with)
  message(FATAL_ERROR "the headers alone define data: ${with}")
endif()
list(LENGTH headers count)
message("${count} headers, no data")
