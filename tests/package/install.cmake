# Installs ropewalk, then moves what was installed: consumers find it at a place it never knew.
#   cmake -D BUILD_DIR=<build folder> -D PREFIX=<where consumers find it> -P install.cmake
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE "${PREFIX}" "${PREFIX}.first")
execute_process(COMMAND "${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${PREFIX}.first"
                COMMAND_ERROR_IS_FATAL ANY)
file(RENAME "${PREFIX}.first" "${PREFIX}")
