// How the bodies of kernels are marked: functions of the device under nvcc, of the host elsewhere, where
// the same text runs in an emulation.
#pragma once

#ifdef __CUDACC__
#define ROPEWALK_DEVICE __device__ __forceinline__
#define ROPEWALK_UNROLL _Pragma("unroll")
#define ROPEWALK_NO_UNROLL _Pragma("unroll 1")
#else
#define ROPEWALK_DEVICE inline
#define ROPEWALK_UNROLL
#define ROPEWALK_NO_UNROLL
#endif

/// Kernels, what launches them and what tells them their work: private to the shared object that uses
/// them, so that two vendored copies do not meet.
#ifdef __GNUC__
#define ROPEWALK_HIDDEN __attribute__((visibility("hidden")))
#else
#define ROPEWALK_HIDDEN
#endif
