#pragma once

namespace fcn {

// FcnBatchNormMoments, FcnBatchNormOfShards, FcnBatchNormGradientSums and FcnBatchNormGradientOfShards.
void RegisterBatchNormOfShards();

}  // namespace fcn
