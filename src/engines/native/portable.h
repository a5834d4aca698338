// Included before every source of the addons that the package brings, so that they load on older systems than the one that compiled
// them. A reference without a version binds to the newest version of a symbol that the compiler's system has. The older versions named
// here are in every later glibc and libstdc++.
#if defined(__linux__) && defined(__x86_64__)
// log of glibc 2.29 differs only in how it reports errors.
__asm__(".symver log,log@GLIBC_2.2.5");
// GCC 12 gave std::condition_variable::wait a new version, with the same arguments.
__asm__(".symver _ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE,"
        "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE@GLIBCXX_3.4.11");
#endif

#ifdef __linux__
#include <new>

namespace std {
// GCC 11 moved what a container throws for a negative size into libstdc++.
__attribute__((weak, visibility("hidden"), noreturn)) void __throw_bad_array_new_length() {
  throw bad_array_new_length();
}
}  // namespace std
#endif
