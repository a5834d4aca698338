// Every process gets the values of all, in the order of the processes.

#pragma once

#include <memory>
#include <vector>

#include "exchange.h"
#include "held-tensor.h"

namespace fcn {

// `parts`: this process's tensors of float64, all of the same size. `all`: room for those of all processes.
std::unique_ptr<Exchange> GatherTensors(int32_t ticket, std::vector<HeldTensor> parts, HeldTensor all);
// The result is that of `Exchange::Result`.
std::unique_ptr<Exchange> GatherNumbers(int32_t ticket, std::vector<double> own);
// Process 0's values take the place of those of the others.
std::unique_ptr<Exchange> Broadcast(int32_t ticket, HeldTensor values);

}  // namespace fcn
