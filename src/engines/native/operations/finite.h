#pragma once

namespace fcn {

// FcnAllFinite.
void RegisterFinite();

}  // namespace fcn
