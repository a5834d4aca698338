// Non-blocking messages of MPI that belong together.

#pragma once

#include <mpi.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace fcn {

// What MPI says of a failure, as an exception.
inline void CheckMpi(int code) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw std::runtime_error(std::string(text, length));
}

class Requests {
 public:
  void Send(MPI_Comm group, const void *data, int64_t bytes, int rank, int tag) {
    if (bytes == 0) return;
    requests_.emplace_back();
    CheckMpi(MPI_Isend(data, static_cast<int>(bytes), MPI_BYTE, rank, tag, group, &requests_.back()));
  }

  void Receive(MPI_Comm group, void *data, int64_t bytes, int rank, int tag) {
    if (bytes == 0) return;
    requests_.emplace_back();
    CheckMpi(MPI_Irecv(data, static_cast<int>(bytes), MPI_BYTE, rank, tag, group, &requests_.back()));
  }

  // Whether all have completed; MPI makes progress only in calls such as this one.
  bool Done() {
    if (requests_.empty()) return true;
    int done = 0;
    CheckMpi(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE));
    if (done != 0) requests_.clear();
    return done != 0;
  }

 private:
  std::vector<MPI_Request> requests_;
};

}  // namespace fcn
