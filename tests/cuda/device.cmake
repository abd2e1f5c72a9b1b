# The device tests: built where nvcc is found, run where a device answers.
#   cmake -D NVCC=<path> -D INCLUDE_DIR=<include root> -D CUDA_INCLUDE_DIR=<include root>
#         -D WORK_DIR=<folder> -P device.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT NVCC)
  message("skip: 1500 shapes, nvcc was not found")
  return()
endif()
file(MAKE_DIRECTORY "${WORK_DIR}")
execute_process(
  COMMAND "${NVCC}" -std=c++17 --Werror all-warnings -gencode arch=compute_80,code=sm_80
          -gencode arch=compute_90,code=sm_90 -I "${INCLUDE_DIR}" -I "${CUDA_INCLUDE_DIR}"
          -o "${WORK_DIR}/device" device.cu
  WORKING_DIRECTORY "${CMAKE_CURRENT_LIST_DIR}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${WORK_DIR}/device" COMMAND_ERROR_IS_FATAL ANY)
