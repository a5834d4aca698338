// What Node sees of the group of this process. TensorFlow's addon must be loaded before this one.

#include <node_api.h>

#include <algorithm>
#include <stdexcept>

#include "gather.h"
#include "group-of-process.h"
#include "operations.h"

namespace fcn {

std::unique_ptr<Group> &GroupOfProcess() {
  // Never destroyed: TensorFlow's threads may outlive static objects.
  static auto *group = new std::unique_ptr<Group>();
  return *group;
}

}  // namespace fcn

namespace {

void Check(napi_status status) {
  if (status != napi_ok) throw std::runtime_error("Node refuses a call of the addon for MPI");
}

// Runs the body of a function for Node; what it throws becomes an Error.
template <typename Body>
napi_value Guarded(napi_env env, const Body &body) {
  try {
    return body();
  } catch (const std::exception &error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
}

class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMost;
    Check(napi_get_cb_info(env, info, &count, values_, nullptr, nullptr));
  }

  napi_value operator[](size_t index) const { return values_[index]; }

  int32_t Int(size_t index) const {
    int32_t value = 0;
    Check(napi_get_value_int32(env_, values_[index], &value));
    return value;
  }

  double Double(size_t index) const {
    double value = 0;
    Check(napi_get_value_double(env_, values_[index], &value));
    return value;
  }

  bool Bool(size_t index) const {
    bool value = false;
    Check(napi_get_value_bool(env_, values_[index], &value));
    return value;
  }

  template <typename T>
  std::vector<T> Array(size_t index) const {
    size_t length = 0;
    void *data = nullptr;
    Check(napi_get_typedarray_info(env_, values_[index], nullptr, &length, &data, nullptr, nullptr));
    const T *values = static_cast<const T *>(data);
    return std::vector<T>(values, values + length);
  }

 private:
  static constexpr size_t kMost = 4;
  napi_env env_;
  napi_value values_[kMost] = {};
};

// Something to tell Node: its listener gets (kind, number, text, array).
struct Event {
  const char *kind;
  int32_t number;
  std::string text;
  std::vector<double> numbers;
  std::vector<uint8_t> bytes;
};

napi_threadsafe_function events = nullptr;

void Tell(Event event) { napi_call_threadsafe_function(events, new Event(std::move(event)), napi_tsfn_nonblocking); }

napi_value ArrayOf(napi_env env, const Event &event) {
  const bool is_bytes = event.numbers.empty();
  const size_t count = is_bytes ? event.bytes.size() : event.numbers.size();
  const size_t bytes = is_bytes ? count : count * sizeof(double);
  const void *from = is_bytes ? static_cast<const void *>(event.bytes.data()) : event.numbers.data();
  void *data = nullptr;
  napi_value buffer;
  napi_value array;
  Check(napi_create_arraybuffer(env, bytes, &data, &buffer));
  if (bytes > 0) std::copy_n(static_cast<const uint8_t *>(from), bytes, static_cast<uint8_t *>(data));
  Check(napi_create_typedarray(env, is_bytes ? napi_uint8_array : napi_float64_array, count, buffer, 0, &array));
  return array;
}

void CallListener(napi_env env, napi_value listener, void *, void *data) {
  const std::unique_ptr<Event> event(static_cast<Event *>(data));
  // Node is ending.
  if (env == nullptr) return;
  napi_value arguments[4];
  napi_value self;
  Check(napi_get_undefined(env, &self));
  Check(napi_create_string_utf8(env, event->kind, NAPI_AUTO_LENGTH, &arguments[0]));
  Check(napi_create_int32(env, event->number, &arguments[1]));
  Check(napi_create_string_utf8(env, event->text.data(), event->text.size(), &arguments[2]));
  arguments[3] = ArrayOf(env, *event);
  // What the listener throws reaches Node as an uncaught exception.
  napi_call_function(env, self, listener, 4, arguments, nullptr);
}

fcn::Group &TheGroup() {
  if (fcn::GroupOfProcess() == nullptr) throw std::runtime_error("MPI is not started");
  return *fcn::GroupOfProcess();
}

// start(listener, silence): starts MPI with all processes. Returns {rank, size, here}.
napi_value Start(napi_env env, napi_callback_info info) {
  return Guarded(env, [&] {
    const Arguments arguments(env, info);
    if (events != nullptr) throw std::runtime_error("MPI was started before");
    napi_value name;
    Check(napi_create_string_utf8(env, "fcn MPI", NAPI_AUTO_LENGTH, &name));
    Check(napi_create_threadsafe_function(env, arguments[0], nullptr, name, 0, 1, nullptr, nullptr, nullptr,
                                          CallListener, &events));
    fcn::Listener listener;
    listener.finished = [](int32_t ticket, std::vector<double> result, std::string error) {
      Tell({"finished", ticket, std::move(error), std::move(result), {}});
    };
    listener.message = [](int rank, std::vector<uint8_t> bytes) { Tell({"message", rank, "", {}, std::move(bytes)}); };
    listener.lost = [](int rank, std::string why) { Tell({"lost", rank, std::move(why), {}, {}}); };
    try {
      fcn::GroupOfProcess() = std::make_unique<fcn::Group>(std::move(listener), arguments.Double(1));
    } catch (...) {
      napi_release_threadsafe_function(events, napi_tsfn_abort);
      throw;
    }
    napi_value result;
    Check(napi_create_object(env, &result));
    const std::pair<const char *, int> numbers[] = {
        {"rank", TheGroup().rank()}, {"size", TheGroup().size()}, {"here", TheGroup().here()}};
    for (const auto &[property, value] : numbers) {
      napi_value number;
      Check(napi_create_int32(env, value, &number));
      Check(napi_set_named_property(env, result, property, number));
    }
    return result;
  });
}

// setSumPlan(owners, additions, halves): see SumPlan; additions are pairs.
napi_value SetSumPlan(napi_env env, napi_callback_info info) {
  return Guarded(env, [&]() -> napi_value {
    const Arguments arguments(env, info);
    fcn::SumPlan &plan = TheGroup().plan;
    plan.owners = arguments.Array<int32_t>(0);
    plan.additions.clear();
    const std::vector<int32_t> pairs = arguments.Array<int32_t>(1);
    for (size_t i = 0; i + 1 < pairs.size(); i += 2) plan.additions.emplace_back(pairs[i], pairs[i + 1]);
    plan.halves = arguments.Bool(2);
    return nullptr;
  });
}

// gatherNumbers(ticket, Float64Array)
napi_value GatherNumbers(napi_env env, napi_callback_info info) {
  return Guarded(env, [&]() -> napi_value {
    const Arguments arguments(env, info);
    TheGroup().Submit(fcn::GatherNumbers(arguments.Int(0), arguments.Array<double>(1)));
    return nullptr;
  });
}

// send(rank, Uint8Array)
napi_value Send(napi_env env, napi_callback_info info) {
  return Guarded(env, [&]() -> napi_value {
    const Arguments arguments(env, info);
    TheGroup().Send(arguments.Int(0), arguments.Array<uint8_t>(1));
    return nullptr;
  });
}

napi_value Number(napi_env env, double value) {
  napi_value result;
  Check(napi_create_double(env, value, &result));
  return result;
}

// bytesSent(): by exchanges so far.
napi_value BytesSent(napi_env env, napi_callback_info) {
  return Guarded(env, [&] { return Number(env, static_cast<double>(TheGroup().BytesSent())); });
}

// exchangeSeconds(): processor time of the thread of MPI so far.
napi_value ExchangeSeconds(napi_env env, napi_callback_info) {
  return Guarded(env, [&] { return Number(env, TheGroup().ProcessorSeconds()); });
}

// stop(together)
napi_value Stop(napi_env env, napi_callback_info info) {
  return Guarded(env, [&]() -> napi_value {
    const Arguments arguments(env, info);
    TheGroup().Stop(arguments.Bool(0));
    fcn::GroupOfProcess().reset();
    napi_release_threadsafe_function(events, napi_tsfn_release);
    return nullptr;
  });
}

napi_value Initialise(napi_env env, napi_value exports) {
  static bool registered = false;
  return Guarded(env, [&] {
    char library[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    fcn::CheckMpi(MPI_Get_library_version(library, &length));
    napi_value version;
    Check(napi_create_string_utf8(env, library, length, &version));
    Check(napi_set_named_property(env, exports, "library", version));
    if (!registered) fcn::RegisterMpiOperations();
    registered = true;
    const napi_property_descriptor functions[] = {
        {"start", nullptr, Start, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
        {"setSumPlan", nullptr, SetSumPlan, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
        {"gatherNumbers", nullptr, GatherNumbers, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
        {"send", nullptr, Send, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
        {"bytesSent", nullptr, BytesSent, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
        {"exchangeSeconds", nullptr, ExchangeSeconds, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
        {"stop", nullptr, Stop, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
    };
    Check(napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions));
    return exports;
  });
}

}  // namespace

NAPI_MODULE(fcn_mpi, Initialise)
