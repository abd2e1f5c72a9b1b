// Exact angles: positions times frequencies as fixed-point turns, and tables of their cosines and
// sines; the table of an engine that multiplies in float, by name. Row 7.
#pragma once

#include <ropewalk/phase/float32_table.hpp>
#include <ropewalk/phase/rows.hpp>
#include <ropewalk/phase/sincos.hpp>
#include <ropewalk/phase/table.hpp>
#include <ropewalk/phase/turns.hpp>
