// Catch2 2.13's main for builds that cannot link the packaged one.
#define CATCH_CONFIG_MAIN
#include "support/catch.hpp"
