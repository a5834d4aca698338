// Something that all processes exchange: each submits its own part, in the same order everywhere.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "requests.h"

namespace fcn {

// The processes as an exchange sees them.
struct Peers {
  MPI_Comm group;
  int rank;
  int size;
};

// The tags of one exchange: exchanges may overlap, so each has its own.
struct Tags {
  int first_pass;
  int second_pass;
};

class Exchange {
 public:
  explicit Exchange(int32_t ticket) : ticket_(ticket) {}
  Exchange(const Exchange &) = delete;
  virtual ~Exchange() = default;

  int32_t ticket() const { return ticket_; }
  virtual void Start(const Peers &peers, const Tags &tags) = 0;
  // Whether it is complete. Called again and again until it is.
  virtual bool Advance() = 0;
  // Whether this process computes nothing until it is complete.
  virtual bool IsAwaited() const { return true; }
  // What it brought, if that is not in a tensor.
  virtual std::vector<double> Result() { return {}; }
  // Bytes that this process sends to others.
  virtual int64_t BytesSent(const Peers &peers) const = 0;

 private:
  int32_t ticket_;
};

}  // namespace fcn
