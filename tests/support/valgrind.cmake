# Runs the cases of one source under valgrind; an invalid access, a read of memory never written or
# a leak fails.
#   cmake -D VALGRIND=<path> -D PROGRAM=<tests> -D TAG=<stem of the source> -P valgrind.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT VALGRIND)
  message("skip: valgrind was not found (Debian: apt-get install valgrind)")
  return()
endif()
execute_process(
  COMMAND "${VALGRIND}" --quiet --error-exitcode=3 --leak-check=full
          --soname-synonyms=somalloc=nouserintercepts  # a test counts allocations by itself
          "${PROGRAM}" --filenames-as-tags "[#${TAG}]"
  COMMAND_ERROR_IS_FATAL ANY)
