#pragma once

namespace fcn {

// FcnMaxPoolGradient.
void RegisterMaxPool();

}  // namespace fcn
