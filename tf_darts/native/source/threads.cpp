#include "threads.h"

#include <immintrin.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

namespace tf_darts {
namespace {

std::atomic<int> limit{1};  // of threads at work

struct Job {
  const std::function<void(int)>& body;
  const int count;
  // How the calling thread rounds, and whether it takes denormal numbers for zeros: TensorFlow's do, and
  // Python's does not.
  const unsigned arithmetic;
  int next = 0, done = 0;
  std::condition_variable all_done{};
};

class Pool {
 public:
  void run(int count, const std::function<void(int)>& body) {
    std::unique_lock lock(mutex_);
    start();
    Job job{body, count, _mm_getcsr()};
    jobs_.push_back(&job);
    ++at_work_;
    wanted_.notify_all();
    while (job.next < job.count) take(job, lock);
    --at_work_;
    wanted_.notify_one();
    job.all_done.wait(lock, [&] { return job.done == job.count; });
  }

  bool is_of(pid_t process) const { return process == process_; }

 private:
  // Those that the system does not give are done without.
  void start() {
    try {
      // They wait for work until the process ends, and end with it.
      for (; workers_ < limit - 1; ++workers_) std::thread([this] { work(); }).detach();
    } catch (const std::system_error&) {
    }
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wanted_.wait(lock, [this] { return !jobs_.empty() && at_work_ < limit; });
      Job& job = *jobs_.front();
      ++at_work_;
      _mm_setcsr(job.arithmetic);
      take(job, lock);
      --at_work_;
    }
  }

  // Calls the body for what comes next. The job may be over when it returns to a worker.
  void take(Job& job, std::unique_lock<std::mutex>& lock) {
    const int i = job.next++;
    if (job.next == job.count) std::erase(jobs_, &job);
    lock.unlock();
    job.body(i);
    lock.lock();
    if (++job.done == job.count) job.all_done.notify_one();
  }

  const pid_t process_ = getpid();
  std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<Job*> jobs_;  // of which something is left to take
  int workers_ = 0, at_work_ = 0;
};

// It is never destroyed: threads wait in it.
Pool& pool() {
  static Pool& one = *new Pool;
  return one;
}

}  // namespace

void set_threads(int count) { limit = std::max(count, 1); }

void share_out(int count, const std::function<void(int)>& body) {
  // A forked process has none of the threads, and perhaps a lock that nobody opens.
  if (count > 1 && limit > 1 && pool().is_of(getpid())) return pool().run(count, body);
  for (int i = 0; i < count; ++i) body(i);
}

}  // namespace tf_darts

extern "C" __attribute__((visibility("default"))) void tf_darts_set_threads(int count) {
  tf_darts::set_threads(count);
}
