// The processes of a run, and the one thread of this process that calls MPI. It waits by asking again and again, ever more rarely, so
// that no core is busy with waiting; Node's thread only hands work over and is told what is complete.

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "exchange.h"
#include "ordered-sum.h"

namespace fcn {

// What Node's thread is told. Called on the thread of MPI.
struct Listener {
  // An exchange is complete; `error` is empty unless it failed.
  std::function<void(int32_t ticket, std::vector<double> result, std::string error)> finished;
  std::function<void(int rank, std::vector<uint8_t> bytes)> message;
  // A process has given no sign of life for too long, or MPI has failed (rank −1). All exchanges fail from now on.
  std::function<void(int rank, std::string why)> lost;
};

class Group {
 public:
  // Starts MPI, which waits for all processes. @param silence Seconds without a sign of life after which a process is lost.
  Group(Listener listener, double silence);
  Group(const Group &) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  // Processes on this machine, this one included.
  int here() const { return here_; }
  int64_t BytesSent() const { return bytes_sent_; }
  // Processor time of the thread of MPI, as of its last look at MPI.
  double ProcessorSeconds() const { return processor_seconds_; }

  // Must be set before the first sum.
  SumPlan plan;

  void Submit(std::unique_ptr<Exchange> exchange);
  void Send(int rank, std::vector<uint8_t> bytes);
  // Ends the thread. `together`: all processes do, and MPI ends as it should; otherwise it is left as it is.
  void Stop(bool together);

 private:
  using Clock = std::chrono::steady_clock;
  struct Outgoing {
    int rank;
    std::vector<uint8_t> bytes;
    MPI_Request request;
  };
  struct Incoming {
    int rank;
    std::vector<uint8_t> bytes;
    MPI_Request request;
  };

  void Main();
  void Initialise();
  void Run();
  bool TakeWork();
  bool AdvanceExchanges();
  bool AdvanceMessages();
  void Receive();
  void Beat(Clock::time_point now);
  void CountTime();
  void Fail(int rank, const std::string &why);
  void Wait(Clock::time_point idle_since);
  void End();

  const Listener listener_;
  const std::chrono::duration<double> silence_;
  int rank_ = 0;
  int size_ = 1;
  int here_ = 1;
  // Of exchanges, and of messages and signs of life.
  MPI_Comm exchange_group_ = MPI_COMM_NULL;
  MPI_Comm message_group_ = MPI_COMM_NULL;
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool started_ = false;
  std::string start_error_;
  std::deque<std::unique_ptr<Exchange>> submitted_;
  std::deque<Outgoing> to_send_;
  bool stop_ = false;
  bool together_ = false;

  // Of the thread of MPI alone.
  std::list<std::unique_ptr<Exchange>> active_;
  std::list<Outgoing> outgoing_;
  std::list<Incoming> incoming_;
  int32_t sequence_ = 0;
  std::vector<Clock::time_point> heard_;
  Clock::time_point beaten_{};
  Clock::time_point looked_{};
  bool failed_ = false;
  std::string failure_;
  std::atomic<int64_t> bytes_sent_{0};
  std::atomic<double> processor_seconds_{0};
};

}  // namespace fcn
