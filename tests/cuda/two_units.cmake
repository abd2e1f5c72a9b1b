# All CUDA headers in two units of a program, with the flags a user may have, and what gates/*.cu
# makes of them; linked, run, and looked at for what they show to others and what they call.
#   cmake -D NVCC=<path> -D INCLUDE_DIR=<include root> -D CUDA_INCLUDE_DIR=<include root>
#         -D CHECK=<object_check> -D WORK_DIR=<folder> [-D PLANT=<source of gates/>] -P two_units.cmake
# With PLANT it is that source instead of the families, and must be refused.
cmake_minimum_required(VERSION 3.25)
if(NOT NVCC)
  message("skip: 1 program, nvcc was not found")
  return()
endif()
file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}")
file(GLOB_RECURSE headers RELATIVE "${CUDA_INCLUDE_DIR}" "${CUDA_INCLUDE_DIR}/*.cuh")
file(GLOB families "${CMAKE_CURRENT_LIST_DIR}/gates/*.cu")
list(FILTER families EXCLUDE REGEX "/(instructions|planted|visible)\\.cu$")
set(units first second)
if(PLANT)
  set(units first)
  set(families "${CMAKE_CURRENT_LIST_DIR}/gates/${PLANT}.cu")
endif()
list(LENGTH headers header_count)
list(LENGTH families family_count)
if(header_count EQUAL 0 OR family_count EQUAL 0)
  message(FATAL_ERROR "nothing to include")
endif()
set(all "")
foreach(header IN LISTS headers)
  string(APPEND all "#include <${header}>\n")
endforeach()
set(sum "")
foreach(family IN LISTS families)
  cmake_path(GET family STEM name)
  string(APPEND all "#include \"${family}\"\n")
  list(APPEND sum "ROPEWALK_TEST_UNIT::${name}()")
endforeach()
list(JOIN sum " + " sum)
foreach(unit IN LISTS units)
  file(WRITE "${WORK_DIR}/${unit}.cu" "#define ROPEWALK_TEST_UNIT ${unit}\n${all}"
             "int ${unit}_unit() { return ${sum}; }\n")
  list(APPEND sources ${unit}.cu)
  list(APPEND objects ${unit}.o)
endforeach()
file(WRITE "${WORK_DIR}/main.cu" "int first_unit();\nint second_unit();\n"
           "int main() { return first_unit() + second_unit(); }\n")
execute_process(
  COMMAND "${NVCC}" -std=c++17 --use_fast_math --Werror all-warnings
          -Xcompiler=-Wall,-Wextra,-Wconversion,-Wshadow,-Werror -arch=sm_80 --threads 2
          -I "${INCLUDE_DIR}" -I "${CUDA_INCLUDE_DIR}" -c ${sources} main.cu
  WORKING_DIRECTORY "${WORK_DIR}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CHECK}" ${objects} WORKING_DIRECTORY "${WORK_DIR}"
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${NVCC}" -arch=sm_80 -o two_units ${objects} main.o
                WORKING_DIRECTORY "${WORK_DIR}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${WORK_DIR}/two_units" COMMAND_ERROR_IS_FATAL ANY)
message("two units with ${header_count} headers and ${family_count} families compiled, linked and ran")
