// What the engine needs of the process it runs in and Node does not offer: setting the C library's allocator after the
// process has started, holding back what a library prints while it loads, and giving back the memory that loading it took. Built
// beside TensorFlow's addon.

#include <node_api.h>

#include <cstdio>
#include <cstring>
#include <string>

#include <unistd.h>

#if defined(__linux__)
#include <link.h>
#include <sys/mman.h>
#endif

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace {

int saved_standard_error = -1;
FILE *captured = nullptr;

napi_value MakeBoolean(napi_env env, bool value) {
  napi_value result;
  napi_get_boolean(env, value, &result);
  return result;
}

// setAllocator(parameter, value): glibc's mallopt. False where there is none, or it refuses.
napi_value SetAllocator(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  int32_t parameter = 0;
  int32_t value = 0;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok || count != 2 ||
      napi_get_value_int32(env, arguments[0], &parameter) != napi_ok ||
      napi_get_value_int32(env, arguments[1], &value) != napi_ok) {
    napi_throw_type_error(env, nullptr, "setAllocator takes two integers");
    return nullptr;
  }
#if defined(__GLIBC__)
  return MakeBoolean(env, mallopt(parameter, value) == 1);
#else
  return MakeBoolean(env, false);
#endif
}

#if defined(__linux__)
// The pages of a library's segments that nothing can have written to; they come back from the file when they are read.
int DropPages(dl_phdr_info *library, size_t, void *name) {
  if (std::strstr(library->dlpi_name, static_cast<const char *>(name)) == nullptr) return 0;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    const auto &segment = library->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = (library->dlpi_addr + segment.p_vaddr + page - 1) / page * page;
    const uintptr_t end = (library->dlpi_addr + segment.p_vaddr + segment.p_memsz) / page * page;
    if (begin < end) madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}
#endif

// dropLibraryPages(name): takes what was only read to load a library out of the process's memory: libraries whose path contains
// the name. Nothing where that is not possible.
napi_value DropLibraryPages(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  char name[256];
  size_t length = 0;
  if (napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr) != napi_ok || count != 1 ||
      napi_get_value_string_utf8(env, argument, name, sizeof name, &length) != napi_ok || length == 0) {
    napi_throw_type_error(env, nullptr, "dropLibraryPages takes a name");
    return nullptr;
  }
#if defined(__linux__)
  dl_iterate_phdr(DropPages, name);
#endif
  return nullptr;
}

// captureStandardError(): from now on, standard error goes to a temporary file. False where that cannot be had.
napi_value CaptureStandardError(napi_env env, napi_callback_info) {
  if (captured != nullptr) return MakeBoolean(env, false);
  captured = std::tmpfile();
  if (captured == nullptr) return MakeBoolean(env, false);
  std::fflush(stderr);
  saved_standard_error = dup(STDERR_FILENO);
  if (saved_standard_error < 0 || dup2(fileno(captured), STDERR_FILENO) < 0) {
    if (saved_standard_error >= 0) close(saved_standard_error);
    std::fclose(captured);
    captured = nullptr;
    return MakeBoolean(env, false);
  }
  return MakeBoolean(env, true);
}

// releaseStandardError(): puts standard error back and returns what was written meanwhile.
napi_value ReleaseStandardError(napi_env env, napi_callback_info) {
  std::string text;
  if (captured != nullptr) {
    std::fflush(stderr);
    dup2(saved_standard_error, STDERR_FILENO);
    close(saved_standard_error);
    std::rewind(captured);
    char buffer[4096];
    size_t read = 0;
    while ((read = std::fread(buffer, 1, sizeof buffer, captured)) > 0) text.append(buffer, read);
    std::fclose(captured);
    captured = nullptr;
  }
  napi_value result;
  napi_create_string_utf8(env, text.data(), text.size(), &result);
  return result;
}

napi_value Initialise(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
      {"setAllocator", nullptr, SetAllocator, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"dropLibraryPages", nullptr, DropLibraryPages, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"captureStandardError", nullptr, CaptureStandardError, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"releaseStandardError", nullptr, ReleaseStandardError, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions);
  return exports;
}

}  // namespace

NAPI_MODULE(fcn_host, Initialise)
