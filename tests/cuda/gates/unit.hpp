// The namespace of what a gate's source defines: two_units.cmake makes two units of one program of
// all of them.
#pragma once

#ifndef ROPEWALK_TEST_UNIT
#define ROPEWALK_TEST_UNIT gate
#endif
