#include "ordered-sum.h"

#include <algorithm>
#include <cstring>

#include "../operations/element.h"

namespace fcn {
namespace {

// Values that are added up at a time, so that they stay in a cache.
constexpr int64_t kBlock = 16384;
// Ranges begin at cache lines.
constexpr int64_t kAlignment = 16;

FCN_CLONES void Add(float *FCN_RESTRICT to, const float *FCN_RESTRICT from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] += from[i];
}

FCN_CLONES void Narrow(const float *FCN_RESTRICT from, Bfloat16 *FCN_RESTRICT to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) Store(to + i, from[i]);
}

FCN_CLONES void Widen(const Bfloat16 *FCN_RESTRICT from, float *FCN_RESTRICT to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = Load(from + i);
}

// Room for values that are to be received: unlike a vector's, it is not filled with zeros first.
template <typename T>
class Room {
 public:
  void Make(int64_t count) { values_.reset(new T[count]); }
  void Free() { values_.reset(); }
  T *data() const { return values_.get(); }

 private:
  std::unique_ptr<T[]> values_;
};

struct Range {
  int64_t begin, end;
  int64_t Count() const { return end - begin; }
};

class Sum : public Exchange {
 public:
  Sum(int32_t ticket, const SumPlan &plan, std::vector<HeldTensor> own)
      : Exchange(ticket), plan_(plan), own_(std::move(own)), count_(own_[0].Count()) {}

  void Start(const Peers &peers, const Tags &tags) override {
    peers_ = peers;
    tags_ = tags;
    range_ = RangeOf(peers.rank);
    received_.resize(plan_.owners.size());
    if (plan_.halves) NarrowOwn();
    for (size_t i = 0; i < plan_.owners.size(); ++i) {
      if (plan_.owners[i] != peers.rank) ReceiveSummand(i);
    }
    for (int to = 0; to < peers.size; ++to) {
      if (to == peers.rank) continue;
      const Range range = RangeOf(to);
      for (size_t slot = 0; slot < own_.size(); ++slot) Send(slot, range, to);
    }
  }

  bool Advance() override {
    if (!added_) {
      if (!summands_.Done()) return false;
      AddUp();
      added_ = true;
      SendSum();
    }
    if (!receiving_) {
      // The ranges of others in the first summand are overwritten: they must have left.
      if (!sent_.Done()) return false;
      ReceiveSums();
      receiving_ = true;
    }
    if (!sums_.Done()) return false;
    if (plan_.halves) WidenSums();
    return true;
  }

  // Most of it happens while the backward pass goes on.
  bool IsAwaited() const override { return false; }

  int64_t BytesSent(const Peers &peers) const override {
    const int64_t element = plan_.halves ? sizeof(Bfloat16) : sizeof(float);
    const Range own = {peers.rank * count_ / peers.size, (peers.rank + 1) * count_ / peers.size};
    return element * ((count_ - own.Count()) * static_cast<int64_t>(own_.size()) + own.Count() * (peers.size - 1));
  }

 private:
  // The range that a process adds up.
  Range RangeOf(int rank) const {
    const auto begin = [&](int64_t index) {
      return index == peers_.size ? count_ : count_ * index / peers_.size / kAlignment * kAlignment;
    };
    return {begin(rank), begin(rank + 1)};
  }

  float *Own(size_t slot) const { return own_[slot].Values<float>(); }

  // Rounds this process's summands, too, so that all add up the same.
  void NarrowOwn() {
    narrow_.resize(own_.size());
    for (size_t slot = 0; slot < own_.size(); ++slot) {
      narrow_[slot].Make(count_);
      Narrow(Own(slot), narrow_[slot].data(), count_);
      Widen(narrow_[slot].data() + range_.begin, Own(slot) + range_.begin, range_.Count());
    }
  }

  void Send(size_t slot, const Range &range, int to) {
    if (plan_.halves) {
      sent_.Send(peers_.group, narrow_[slot].data() + range.begin, range.Count() * sizeof(Bfloat16), to,
                 tags_.first_pass);
    } else {
      sent_.Send(peers_.group, Own(slot) + range.begin, range.Count() * sizeof(float), to, tags_.first_pass);
    }
  }

  void ReceiveSummand(size_t i) {
    received_[i].Make(range_.Count());
    const int64_t bytes = range_.Count() * (plan_.halves ? sizeof(Bfloat16) : sizeof(float));
    if (plan_.halves) {
      received_narrow_.resize(plan_.owners.size());
      received_narrow_[i].Make(range_.Count());
      summands_.Receive(peers_.group, received_narrow_[i].data(), bytes, plan_.owners[i], tags_.first_pass);
    } else {
      summands_.Receive(peers_.group, received_[i].data(), bytes, plan_.owners[i], tags_.first_pass);
    }
  }

  // Summand i of the range of this process.
  float *Summand(size_t i) {
    if (plan_.owners[i] != peers_.rank) return received_[i].data();
    const auto first = std::find(plan_.owners.begin(), plan_.owners.end(), peers_.rank);
    return Own(i - (first - plan_.owners.begin())) + range_.begin;
  }

  void AddUp() {
    for (size_t i = 0; plan_.halves && i < plan_.owners.size(); ++i) {
      if (plan_.owners[i] != peers_.rank) Widen(received_narrow_[i].data(), received_[i].data(), range_.Count());
    }
    for (int64_t at = 0; at < range_.Count(); at += kBlock) {
      const int64_t some = std::min(kBlock, range_.Count() - at);
      for (const auto &[to, from] : plan_.additions) Add(Summand(to) + at, Summand(from) + at, some);
    }
    const float *sum = Summand(0);
    float *result = Own(0) + range_.begin;
    if (sum != result) std::memcpy(result, sum, range_.Count() * sizeof(float));
    for (Room<float> &received : received_) received.Free();
  }

  void SendSum() {
    const void *data = Own(0) + range_.begin;
    int64_t bytes = range_.Count() * sizeof(float);
    if (plan_.halves) {
      narrow_sum_.Make(count_);
      Narrow(Own(0) + range_.begin, narrow_sum_.data() + range_.begin, range_.Count());
      data = narrow_sum_.data() + range_.begin;
      bytes = range_.Count() * sizeof(Bfloat16);
    }
    for (int to = 0; to < peers_.size; ++to) {
      if (to != peers_.rank) sums_.Send(peers_.group, data, bytes, to, tags_.second_pass);
    }
  }

  void ReceiveSums() {
    for (int from = 0; from < peers_.size; ++from) {
      if (from == peers_.rank) continue;
      const Range range = RangeOf(from);
      if (plan_.halves) {
        sums_.Receive(peers_.group, narrow_sum_.data() + range.begin, range.Count() * sizeof(Bfloat16), from,
                      tags_.second_pass);
      } else {
        sums_.Receive(peers_.group, Own(0) + range.begin, range.Count() * sizeof(float), from, tags_.second_pass);
      }
    }
  }

  void WidenSums() { Widen(narrow_sum_.data(), Own(0), count_); }

  const SumPlan &plan_;
  std::vector<HeldTensor> own_;
  int64_t count_;
  Peers peers_{};
  Tags tags_{};
  Range range_{};
  Requests sent_, summands_, sums_;
  // By number of the summand; those of this process are empty.
  std::vector<Room<float>> received_;
  std::vector<Room<Bfloat16>> received_narrow_, narrow_;
  Room<Bfloat16> narrow_sum_;
  bool added_ = false;
  bool receiving_ = false;
};

}  // namespace

std::unique_ptr<Exchange> OrderedSum(int32_t ticket, const SumPlan &plan, std::vector<HeldTensor> own) {
  return std::make_unique<Sum>(ticket, plan, std::move(own));
}

}  // namespace fcn
