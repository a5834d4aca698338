// Registers this package's own operations with TensorFlow when Node loads the addon. They are called by name like any
// other.

#include <node_api.h>

#include <stdexcept>

#include "activation.h"
#include "batch-norm-shards.h"
#include "batch-norm.h"
#include "cross-entropy.h"
#include "finite.h"
#include "max-pool.h"
#include "momentum.h"
#include "relu-gradient.h"
#include "winograd-convolution.h"
#include "winograd-filter-gradient.h"

namespace {

// `winogradInstructions`: the instruction set of the Winograd convolutions; null if this processor has none that they need.
void ExportInstructions(napi_env env, napi_value exports) {
  napi_value value;
  napi_status status = napi_ok;
  switch (fcn::winograd::InstructionSetHere()) {
    case fcn::winograd::InstructionSet::kNone:
      status = napi_get_null(env, &value);
      break;
    case fcn::winograd::InstructionSet::kAvx2:
      status = napi_create_string_utf8(env, "avx2", NAPI_AUTO_LENGTH, &value);
      break;
    case fcn::winograd::InstructionSet::kAvx512:
      status = napi_create_string_utf8(env, "avx512", NAPI_AUTO_LENGTH, &value);
      break;
  }
  if (status == napi_ok) status = napi_set_named_property(env, exports, "winogradInstructions", value);
  if (status != napi_ok) throw std::runtime_error("Node takes no property of this addon");
}

napi_value Initialise(napi_env env, napi_value exports) {
  // A second load in one process (a worker thread) must not register twice.
  static bool registered = false;
  try {
    ExportInstructions(env, exports);
    if (registered) return exports;
    fcn::RegisterActivation();
    fcn::RegisterBatchNorm();
    fcn::RegisterBatchNormOfShards();
    fcn::RegisterCrossEntropy();
    fcn::RegisterFinite();
    fcn::RegisterMaxPool();
    fcn::RegisterMomentum();
    fcn::RegisterReluGradient();
    fcn::RegisterWinogradConvolution();
    fcn::RegisterWinogradFilterGradient();
    registered = true;
  } catch (const std::exception &error) {
    napi_throw_error(env, nullptr, error.what());
  }
  return exports;
}

}  // namespace

NAPI_MODULE(fcn_operations, Initialise)
