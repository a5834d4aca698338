// Registers this package's own operations with TensorFlow when Node loads the addon. They are called by name like any
// other.

#include <node_api.h>

#include <exception>

#include "batch-norm.h"
#include "cross-entropy.h"
#include "finite.h"
#include "max-pool.h"
#include "momentum.h"
#include "winograd-filter-gradient.h"

namespace {

napi_value Initialise(napi_env env, napi_value exports) {
  // A second load in one process (a worker thread) must not register twice.
  static bool registered = false;
  if (registered) return exports;
  try {
    fcn::RegisterBatchNorm();
    fcn::RegisterCrossEntropy();
    fcn::RegisterFinite();
    fcn::RegisterMaxPool();
    fcn::RegisterMomentum();
    fcn::RegisterWinogradFilterGradient();
    registered = true;
  } catch (const std::exception &error) {
    napi_throw_error(env, nullptr, error.what());
  }
  return exports;
}

}  // namespace

NAPI_MODULE(fcn_operations, Initialise)
