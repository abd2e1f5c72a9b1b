# The device tests of one family: built where nvcc is found, for the cards that are there, or once
# for all where nobody tells which; run where a device answers.
#   cmake -D NVCC=<path> -D SOURCE=<.cu> -D COUNT=<shapes> -D TESTS_DIR=<tests/>
#         -D INCLUDE_DIR=<include root> -D CUDA_INCLUDE_DIR=<include root> -D WORK_DIR=<folder>
#         -P device.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT NVCC)
  message("skip: ${COUNT} shapes, nvcc was not found")
  return()
endif()
set(targets "")
find_program(smi nvidia-smi)
if(smi)
  execute_process(COMMAND "${smi}" --query-gpu=compute_cap --format=csv,noheader
                  OUTPUT_VARIABLE capabilities ERROR_QUIET)
  string(REGEX MATCHALL "[0-9]+\\.[0-9]+" capabilities "${capabilities}")
  list(REMOVE_DUPLICATES capabilities)
  foreach(capability IN LISTS capabilities)
    string(REPLACE "." "" architecture "${capability}")
    list(APPEND targets -gencode "arch=compute_${architecture},code=sm_${architecture}")
  endforeach()
endif()
if(NOT targets)
  set(targets -gencode arch=compute_80,code=compute_80)  # a driver makes machine code of this
endif()
file(MAKE_DIRECTORY "${WORK_DIR}")
execute_process(
  COMMAND "${NVCC}" -std=c++17 --Werror all-warnings ${targets} -I "${INCLUDE_DIR}"
          -I "${CUDA_INCLUDE_DIR}" -I "${TESTS_DIR}" -o "${WORK_DIR}/device" "${SOURCE}"
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${WORK_DIR}/device" COMMAND_ERROR_IS_FATAL ANY)
