// The version, stated here and nowhere else: the build reads these three lines. Row 0.
#pragma once

#define ROPEWALK_VERSION_MAJOR 0
#define ROPEWALK_VERSION_MINOR 1
#define ROPEWALK_VERSION_PATCH 0

namespace ropewalk {
inline namespace v0 {

/// The same for code; an incompatible change raises the minor number while the major number is 0.
inline constexpr int kVersionMajor = ROPEWALK_VERSION_MAJOR;
inline constexpr int kVersionMinor = ROPEWALK_VERSION_MINOR;
inline constexpr int kVersionPatch = ROPEWALK_VERSION_PATCH;

}  // namespace v0
}  // namespace ropewalk
