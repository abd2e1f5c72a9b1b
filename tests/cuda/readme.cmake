# README.md's CUDA block compiles as a user's own file.
#   cmake -D NVCC=<path> -D README=<file> -D INCLUDE_DIR=<include root>
#         -D CUDA_INCLUDE_DIR=<include root> -D WORK_DIR=<folder> -P readme.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT NVCC)
  message("skip: 1 block, nvcc was not found")
  return()
endif()
file(READ "${README}" text)
if(NOT text MATCHES "\n```cuda\n(([^`]|`[^`])+)\n```\n")
  message(FATAL_ERROR "${README} has no block tagged cuda")
endif()
file(MAKE_DIRECTORY "${WORK_DIR}")
file(WRITE "${WORK_DIR}/readme.cu" "${CMAKE_MATCH_1}\n")
execute_process(
  COMMAND "${NVCC}" -std=c++17 --use_fast_math --Werror all-warnings -Xcompiler=-Wall,-Wextra,-Werror
          -arch=sm_80 -c -I "${INCLUDE_DIR}" -I "${CUDA_INCLUDE_DIR}" -o "${WORK_DIR}/readme.o"
          "${WORK_DIR}/readme.cu"
  COMMAND_ERROR_IS_FATAL ANY)
