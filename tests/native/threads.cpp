// Shares operations out among threads: results have the same bits with any number of them, with several
// operations at once, and in a process that was forked off. tests/native/test_sanitizers.py and
// test_threads.py compile and run it. It prints how many edges and inputs of cells it ran.
#include "threads.h"

#include <immintrin.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>

#include "run.h"

namespace {

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

int fail(const char* what) {
  std::printf("%s\n", what);
  return 1;
}

// Whether each index has its turn once, in the calling thread's arithmetic.
bool shared_out(int count) {
  const unsigned arithmetic = _mm_getcsr() & ~_MM_EXCEPT_MASK;
  std::vector<std::atomic<int>> turns(count);
  std::atomic<bool> good = true;
  share_out(count, [&](int i) {
    ++turns[i];
    if ((_mm_getcsr() & ~_MM_EXCEPT_MASK) != arithmetic) good = false;
  });
  for (const auto& number : turns) good = good && number == 1;
  return good;
}

}  // namespace

int main() {
  std::vector<std::function<std::vector<float>()>> runs;
  for (int channels : {32, 36})
    for (int stride : {1, 2})
      for (int64_t images : {1, 5, 19})
        for (int size : {2, 9}) {
          const Edge edge{images, size,  size + 2, channels,
                          stride, 1e-5f, 0.9f,     candidates(channels, size, size + 2, stride)};
          runs.push_back([edge, scaled = runs.size() % 2 == 0] { return run(edge, scaled); });
        }
  for (int64_t pixels : {1, 300, 5000})
    for (int channels : {16, 36}) {
      const Preprocess input{pixels, 4, channels, channels, 1e-5f, 0.9f};
      runs.push_back([input, scaled = runs.size() % 2 == 0] { return run(input, scaled); });
    }
  std::vector<std::vector<float>> wanted;
  for (const auto& one : runs) wanted.push_back(one());
  for (int threads : {2, 3, 8}) {
    set_threads(threads);
    for (size_t i = 0; i < runs.size(); ++i)
      if (!same(runs[i](), wanted[i])) return fail("other bits with more threads");
  }
  for (int threads : {1, 3}) {
    set_threads(threads);
    std::atomic<bool> good = true;
    std::vector<std::thread> callers;
    for (size_t first = 0; first < 4; ++first)
      callers.emplace_back([&, first] {
        for (size_t i = first; i < runs.size(); i += 4)
          if (!same(runs[i](), wanted[i])) good = false;
      });
    for (std::thread& caller : callers) caller.join();
    if (!good) return fail("other bits with several operations at once");
  }
  for (unsigned denormals_are_zeros : {0u, 0x8040u}) {
    _mm_setcsr((_mm_getcsr() & ~0x8040u) | denormals_are_zeros);
    for (int count : {1, 2, 100})
      if (!shared_out(count)) return fail("not each index once, in the caller's arithmetic");
  }
  const pid_t child = fork();
  if (child == 0) _exit(shared_out(100) && same(runs[0](), wanted[0]) ? 0 : 1);
  int status = 1;
  if (waitpid(child, &status, 0) != child || status != 0) return fail("a forked process fails");
  std::printf("%zu\n", runs.size());
  return 0;
}
