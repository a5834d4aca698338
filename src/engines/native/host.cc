// What the engine needs of the process it runs in and Node does not offer: setting the C library's allocator after the
// process has started, and holding back what a library prints while it loads. Built beside TensorFlow's addon.

#include <node_api.h>

#include <cstdio>
#include <string>

#include <unistd.h>

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
      {"captureStandardError", nullptr, CaptureStandardError, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"releaseStandardError", nullptr, ReleaseStandardError, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions);
  return exports;
}

}  // namespace

NAPI_MODULE(fcn_host, Initialise)
