# Writes a C++ source with the contents of every JSON file in a folder.
#   cmake -D MODELS_DIR=<folder of NAME.json> -D OUTPUT=<source to write> -P embed_models.cmake
cmake_minimum_required(VERSION 3.25)

file(GLOB files "${MODELS_DIR}/*.json")
list(SORT files)
list(LENGTH files count)
if(count EQUAL 0)
  message(FATAL_ERROR "${MODELS_DIR} holds no *.json")
endif()

set(entries "")
foreach(file IN LISTS files)
  cmake_path(GET file STEM LAST_ONLY name)
  file(READ "${file}" text)
  string(LENGTH "${text}" length)
  string(FIND "${text}" ")json\"" delimiter)
  if(length GREATER 60000 OR NOT delimiter EQUAL -1)
    # Compilers are only required to take literals of 65536 characters.
    message(FATAL_ERROR "${file} cannot be one string literal: ${length} characters")
  endif()
  string(APPEND entries "    {\"${name}\", R\"json(${text})json\"},\n")
endforeach()

file(WRITE "${OUTPUT}" "// Generated from the shipped model configs; edits are lost.
#include <support/models.hpp>

namespace {

constexpr ShippedModel kModels[] = {
${entries}};

}  // namespace

const ShippedModel* shipped_models() {
  return kModels;
}

std::size_t shipped_model_count() {
  return ${count};
}
")
