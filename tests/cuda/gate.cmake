# Compiles the kernels for one real architecture with warnings as errors, and judges what ptxas and
# the machine code tell: no stack, no spill, registers within the budget, 16-byte loads and stores.
#   cmake -D NVCC=<path> -D ARCHITECTURE=<80> -D STANDARD=<17> -D "OPTIONS=<option;...>"
#         -D INCLUDE_DIR=<include root> -D CUDA_INCLUDE_DIR=<include root> -D CHECK=<cubin_check>
#         -D REGISTERS=<budget> -D WORK_DIR=<folder> -P gate.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT NVCC)
  message("skip: 1 gate, nvcc was not found")
  return()
endif()
set(kernels 12)
file(MAKE_DIRECTORY "${WORK_DIR}")
execute_process(
  COMMAND "${NVCC}" -std=c++${STANDARD} --Werror all-warnings
          -Xcompiler=-Wall,-Wextra,-Wconversion,-Wshadow -arch=sm_${ARCHITECTURE} -cubin -Xptxas -v
          ${OPTIONS} -I "${INCLUDE_DIR}" -I "${CUDA_INCLUDE_DIR}" -o "${WORK_DIR}/kernels.cubin"
          kernels.cu
  WORKING_DIRECTORY "${CMAKE_CURRENT_LIST_DIR}" OUTPUT_VARIABLE report ERROR_VARIABLE report
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "gate refuses: nvcc failed\n${report}")
endif()
string(REGEX MATCHALL "[0-9]+ bytes stack frame, [0-9]+ bytes spill stores, [0-9]+ bytes spill loads"
       frames "${report}")
string(REGEX MATCHALL "Used [0-9]+ registers" used "${report}")
foreach(frame IN LISTS frames)
  if(NOT frame STREQUAL "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads")
    message("gate refuses: ${frame}")  # not wrapped
    message(FATAL_ERROR "gate refuses")
  endif()
endforeach()
list(LENGTH frames frame_count)
list(LENGTH used used_count)
if(NOT frame_count EQUAL kernels OR NOT used_count EQUAL kernels)
  message(FATAL_ERROR "gate refuses: ptxas reported ${frame_count} kernels, not ${kernels}\n${report}")
endif()
set(largest 0)
foreach(entry IN LISTS used)
  string(REGEX MATCH "[0-9]+" registers "${entry}")
  if(registers GREATER largest)
    set(largest ${registers})
  endif()
endforeach()
if(largest GREATER REGISTERS)
  message(FATAL_ERROR "gate refuses: ${largest} registers, the budget is ${REGISTERS}")
endif()
if(report MATCHES "potential performance loss|C75[0-9][0-9]")
  message(FATAL_ERROR "gate refuses: ptxas warns\n${report}")
endif()
execute_process(COMMAND "${CHECK}" "${WORK_DIR}/kernels.cubin" ${kernels} RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "gate refuses: see above")
endif()
message("sm_${ARCHITECTURE}, C++${STANDARD}: ${kernels} kernels, at most ${largest} registers")
