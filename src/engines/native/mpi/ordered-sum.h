// The sum of a tensor over all processes in an order that does not depend on their number: each process adds up one range of the
// values, in the order of the plan, and the ranges are gathered.

#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "exchange.h"
#include "held-tensor.h"

namespace fcn {

// What is added to what. Summands are numbered in the order of the shards.
struct SumPlan {
  // The process that has each summand; those of one process follow each other.
  std::vector<int32_t> owners;
  // The second is added to the first; the sum ends in summand 0.
  std::vector<std::pair<int32_t, int32_t>> additions;
  // Whether values travel as bfloat16.
  bool halves = false;
};

// `own`: the summands of this process, of float32; the first gets the sum.
std::unique_ptr<Exchange> OrderedSum(int32_t ticket, const SumPlan &plan, std::vector<HeldTensor> own);

}  // namespace fcn
