#pragma once

namespace fcn {

// FcnBiasActivation.
void RegisterActivation();

}  // namespace fcn
