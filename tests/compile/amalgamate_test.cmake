# The order check accepts a sound tree and refuses each fault that is planted in it.
#   cmake -D WORK_DIR=<scratch folder> -P amalgamate_test.cmake
cmake_minimum_required(VERSION 3.25)

# try(<name> <expected message, or SOUND> <content of order> <header> <content> ...)
function(try name expected order)
  set(root "${WORK_DIR}/${name}")
  file(REMOVE_RECURSE "${root}")
  file(WRITE "${root}/order.txt" "${order}")
  set(rest ${ARGN})
  while(rest)
    list(POP_FRONT rest header content)
    file(WRITE "${root}/include/ropewalk/${header}" "#pragma once\n${content}\n")
  endwhile()
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -D "INCLUDE_DIR=${root}/include" -D "ORDER=${root}/order.txt"
            -P "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/amalgamate.cmake"
    RESULT_VARIABLE result ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  string(FIND "${output}" "${expected}" found)
  if(expected STREQUAL "SOUND")
    if(NOT result EQUAL 0)
      message(FATAL_ERROR "${name}: a sound tree was refused: ${output}")
    endif()
  elseif(result EQUAL 0 OR found EQUAL -1)
    message(FATAL_ERROR "${name}: expected '${expected}', got: ${output}")
  endif()
  message(STATUS "${name}: as expected")
endfunction()

set(order "0 low.hpp\n1 high.hpp\n2 ropewalk.hpp\nleaf leaf.hpp\n")
set(sound low.hpp "#include <cmath>" high.hpp "#include <ropewalk/low.hpp>"
          ropewalk.hpp "#include <ropewalk/high.hpp>" leaf.hpp "#include <ropewalk/low.hpp>")
try(sound SOUND "${order}" ${sound})
try(upward "low.hpp includes high.hpp, which is not above it" "${order}"
    ${sound} low.hpp "#include <ropewalk/high.hpp>")
try(itself "low.hpp includes low.hpp, which is not above it" "${order}"
    ${sound} low.hpp "  #  include <ropewalk/low.hpp>")
try(leaf_below "high.hpp includes leaf.hpp, which is not above it" "${order}"
    ${sound} high.hpp "#include <ropewalk/leaf.hpp>")
try(quoted "includes \"low.hpp\" in quotes" "${order}" ${sound} high.hpp "#include \"low.hpp\"")
try(unlisted "deep/other.hpp is not listed" "${order}" ${sound} deep/other.hpp "")
try(missing "none.hpp does not exist" "0 none.hpp\n${order}" ${sound})
try(twice "low.hpp is listed twice" "${order}leaf low.hpp\n" ${sound})
try(backwards "row 0 of low.hpp comes after row 1" "1 high.hpp\n0 low.hpp\n" ${sound})
set(between "0 low.hpp\n0b high.hpp\n1 ropewalk.hpp\n")
set(no_leaf ${sound})
list(REMOVE_ITEM no_leaf leaf.hpp)
list(POP_BACK no_leaf)
try(between SOUND "${between}" ${no_leaf})
try(between_backwards "row 0 of high.hpp comes after row 0b" "0b low.hpp\n0 high.hpp\n" ${sound})
try(after_between "row 1b of high.hpp comes after row 2" "2 low.hpp\n1b high.hpp\n" ${sound})
try(leaf_first "row 0 of low.hpp comes after row leaf" "leaf leaf.hpp\n0 low.hpp\n" ${sound})
try(other_letter "'0c low.hpp' is not" "0c low.hpp\n" ${sound})
try(unreached "ropewalk.hpp does not include high.hpp" "${order}"
    ${sound} ropewalk.hpp "#include <ropewalk/low.hpp>")
