#include "group.h"

#include <time.h>

#include <algorithm>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

namespace fcn {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kSignOfLife = 1;
constexpr int kMessage = 2;
constexpr milliseconds kBeat{500};
// Exchanges that may overlap before a tag is used again. MPI guarantees tags up to 32767.
constexpr int32_t kTagged = 8192;
// Most time between two looks at MPI: while the computation waits for an exchange, while one is under way, and while there is none. A
// look takes some microseconds of a processor that is computing, too.
constexpr microseconds kWhileAwaited{200};
constexpr microseconds kWhileExchanging{1000};
constexpr microseconds kWhileIdle{5000};
constexpr microseconds kShortest{10};
// Waiting for the others when all end, at most.
constexpr seconds kFarewell{5};

}  // namespace

Group::Group(Listener listener, double silence) : listener_(std::move(listener)), silence_(silence) {
  thread_ = std::thread([this] { Main(); });
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return started_; });
  if (start_error_.empty()) return;
  lock.unlock();
  thread_.join();
  throw std::runtime_error(start_error_);
}

void Group::Submit(std::unique_ptr<Exchange> exchange) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    submitted_.push_back(std::move(exchange));
  }
  changed_.notify_one();
}

void Group::Send(int rank, std::vector<uint8_t> bytes) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    to_send_.push_back({rank, std::move(bytes), MPI_REQUEST_NULL});
  }
  changed_.notify_one();
}

void Group::Stop(bool together) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    together_ = together;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Group::Main() {
#if defined(__linux__)
  // Otherwise the system makes short waits longer by 50 µs.
  prctl(PR_SET_TIMERSLACK, 1000UL);
#endif
  std::string error;
  try {
    Initialise();
  } catch (const std::exception &failure) {
    error = failure.what();
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    started_ = true;
    start_error_ = error;
  }
  changed_.notify_one();
  if (!error.empty()) return;
  try {
    Run();
  } catch (const std::exception &failure) {
    Fail(-1, failure.what());
  }
}

void Group::Initialise() {
  int initialised = 0;
  CheckMpi(MPI_Initialized(&initialised));
  if (initialised != 0) throw std::runtime_error("MPI was started before");
  int provided = 0;
  // Only this thread calls MPI.
  CheckMpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided));
  if (provided < MPI_THREAD_FUNNELED) throw std::runtime_error("this MPI allows no threads");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  CheckMpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank_));
  CheckMpi(MPI_Comm_size(MPI_COMM_WORLD, &size_));
  MPI_Comm here = MPI_COMM_NULL;
  CheckMpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &here));
  CheckMpi(MPI_Comm_size(here, &here_));
  CheckMpi(MPI_Comm_free(&here));
  for (MPI_Comm *group : {&exchange_group_, &message_group_}) {
    CheckMpi(MPI_Comm_dup(MPI_COMM_WORLD, group));
    MPI_Comm_set_errhandler(*group, MPI_ERRORS_RETURN);
  }
  heard_.assign(size_, Clock::now());
  looked_ = Clock::now();
}

void Group::Run() {
  auto active_since = Clock::now();
  while (TakeWork()) {
    bool moved = AdvanceExchanges();
    moved = AdvanceMessages() || moved;
    Beat(Clock::now());
    if (moved) active_since = Clock::now();
    CountTime();
    Wait(active_since);
  }
  End();
}

// Whether there is more to do.
bool Group::TakeWork() {
  std::deque<std::unique_ptr<Exchange>> submitted;
  bool stop;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    submitted.swap(submitted_);
    for (Outgoing &message : to_send_) outgoing_.push_back(std::move(message));
    to_send_.clear();
    stop = stop_;
  }
  for (auto &exchange : submitted) {
    if (failed_) {
      listener_.finished(exchange->ticket(), {}, failure_);
      continue;
    }
    const int tag = 2 * (sequence_++ % kTagged);
    const Peers peers = {exchange_group_, rank_, size_};
    bytes_sent_ += exchange->BytesSent(peers);
    exchange->Start(peers, {tag, tag + 1});
    active_.push_back(std::move(exchange));
  }
  return !stop;
}

// Whether one has become complete.
bool Group::AdvanceExchanges() {
  bool moved = false;
  for (auto at = active_.begin(); at != active_.end();) {
    if (failed_ || !(*at)->Advance()) {
      ++at;
      continue;
    }
    moved = true;
    listener_.finished((*at)->ticket(), (*at)->Result(), "");
    at = active_.erase(at);
  }
  return moved;
}

// Whether one was sent or received.
bool Group::AdvanceMessages() {
  bool moved = false;
  for (auto at = outgoing_.begin(); at != outgoing_.end();) {
    if (at->request == MPI_REQUEST_NULL) {
      CheckMpi(MPI_Isend(at->bytes.data(), static_cast<int>(at->bytes.size()), MPI_BYTE, at->rank, kMessage,
                         message_group_, &at->request));
      moved = true;
    }
    int done = 0;
    CheckMpi(MPI_Test(&at->request, &done, MPI_STATUS_IGNORE));
    at = done != 0 ? outgoing_.erase(at) : std::next(at);
  }
  const size_t before = incoming_.size();
  Receive();
  moved = moved || incoming_.size() != before;
  // In the order in which they were sent.
  while (!incoming_.empty()) {
    int done = 0;
    CheckMpi(MPI_Test(&incoming_.front().request, &done, MPI_STATUS_IGNORE));
    if (done == 0) break;
    moved = true;
    listener_.message(incoming_.front().rank, std::move(incoming_.front().bytes));
    incoming_.pop_front();
  }
  return moved;
}

// Takes what has come: messages, and signs of life.
void Group::Receive() {
  for (;;) {
    int found = 0;
    MPI_Message message;
    MPI_Status status;
    CheckMpi(MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, message_group_, &found, &message, &status));
    if (found == 0) return;
    heard_[status.MPI_SOURCE] = Clock::now();
    int count = 0;
    CheckMpi(MPI_Get_count(&status, MPI_BYTE, &count));
    if (status.MPI_TAG == kSignOfLife) {
      CheckMpi(MPI_Mrecv(nullptr, 0, MPI_BYTE, &message, MPI_STATUS_IGNORE));
      continue;
    }
    incoming_.push_back({status.MPI_SOURCE, std::vector<uint8_t>(count), MPI_REQUEST_NULL});
    Incoming &last = incoming_.back();
    CheckMpi(MPI_Imrecv(last.bytes.data(), count, MPI_BYTE, &message, &last.request));
  }
}

// Gives a sign of life, and looks at those of the others.
void Group::Beat(Clock::time_point now) {
  // This process was stopped for a while: what others sent meanwhile may not have come yet.
  if (now - looked_ > kBeat) std::fill(heard_.begin(), heard_.end(), now);
  looked_ = now;
  if (now - beaten_ >= kBeat) {
    beaten_ = now;
    for (int rank = 0; rank < size_; ++rank) {
      if (rank == rank_) continue;
      MPI_Request request;
      CheckMpi(MPI_Isend(nullptr, 0, MPI_BYTE, rank, kSignOfLife, message_group_, &request));
      CheckMpi(MPI_Request_free(&request));
    }
  }
  if (failed_) return;
  for (int rank = 0; rank < size_; ++rank) {
    if (rank != rank_ && now - heard_[rank] > silence_) {
      Fail(rank, "it has given no sign of life for " + std::to_string(static_cast<int>(silence_.count())) + " seconds");
      return;
    }
  }
}

void Group::Fail(int rank, const std::string &why) {
  if (failed_) return;
  failed_ = true;
  failure_ = why;
  listener_.lost(rank, why);
  for (auto &exchange : active_) {
    listener_.finished(exchange->ticket(), {}, why);
    // MPI may still write into its memory.
    exchange.release();
  }
  active_.clear();
}

void Group::CountTime() {
  timespec used{};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) != 0) return;
  processor_seconds_ = static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

// The longer nothing has happened, the longer: a short exchange ends at once, and a long wait takes no time of the processor.
void Group::Wait(Clock::time_point idle_since) {
  const auto idle = duration_cast<microseconds>(Clock::now() - idle_since);
  const bool is_awaited = !outgoing_.empty() || !incoming_.empty() ||
                          std::any_of(active_.begin(), active_.end(),
                                      [](const auto &exchange) { return exchange->IsAwaited(); });
  const microseconds most = is_awaited ? kWhileAwaited : active_.empty() ? kWhileIdle : kWhileExchanging;
  const microseconds time = std::clamp(idle / 4, kShortest, most);
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, time, [this] { return stop_ || !submitted_.empty() || !to_send_.empty(); });
}

void Group::End() {
  const auto deadline = Clock::now() + kFarewell;
  while (!failed_ && !outgoing_.empty() && Clock::now() < deadline) {
    AdvanceMessages();
    std::this_thread::sleep_for(microseconds(100));
  }
  if (!together_ || failed_) return;
  MPI_Request request;
  CheckMpi(MPI_Ibarrier(exchange_group_, &request));
  for (int done = 0; done == 0;) {
    CheckMpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    if (done == 0 && Clock::now() > deadline) return;
    if (done == 0) std::this_thread::sleep_for(microseconds(100));
  }
  MPI_Finalize();
}

}  // namespace fcn
