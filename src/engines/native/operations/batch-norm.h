#pragma once

namespace fcn {

// FcnBatchNorm, FcnBatchNormApply and FcnBatchNormGradient.
void RegisterBatchNorm();

}  // namespace fcn
