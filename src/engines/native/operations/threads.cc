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

// Operations that are being computed.
std::atomic<int> operations{0};

// Turns of a loop that looks for something to happen: about as long as it takes to put a thread to sleep and to wake it.
constexpr int kLooks = 2000;

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Looks for a while. Returns whether it happened.
template <typename Condition>
bool Soon(const Condition &happened) {
  for (int look = 0; look < kLooks; ++look) {
    if (happened()) return true;
    Pause();
  }
  return happened();
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
      open_ = true;
      job_.fetch_add(1);
    }
    work_.notify_all();
    Take(blocks, body);
    // A thread that has not begun by now has nothing to do, and is not waited for.
    std::unique_lock<std::mutex> lock(mutex_);
    open_ = false;
    if (busy_ == 0) return;
    lock.unlock();
    Soon([this] { return busy_ == 0; });
    lock.lock();
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void Take(int64_t blocks, const std::function<void(int64_t)> &body) {
    for (int64_t block = next_.fetch_add(1); block < blocks; block = next_.fetch_add(1)) body(block);
  }

  void Help() {
    uint64_t seen = 0;
    for (;;) {
      // Most operations have several loops, one right after the other.
      if (operations > 0) Soon([this, seen] { return job_ != seen || operations == 0; });
      std::unique_lock<std::mutex> lock(mutex_);
      work_.wait(lock, [this, seen] { return job_ != seen; });
      seen = job_;
      if (!open_) continue;
      const auto *body = body_;
      const int64_t blocks = blocks_;
      ++busy_;
      lock.unlock();
      Take(blocks, *body);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  int helpers_ = 0;
  std::mutex callers_;
  // Guards what follows; atomic is what a thread looks at without it.
  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::atomic<int64_t> next_{0};
  const std::function<void(int64_t)> *body_ = nullptr;
  int64_t blocks_ = 0;
  // Whether helpers may begin.
  bool open_ = false;
  // Helpers at work.
  std::atomic<int> busy_{0};
  std::atomic<uint64_t> job_{0};
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

ThreadsAwake::ThreadsAwake() { ++operations; }

ThreadsAwake::~ThreadsAwake() { --operations; }

void ParallelFor(int64_t blocks, const std::function<void(int64_t)> &body) {
  // Never destroyed: its threads wait until the process ends.
  static Pool *pool = new Pool();
  pool->Run(blocks, body);
}

}  // namespace fcn
