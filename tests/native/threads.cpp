// Shares operations out among threads: results have the same bits with any number of them, with several
// operations at once, and in a process that was forked off. tests/native/test_sanitizers.py and test_threads.py
// compile and run it. It prints how many edges it ran.
#include <immintrin.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>

#include "run.h"
#include "threads.h"

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
  std::vector<Edge> edges;
  std::vector<std::vector<float>> wanted;
  for (int channels : {32, 36})
    for (int stride : {1, 2})
      for (int64_t images : {1, 5, 19})
        for (int size : {2, 9})
          edges.push_back({images, size, size + 2, channels, stride, 1e-5f, 0.9f,
                           candidates(channels, size, size + 2, stride)});
  for (size_t i = 0; i < edges.size(); ++i) wanted.push_back(run(edges[i], i % 2 == 0));
  for (int threads : {2, 3, 8}) {
    set_threads(threads);
    for (size_t i = 0; i < edges.size(); ++i)
      if (!same(run(edges[i], i % 2 == 0), wanted[i])) return fail("other bits with more threads");
  }
  for (int threads : {1, 3}) {
    set_threads(threads);
    std::atomic<bool> good = true;
    std::vector<std::thread> callers;
    for (size_t first = 0; first < 4; ++first)
      callers.emplace_back([&, first] {
        for (size_t i = first; i < edges.size(); i += 4)
          if (!same(run(edges[i], i % 2 == 0), wanted[i])) good = false;
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
  if (child == 0) _exit(shared_out(100) && same(run(edges[0], true), wanted[0]) ? 0 : 1);
  int status = 1;
  if (waitpid(child, &status, 0) != child || status != 0) return fail("a forked process fails");
  std::printf("%zu edges\n", edges.size());
  return 0;
}
