// Hooks an embedding program may define before the first ropewalk header. Row 0: includes nothing
// of ropewalk.
#pragma once

#include <cstdio>
#include <cstdlib>

/// Caller mistakes. On unless NDEBUG is defined; define it yourself to use an engine's own check.
///   condition   what the documentation asks for
///   text        the same words as the documentation
#ifndef ROPEWALK_ASSERT
#ifdef NDEBUG
#define ROPEWALK_ASSERT(condition, text) static_cast<void>(0)
#else
#define ROPEWALK_ASSERT(condition, text) \
  ((condition) ? static_cast<void>(0)    \
               : (static_cast<void>(std::fprintf(stderr, "ropewalk: %s\n", text)), std::abort()))
#endif
#endif

/// How a builder refuses bad input: throws the given exception object. Without exceptions the text
/// goes to standard error and the program aborts; call `check(config, method)` first to avoid it.
#ifndef ROPEWALK_THROW
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define ROPEWALK_THROW(exception) throw exception
#else
#define ROPEWALK_THROW(exception) \
  (static_cast<void>(std::fprintf(stderr, "%s\n", (exception).what())), std::abort())
#endif
#endif

/// Marks what both host and device may call. Empty unless nvcc compiles.
#ifndef ROPEWALK_HOST_DEVICE
#ifdef __CUDACC__
#define ROPEWALK_HOST_DEVICE __host__ __device__
#else
#define ROPEWALK_HOST_DEVICE
#endif
#endif
