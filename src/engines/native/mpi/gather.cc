#include "gather.h"

#include <cstring>

namespace fcn {
namespace {

// Sends `own` to all others, and receives theirs.
void ExchangeAll(const Peers &peers, int tag, const double *own, int64_t count, double *all, Requests &requests) {
  const int64_t bytes = count * static_cast<int64_t>(sizeof(double));
  for (int step = 1; step < peers.size; ++step) {
    const int from = (peers.rank + step) % peers.size;
    requests.Receive(peers.group, all + from * count, bytes, from, tag);
  }
  for (int step = 1; step < peers.size; ++step) {
    const int to = (peers.rank + peers.size - step) % peers.size;
    requests.Send(peers.group, own, bytes, to, tag);
  }
}

class TensorGather : public Exchange {
 public:
  TensorGather(int32_t ticket, std::vector<HeldTensor> parts, HeldTensor all)
      : Exchange(ticket), parts_(std::move(parts)), all_(std::move(all)) {}

  void Start(const Peers &peers, const Tags &tags) override {
    const int64_t of_part = parts_[0].Count();
    const int64_t own = of_part * static_cast<int64_t>(parts_.size());
    double *all = all_.Values<double>();
    double *at = all + peers.rank * own;
    for (size_t i = 0; i < parts_.size(); ++i) {
      std::memcpy(at + i * of_part, parts_[i].Values<double>(), of_part * sizeof(double));
    }
    ExchangeAll(peers, tags.first_pass, at, own, all, requests_);
  }

  bool Advance() override { return requests_.Done(); }

  int64_t BytesSent(const Peers &peers) const override {
    return (peers.size - 1) * static_cast<int64_t>(parts_.size()) * parts_[0].Count() * sizeof(double);
  }

 private:
  std::vector<HeldTensor> parts_;
  HeldTensor all_;
  Requests requests_;
};

class NumberGather : public Exchange {
 public:
  NumberGather(int32_t ticket, std::vector<double> own) : Exchange(ticket), own_(std::move(own)) {}

  void Start(const Peers &peers, const Tags &tags) override {
    all_.resize(own_.size() * peers.size);
    std::copy(own_.begin(), own_.end(), all_.begin() + peers.rank * own_.size());
    ExchangeAll(peers, tags.first_pass, own_.data(), own_.size(), all_.data(), requests_);
  }

  bool Advance() override { return requests_.Done(); }
  std::vector<double> Result() override { return std::move(all_); }

  int64_t BytesSent(const Peers &peers) const override {
    return (peers.size - 1) * static_cast<int64_t>(own_.size() * sizeof(double));
  }

 private:
  std::vector<double> own_;
  std::vector<double> all_;
  Requests requests_;
};

class FromFirst : public Exchange {
 public:
  FromFirst(int32_t ticket, HeldTensor values) : Exchange(ticket), values_(std::move(values)) {}

  void Start(const Peers &peers, const Tags &tags) override {
    float *values = values_.Values<float>();
    if (peers.rank != 0) {
      requests_.Receive(peers.group, values, Bytes(), 0, tags.first_pass);
      return;
    }
    for (int to = 1; to < peers.size; ++to) requests_.Send(peers.group, values, Bytes(), to, tags.first_pass);
  }

  bool Advance() override { return requests_.Done(); }
  int64_t BytesSent(const Peers &peers) const override { return peers.rank == 0 ? (peers.size - 1) * Bytes() : 0; }

 private:
  int64_t Bytes() const { return values_.Count() * static_cast<int64_t>(sizeof(float)); }

  HeldTensor values_;
  Requests requests_;
};

}  // namespace

std::unique_ptr<Exchange> GatherTensors(int32_t ticket, std::vector<HeldTensor> parts, HeldTensor all) {
  return std::make_unique<TensorGather>(ticket, std::move(parts), std::move(all));
}

std::unique_ptr<Exchange> GatherNumbers(int32_t ticket, std::vector<double> own) {
  return std::make_unique<NumberGather>(ticket, std::move(own));
}

std::unique_ptr<Exchange> Broadcast(int32_t ticket, HeldTensor values) {
  return std::make_unique<FromFirst>(ticket, std::move(values));
}

}  // namespace fcn
