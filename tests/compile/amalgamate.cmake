# Checks the dependency order of the headers, and makes one header of them.
#   cmake -D INCLUDE_DIR=<include root> -D ORDER=<header_order.txt> [-D OUTPUT=<header to write>]
#         [-D WITH_LEAVES=ON] -P amalgamate.cmake
# Refused: a header that is not listed exactly once, a listed header that does not exist, rows that
# go backwards, an include in quotes, an include of a header that is not above the includer's line,
# and a header that is no leaf but out of the umbrella's reach.
cmake_minimum_required(VERSION 3.25)
set(umbrella "ropewalk.hpp")

# The order: parallel lists of rows and headers.
file(STRINGS "${ORDER}" lines REGEX "^[^#]")
set(headers "")
set(rows "")
set(last_row 0)
set(last_rank 0)
foreach(line IN LISTS lines)
  if(NOT line MATCHES "^([0-9]+b?|leaf) ([a-z0-9_/]+\\.hpp)$")
    message(FATAL_ERROR "${ORDER}: '${line}' is not '<row> <header>'")
  endif()
  set(row "${CMAKE_MATCH_1}")
  set(header "${CMAKE_MATCH_2}")
  if(header IN_LIST headers)
    message(FATAL_ERROR "${ORDER}: ${header} is listed twice")
  endif()
  # Row 7b lies between 7 and 8, leaves after every row.
  string(REGEX REPLACE "b$" ".5" rank "${row}")
  string(REPLACE "leaf" "1000" rank "${rank}")
  if(rank LESS last_rank)
    message(FATAL_ERROR "${ORDER}: row ${row} of ${header} comes after row ${last_row}")
  endif()
  set(last_row "${row}")
  set(last_rank "${rank}")
  list(APPEND headers "${header}")
  list(APPEND rows "${row}")
endforeach()

# The headers that exist.
file(GLOB_RECURSE existing RELATIVE "${INCLUDE_DIR}/ropewalk" "${INCLUDE_DIR}/ropewalk/*.hpp")
foreach(header IN LISTS existing)
  if(NOT header IN_LIST headers)
    message(FATAL_ERROR "${header} is not listed in ${ORDER}")
  endif()
endforeach()

set(body "")
set(above "")
foreach(header row IN ZIP_LISTS headers rows)
  if(NOT header IN_LIST existing)
    message(FATAL_ERROR "${ORDER}: ${header} does not exist")
  endif()
  file(READ "${INCLUDE_DIR}/ropewalk/${header}" text)
  string(PREPEND text "\n")
  if(text MATCHES "\n[ \t]*#[ \t]*include[ \t]*\"([^\"\n]*)\"")
    message(FATAL_ERROR "${header} includes \"${CMAKE_MATCH_1}\" in quotes; "
                        "write <ropewalk/...> so that the include path decides")
  endif()
  set(includes "")
  string(REGEX MATCHALL "\n[ \t]*#[ \t]*include[ \t]*<ropewalk/[^>\n]*>" directives "${text}")
  foreach(directive IN LISTS directives)
    string(REGEX REPLACE "^.*<ropewalk/([^>]*)>$" "\\1" include "${directive}")
    if(NOT include IN_LIST above)
      message(FATAL_ERROR "${header} includes ${include}, which is not above it in ${ORDER}")
    endif()
    list(APPEND includes "${include}")
  endforeach()
  list(APPEND above "${header}")
  set("includes of ${header}" "${includes}")

  if(row STREQUAL "leaf" AND NOT WITH_LEAVES AND NOT header STREQUAL umbrella)
    continue()
  endif()
  string(REGEX REPLACE "\n[ \t]*#[ \t]*include[ \t]*<ropewalk/[^\n]*" "" text "${text}")
  string(REGEX REPLACE "\n[ \t]*#[ \t]*pragma[ \t]+once[^\n]*" "" text "${text}")
  string(REGEX REPLACE "\n\n\n+" "\n\n" text "${text}")
  string(APPEND body "\n// ---- ropewalk/${header}${text}")
endforeach()

# What the umbrella reaches: includes point upwards, so one pass from below finds them all.
if(umbrella IN_LIST headers)
  set(reached "${umbrella}")
  list(REVERSE headers)
  list(REVERSE rows)
  foreach(header row IN ZIP_LISTS headers rows)
    if(header IN_LIST reached)
      list(APPEND reached ${includes\ of\ ${header}})
    elseif(NOT row STREQUAL "leaf")
      message(FATAL_ERROR "${umbrella} does not include ${header}")
    endif()
  endforeach()
endif()

if(OUTPUT)
  file(STRINGS "${INCLUDE_DIR}/ropewalk/version.hpp" version REGEX "^#define ROPEWALK_VERSION_")
  list(TRANSFORM version REPLACE "^.* " "")
  list(JOIN version "." version)
  file(WRITE "${OUTPUT}"
"// ropewalk ${version} in one header, generated from include/ropewalk; edits are lost.
// SPDX-License-Identifier: MIT
// Copyright (c) 2026 the ropewalk authors
#pragma once
${body}")
endif()
