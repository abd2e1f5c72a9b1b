# Draws a report's figures anew and compares them with the files kept, byte by byte.
#   cmake -D PROGRAM=<compare_schedules> -D MODEL=... -D LENGTH=... -D PICTURES=<folder kept>
#         -D WORK_DIR=<folder> -P pictures.cmake
# To renew them: compare_schedules --model <model> --target-length <length> --figures <folder kept>
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE "${WORK_DIR}")
execute_process(COMMAND "${PROGRAM}" --model "${MODEL}" --target-length "${LENGTH}"
                        --figures "${WORK_DIR}"
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
file(GLOB drawn RELATIVE "${WORK_DIR}" "${WORK_DIR}/*")
file(GLOB kept RELATIVE "${PICTURES}" "${PICTURES}/*")
list(LENGTH drawn count)
if(count LESS 6 OR NOT drawn STREQUAL kept)
  message(FATAL_ERROR "${PICTURES} holds ${kept}; the program draws ${drawn}")
endif()
foreach(picture IN LISTS drawn)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E compare_files "${WORK_DIR}/${picture}"
                          "${PICTURES}/${picture}"
                  RESULT_VARIABLE differs OUTPUT_QUIET ERROR_QUIET)
  if(differs)
    message(FATAL_ERROR "${PICTURES}/${picture} is not what the program draws; renew it with "
                        "compare_schedules --model ${MODEL} --target-length ${LENGTH} --figures")
  endif()
endforeach()
message(STATUS "${count} pictures of ${MODEL} at ${LENGTH} tokens are the program's own")
