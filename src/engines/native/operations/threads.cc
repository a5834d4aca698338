#include "threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace fcn {
namespace {

int ProcessorCount() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

class Pool {
 public:
  Pool() {
    const int helpers = ThreadCount() - 1;
    for (int i = 0; i < helpers; ++i) std::thread([this] { Help(); }).detach();
    helpers_ = helpers;
  }

  void Run(int64_t blocks, const std::function<void(int64_t)> &body) {
    if (helpers_ == 0 || blocks <= 1) {
      for (int64_t block = 0; block < blocks; ++block) body(block);
      return;
    }
    std::lock_guard<std::mutex> one_at_a_time(callers_);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      body_ = &body;
      blocks_ = blocks;
      next_.store(0);
      busy_ = helpers_;
      ++job_;
    }
    work_.notify_all();
    Take(blocks, body);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void Take(int64_t blocks, const std::function<void(int64_t)> &body) {
    for (int64_t block = next_.fetch_add(1); block < blocks; block = next_.fetch_add(1)) body(block);
  }

  void Help() {
    uint64_t seen = 0;
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      work_.wait(lock, [this, seen] { return job_ != seen; });
      seen = job_;
      const auto *body = body_;
      const int64_t blocks = blocks_;
      lock.unlock();
      Take(blocks, *body);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  int helpers_ = 0;
  std::mutex callers_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::atomic<int64_t> next_{0};
  const std::function<void(int64_t)> *body_ = nullptr;
  int64_t blocks_ = 0;
  int busy_ = 0;
  uint64_t job_ = 0;
};

}  // namespace

// TF_NUM_INTRAOP_THREADS limits TensorFlow, and so these threads too.
int ThreadCount() {
  static const int count = [] {
    const char *setting = std::getenv("TF_NUM_INTRAOP_THREADS");
    const int limit = setting == nullptr ? 0 : std::atoi(setting);
    const int processors = ProcessorCount();
    return limit > 0 ? std::min(limit, processors) : processors;
  }();
  return count;
}

void ParallelFor(int64_t blocks, const std::function<void(int64_t)> &body) {
  // Never destroyed: its threads wait until the process ends.
  static Pool *pool = new Pool();
  pool->Run(blocks, body);
}

}  // namespace fcn
