#pragma once

namespace fcn {

// FcnReluGradient.
void RegisterReluGradient();

}  // namespace fcn
