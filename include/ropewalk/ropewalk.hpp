// Everything of ropewalk that needs the standard library only.
#pragma once

#include <ropewalk/analysis/coverage.hpp>
#include <ropewalk/arithmetic.hpp>
#include <ropewalk/config.hpp>
#include <ropewalk/error.hpp>
#include <ropewalk/frequency.hpp>
#include <ropewalk/rope_config.hpp>
#include <ropewalk/scaling.hpp>
#include <ropewalk/spectrum.hpp>
#include <ropewalk/temperature.hpp>
#include <ropewalk/theta.hpp>
#include <ropewalk/version.hpp>
