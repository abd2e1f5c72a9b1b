// The consumers' program as CUDA C++17; it runs on the host and needs no device.
#include "../main.cpp"
