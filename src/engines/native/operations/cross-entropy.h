#pragma once

namespace fcn {

// FcnCrossEntropy.
void RegisterCrossEntropy();

}  // namespace fcn
