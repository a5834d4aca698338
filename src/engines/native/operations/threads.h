// Threads for the operations of this package: TensorFlow's own pool is out of reach of its C interface.

#pragma once

#include <cstdint>
#include <functional>

namespace fcn {

// Calls body(block) once for each block of [0, blocks), on as many threads as TensorFlow itself would use. Returns when
// all have returned. One call at a time: a second one from another thread waits.
void ParallelFor(int64_t blocks, const std::function<void(int64_t)> &body);

// How many threads that is.
int ThreadCount();

// While one exists, threads without work look for more for some microseconds before they sleep: waking one takes longer than
// many a loop. Every operation has one while it computes; between operations TensorFlow's own threads need the processors.
class ThreadsAwake {
 public:
  ThreadsAwake();
  ThreadsAwake(const ThreadsAwake &) = delete;
  ~ThreadsAwake();
};

}  // namespace fcn
