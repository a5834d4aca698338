#pragma once

namespace fcn {

// FcnMpiSum, FcnMpiGather and FcnMpiBroadcast.
void RegisterMpiOperations();

}  // namespace fcn
