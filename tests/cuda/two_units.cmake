# One header in two units of a program, with the flags a user may have; linked and run.
#   cmake -D NVCC=<path> -D INCLUDE_DIR=<include root> -D CUDA_INCLUDE_DIR=<include root>
#         -D WORK_DIR=<folder> -P two_units.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT NVCC)
  message("skip: 1 program, nvcc was not found")
  return()
endif()
file(MAKE_DIRECTORY "${WORK_DIR}")
foreach(unit IN ITEMS first_unit second_unit)
  execute_process(
    COMMAND "${NVCC}" -std=c++17 --use_fast_math --Werror all-warnings -Xcompiler=-Wall,-Wextra
            -arch=sm_80 "-DROPEWALK_TEST_UNIT=${unit}" -I "${INCLUDE_DIR}" -I "${CUDA_INCLUDE_DIR}"
            -c -o "${WORK_DIR}/${unit}.o" kernels.cu
    WORKING_DIRECTORY "${CMAKE_CURRENT_LIST_DIR}" COMMAND_ERROR_IS_FATAL ANY)
endforeach()
execute_process(
  COMMAND "${NVCC}" -std=c++17 -arch=sm_80 -o "${WORK_DIR}/two_units" two_units.cpp
          "${WORK_DIR}/first_unit.o" "${WORK_DIR}/second_unit.o"
  WORKING_DIRECTORY "${CMAKE_CURRENT_LIST_DIR}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${WORK_DIR}/two_units" COMMAND_ERROR_IS_FATAL ANY)
message("two units with every rotary kernel compiled, linked and ran")
