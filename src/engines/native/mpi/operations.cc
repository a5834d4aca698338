// TensorFlow operations that hand tensors over to the group of this process. They return at once. Until the exchange with their ticket
// is complete, nobody may read the tensors; their memory is held meanwhile. Nothing is copied.

#include "operations.h"

#include "../operations/operation.h"
#include "gather.h"
#include "group-of-process.h"
#include "ordered-sum.h"

namespace fcn {
namespace {

Group &TheGroup() {
  Require(GroupOfProcess() != nullptr, "MPI is not started");
  return *GroupOfProcess();
}

// Inputs from `first` on, to be held. All must have the same number of elements.
std::vector<HeldTensor> Held(Call &call, int first, int count) {
  std::vector<HeldTensor> tensors;
  for (int i = 0; i < count; ++i) {
    tensors.emplace_back(call.Keep(call.Input(first + i)));
    Require(tensors.back().Count() == tensors.front().Count(), "the tensors must have the same size");
  }
  return tensors;
}

int32_t Ticket(Call &call) { return *Data<int32_t>(call.Input(0)); }

class MpiSum {
 public:
  explicit MpiSum(Attributes &attributes) : count_(attributes.Int("N")) {}

  void Compute(Call &call) const {
    Group &group = TheGroup();
    group.Submit(OrderedSum(Ticket(call), group.plan, Held(call, 1, count_)));
  }

 private:
  int32_t count_;
};

class MpiGather {
 public:
  explicit MpiGather(Attributes &attributes) : count_(attributes.Int("N")) {}

  void Compute(Call &call) const {
    Group &group = TheGroup();
    std::vector<int64_t> shape = Shape(call.Input(1));
    Require(!shape.empty() && shape[0] == 1, "each part must be that of one shard");
    shape[0] = static_cast<int64_t>(count_) * group.size();
    HeldTensor all(call.Keep(call.Output(0, TF_DOUBLE, shape)));
    group.Submit(GatherTensors(Ticket(call), Held(call, 1, count_), std::move(all)));
  }

 private:
  int32_t count_;
};

class MpiBroadcast {
 public:
  explicit MpiBroadcast(Attributes &) {}

  void Compute(Call &call) const {
    TheGroup().Submit(Broadcast(Ticket(call), HeldTensor(call.Keep(call.Input(1)))));
  }
};

}  // namespace

void RegisterMpiOperations() {
  // The sum takes the place of the first node's values.
  Register<MpiSum>({"FcnMpiSum", {"ticket: int32", "nodes: N * float"}, {}, {"N: int >= 1"}});
  Register<MpiGather>(
      {"FcnMpiGather", {"ticket: int32", "parts: N * double"}, {"all: double"}, {"N: int >= 1"}});
  Register<MpiBroadcast>({"FcnMpiBroadcast", {"ticket: int32", "values: float"}, {}, {}});
}

}  // namespace fcn
