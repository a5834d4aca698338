#pragma once

#include <memory>

#include "group.h"

namespace fcn {

// The group of this process: set when it is started, null after it has ended.
std::unique_ptr<Group> &GroupOfProcess();

}  // namespace fcn
