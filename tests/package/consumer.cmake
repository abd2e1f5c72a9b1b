# Configures, builds and runs one consumer project and compares what it prints.
#   cmake -D CONSUMER=<project folder> -D WORK_DIR=<build folder> -D GENERATOR=<name> -D CXX=<path>
#         -D NVCC=<path> -D SOURCE_DIR=<ropewalk> -D PREFIX=<where it is installed>
#         -D SINGLE_HEADER=<path> [-D MISSING=<program>] -P consumer.cmake
cmake_minimum_required(VERSION 3.25)
if(MISSING)
  message("skip: ${MISSING} was not found")
  return()
endif()

# Every project is told of every route and takes its own.
file(REMOVE_RECURSE "${WORK_DIR}")
execute_process(
  COMMAND "${CMAKE_COMMAND}" -S "${CONSUMER}" -B "${WORK_DIR}" -G "${GENERATOR}" --no-warn-unused-cli
          -D "CMAKE_CXX_COMPILER=${CXX}" -D "CMAKE_CUDA_COMPILER=${NVCC}"
          -D CMAKE_CUDA_ARCHITECTURES=all-major -D "CMAKE_PREFIX_PATH=${PREFIX}"
          -D "ROPEWALK_SOURCE_DIR=${SOURCE_DIR}" -D "ROPEWALK_SINGLE_HEADER=${SINGLE_HEADER}"
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${WORK_DIR}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${WORK_DIR}/consumer" OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
set(expected "critical dimension 70
theta for 262144 tokens 283461213.4756
slowest wavelength, linear by 4 10236782
first pair at 1000003 0.61360 -0.78962
")
if(NOT output STREQUAL expected)
  message(FATAL_ERROR "expected:\n${expected}got:\n${output}")
endif()
