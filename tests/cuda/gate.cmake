# Compiles the kernels of one family for real architectures, in one call, with warnings as errors,
# and judges what ptxas and the machine code tell: no stack, no spill, registers within the budget,
# the instructions that are expected.
#   cmake -D NVCC=<path> -D SOURCE=<.cu> -D "ARCHITECTURES=<80 ...>" -D STANDARD=<17>
#         -D "OPTIONS=<option ...>" -D INCLUDE_DIR=<include root> -D CUDA_INCLUDE_DIR=<include root>
#         -D CHECK=<cubin_check> -D KERNELS=<number> -D REGISTERS=<budget> -D "EXPECT=<rule ...>"
#         -D WORK_DIR=<folder> -P gate.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT NVCC)
  message("skip: 1 gate, nvcc was not found")
  return()
endif()
separate_arguments(ARCHITECTURES)
separate_arguments(OPTIONS)
separate_arguments(EXPECT)
set(refusals 0)
function(refuse text)
  message("gate refuses: ${text}")  # not wrapped
  math(EXPR count "${refusals} + 1")
  set(refusals ${count} PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}")
set(targets "")
foreach(architecture IN LISTS ARCHITECTURES)
  list(APPEND targets -gencode "arch=compute_${architecture},code=sm_${architecture}")
endforeach()
execute_process(
  COMMAND "${NVCC}" -std=c++${STANDARD} --Werror all-warnings ${targets} --threads 2 -Xptxas -v
          ${OPTIONS} -I "${INCLUDE_DIR}" -I "${CUDA_INCLUDE_DIR}" -fatbin --keep
          --keep-dir "${WORK_DIR}" -o "${WORK_DIR}/family.fatbin" "${SOURCE}"
  OUTPUT_VARIABLE report ERROR_VARIABLE report RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "gate refuses: nvcc failed\n${report}")
endif()

# What ptxas tells.
string(REGEX MATCHALL "[0-9]+ bytes stack frame, [0-9]+ bytes spill stores, [0-9]+ bytes spill loads"
       frames "${report}")
string(REGEX MATCHALL "Compiling entry function '[^']*' for 'sm_[0-9]+|Used [0-9]+ registers"
       entries "${report}")
foreach(architecture IN LISTS ARCHITECTURES)
  set(kernels_${architecture} 0)
  set(largest_${architecture} 0)
endforeach()
set(functions 0)
foreach(entry IN LISTS entries)
  if(entry MATCHES "function '([^']*)' for 'sm_([0-9]+)")
    set(kernel "${CMAKE_MATCH_1}")
    set(architecture ${CMAKE_MATCH_2})
    math(EXPR kernels_${architecture} "${kernels_${architecture}} + 1")
    math(EXPR functions "${functions} + 1")
    continue()
  endif()
  string(REGEX MATCH "[0-9]+" registers "${entry}")
  if(registers GREATER largest_${architecture})
    set(largest_${architecture} ${registers})
  endif()
  if(registers GREATER REGISTERS)
    refuse("${registers} registers, the budget is ${REGISTERS}, sm_${architecture} ${kernel}")
  endif()
endforeach()
foreach(frame IN LISTS frames)
  if(NOT frame STREQUAL "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads")
    refuse("${frame}")
  endif()
endforeach()
list(LENGTH frames frame_count)
if(NOT frame_count EQUAL functions)
  refuse("${frame_count} functions for ${functions} kernels: one was not inlined")
endif()
if(report MATCHES "potential performance loss|C75[0-9][0-9]")
  refuse("ptxas warns\n${report}")
endif()

# What is in the machine code.
foreach(architecture IN LISTS ARCHITECTURES)
  if(NOT kernels_${architecture} EQUAL KERNELS)
    refuse("ptxas reported ${kernels_${architecture}} kernels for sm_${architecture}, not ${KERNELS}")
  endif()
  file(GLOB cubin "${WORK_DIR}/*[_.]${architecture}.cubin" "${WORK_DIR}/*_${architecture}.*.cubin")
  execute_process(COMMAND "${CHECK}" "${cubin}" ${architecture} ${KERNELS} ${EXPECT}
                  OUTPUT_VARIABLE check ERROR_VARIABLE check RESULT_VARIABLE result)
  message("${check}")
  if(NOT result EQUAL 0)
    refuse("the machine code for sm_${architecture}, see above")
  endif()
endforeach()
if(refusals GREATER 0)
  message(FATAL_ERROR "${refusals} refusals")
endif()
foreach(architecture IN LISTS ARCHITECTURES)
  message("sm_${architecture}, C++${STANDARD}: ${KERNELS} kernels, at most "
          "${largest_${architecture}} registers")
endforeach()
