#include "kernels.hpp"

int main() { return first_unit() + second_unit(); }
