#pragma once

namespace fcn {

// FcnWinogradFilterGradient.
void RegisterWinogradFilterGradient();

}  // namespace fcn
