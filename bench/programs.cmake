# The programs, for the machine that builds them, optimised whatever the build type.
if(NOT Eigen3_FOUND)
  message(STATUS "ropewalk: benchmarks without Eigen's expressions, Eigen was not found "
                 "(Debian: apt-get install libeigen3-dev)")
endif()
set(ropewalk_bench_flags -O3)
if(NOT CMAKE_CROSSCOMPILING)
  list(APPEND ropewalk_bench_flags -march=native)
endif()
list(JOIN ropewalk_bench_flags " " ropewalk_bench_flags_text)
string(STRIP "${CMAKE_CXX_FLAGS} ${ropewalk_bench_flags_text}" ropewalk_bench_flags_text)
# GCC 12 takes the undefined registers of its own intrinsics for mistakes, in Eigen's kernels too.
set(ropewalk_bench_quiet
    $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized;-Wno-maybe-uninitialized>)

add_library(ropewalk_bench_support OBJECT EXCLUDE_FROM_ALL support/report.cpp support/run.cpp)
target_link_libraries(ropewalk_bench_support
                      PUBLIC ropewalk::ropewalk benchmark::benchmark Threads::Threads)
target_include_directories(ropewalk_bench_support PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
target_compile_features(ropewalk_bench_support PUBLIC cxx_std_20)
target_compile_options(ropewalk_bench_support PUBLIC ${ropewalk_warnings} ${ropewalk_bench_quiet}
                       ${ropewalk_bench_flags})
target_compile_definitions(ropewalk_bench_support
                           PUBLIC NDEBUG "ROPEWALK_BENCH_FLAGS=\"${ropewalk_bench_flags_text}\"")
if(Eigen3_FOUND)
  target_link_libraries(ropewalk_bench_support PUBLIC Eigen3::Eigen)
  target_compile_definitions(ropewalk_bench_support PUBLIC ROPEWALK_BENCH_EIGEN)
endif()

add_executable(bench_all EXCLUDE_FROM_ALL main.cpp roofline.cpp tables.cpp rotation.cpp sweep.cpp
               decode.cpp cosine_sum.cpp attention.cpp)
target_link_libraries(bench_all PRIVATE ropewalk_bench_support)

# The same plain loops at three levels of x86.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  foreach(level IN ITEMS 1 3 4)
    if(level EQUAL 1)
      set(march -march=x86-64)
    else()
      set(march -march=x86-64-v${level})
    endif()
    add_library(bench_plain_table_v${level} OBJECT EXCLUDE_FROM_ALL support/plain_table.cpp)
    target_link_libraries(bench_plain_table_v${level} PRIVATE ropewalk::ropewalk)
    target_compile_features(bench_plain_table_v${level} PRIVATE cxx_std_20)
    target_compile_options(bench_plain_table_v${level} PRIVATE ${ropewalk_warnings} -O3 ${march})
    target_compile_definitions(bench_plain_table_v${level} PRIVATE
      NDEBUG ROPEWALK_BENCH_ISA=v${level} ropewalk=ropewalk_v${level})
    target_link_libraries(bench_all PRIVATE bench_plain_table_v${level})
  endforeach()
  target_compile_definitions(bench_all PRIVATE ROPEWALK_BENCH_X86_LEVELS)
endif()

# cmake --preset bench && cmake --build --preset bench
add_custom_target(bench COMMAND bench_all USES_TERMINAL VERBATIM
                  COMMENT "Limits, tables, rotations, decoding, attention, sweep")
add_custom_target(bench_quick
                  COMMAND bench_all "--benchmark_filter=-^sweep|2 threads|^attention.*/8192"
                  USES_TERMINAL VERBATIM COMMENT "One thread, no sweep, no long attention")

# The same work by ggml, where it is installed or built: -D ROPEWALK_GGML_DIR=<prefix>, or
# "<source tree>;<build folder>". Nothing of it is kept here.
set(ROPEWALK_GGML_DIR "" CACHE STRING
    "ggml's install prefix, or its source tree and build folder, for the target compare")
if(NOT ROPEWALK_GGML_DIR STREQUAL ropewalk_ggml_searched)
  foreach(name IN ITEMS ROPEWALK_GGML_INCLUDE ROPEWALK_GGML ROPEWALK_GGML_CPU ROPEWALK_GGML_BASE)
    unset(${name} CACHE)
  endforeach()
  set(ropewalk_ggml_searched "${ROPEWALK_GGML_DIR}" CACHE INTERNAL "where ggml was looked for")
endif()
set(places NO_DEFAULT_PATH PATHS ${ROPEWALK_GGML_DIR})
set(folders lib lib64 src bin build/src build/bin build)
find_path(ROPEWALK_GGML_INCLUDE ggml-cpu.h ${places} PATH_SUFFIXES include)
find_library(ROPEWALK_GGML ggml ${places} PATH_SUFFIXES ${folders})
find_library(ROPEWALK_GGML_CPU ggml-cpu ${places} PATH_SUFFIXES ${folders} src/ggml-cpu
             build/src/ggml-cpu)
find_library(ROPEWALK_GGML_BASE ggml-base ${places} PATH_SUFFIXES ${folders})
if(ROPEWALK_GGML_INCLUDE AND ROPEWALK_GGML AND ROPEWALK_GGML_CPU AND ROPEWALK_GGML_BASE)
  add_executable(bench_compare EXCLUDE_FROM_ALL compare_main.cpp compare_ggml.cpp
                 compare_ggml_attention.cpp)
  target_include_directories(bench_compare SYSTEM PRIVATE "${ROPEWALK_GGML_INCLUDE}")
  target_link_libraries(bench_compare PRIVATE ropewalk_bench_support "${ROPEWALK_GGML}"
                        "${ROPEWALK_GGML_CPU}" "${ROPEWALK_GGML_BASE}" ${CMAKE_DL_LIBS})
  add_custom_target(compare COMMAND bench_compare USES_TERMINAL VERBATIM
                    COMMENT "The same rotations and attention by ggml")
else()
  add_custom_target(compare VERBATIM COMMAND "${CMAKE_COMMAND}" -E echo
    "compare: skipped, no ggml in '${ROPEWALK_GGML_DIR}' (-D ROPEWALK_GGML_DIR=<prefix>)")
endif()
