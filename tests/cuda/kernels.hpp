// One source, compiled twice under two names: two units of one program.
#pragma once

#ifndef ROPEWALK_TEST_UNIT
#define ROPEWALK_TEST_UNIT first_unit
#endif

int first_unit();
int second_unit();
