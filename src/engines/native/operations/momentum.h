#pragma once

namespace fcn {

// FcnMomentumStep.
void RegisterMomentum();

}  // namespace fcn
