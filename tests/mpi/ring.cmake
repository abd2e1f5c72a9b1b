# Runs ring_attention and reads its table.
#   cmake -D PROGRAM=<path or nothing> -D MPIRUN=<path or nothing> -D RANKS=<1, 2, 4, ...> -P ring.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT PROGRAM OR NOT MPIRUN)
  message("skip: no MPI was found (Debian: apt-get install libopenmpi-dev openmpi-bin)")
  return()
endif()

# Open MPI wants to be asked twice before it runs as root or on fewer cores than ranks; others ignore
# its variables. Sanitizers would count what MPI keeps as lost.
set(ENV{OMPI_ALLOW_RUN_AS_ROOT} 1)
set(ENV{OMPI_ALLOW_RUN_AS_ROOT_CONFIRM} 1)
set(ENV{OMPI_MCA_rmaps_base_oversubscribe} 1)
set(ENV{ASAN_OPTIONS} "detect_leaks=0:$ENV{ASAN_OPTIONS}")

# run(<exit code> <argument>...): puts what the program printed into ${output}.
function(run expected)
  execute_process(COMMAND "${MPIRUN}" -np "${RANKS}" "${PROGRAM}" ${ARGN}
                  RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  message("${out}")
  if(NOT code EQUAL expected)
    message(FATAL_ERROR "${ARGN}: exit code ${code} instead of ${expected}\n${err}")
  endif()
  set(output "${out}${err}" PARENT_SCOPE)
endfunction()

foreach(arguments IN ITEMS "" "--tokens;333;--first-position;1099511627776")
  run(0 ${arguments})
  set(rows 0)
  set(ring 1)
  while(ring LESS_EQUAL RANKS)
    if(NOT output MATCHES "\n +${ring} [^\n]* same\n")
      message(FATAL_ERROR "no row of ${ring} ranks that agree:\n${output}")
    endif()
    math(EXPR ring "2 * ${ring}")
    math(EXPR rows "${rows} + 1")
  endwhile()
  string(REGEX MATCHALL " same\n" same "${output}")
  list(LENGTH same found)
  if(NOT found EQUAL rows)
    message(FATAL_ERROR "${found} rows instead of ${rows}:\n${output}")
  endif()
endforeach()

run(1 --tokens 1)
string(REGEX MATCHALL "--tokens = 1 is not in" messages "${output}")
list(LENGTH messages said)
if(NOT said EQUAL 1)
  message(FATAL_ERROR "said ${said} times instead of by one rank:\n${output}")
endif()
