# The umbrella in two CUDA C++17 files, warnings as errors, linked and run on the host.
#   cmake -D NVCC=<path> -D INCLUDE_DIR=<include root> -D WORK_DIR=<folder> -P cuda.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT NVCC)
  message("skip: nvcc was not found")
  return()
endif()
file(MAKE_DIRECTORY "${WORK_DIR}")
execute_process(
  COMMAND "${NVCC}" -std=c++17 --Werror all-warnings -Xcompiler=-Wall,-Wextra,-Wconversion,-Wshadow
          -I "${INCLUDE_DIR}" -o "${WORK_DIR}/two_units" -x cu two_units_a.cpp two_units_b.cpp
  WORKING_DIRECTORY "${CMAKE_CURRENT_LIST_DIR}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${WORK_DIR}/two_units" COMMAND_ERROR_IS_FATAL ANY)
message("two CUDA units compiled, linked and ran")
