// A batch in parts, which threads share out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "threads.h"
#include "vector.h"

namespace tf_darts {

// A batch is worked on in so many parts, or in as many as it has images. Threads share them out. Each has
// sums of its own, which are added in the order of the parts: no result depends on the number of threads.
constexpr int PARTS = 8;

struct Part {
  int turn;  // its place in that order
  int64_t first, end;
  bool backwards;

  // Calls body(image) for all images.
  template <class Body>
  void each(Body body) const {
    if (backwards)
      for (int64_t i = end; i-- > first;) body(i);
    else
      for (int64_t i = first; i < end; ++i) body(i);
  }
};

inline int parts_of(int64_t images) { return static_cast<int>(std::min<int64_t>(images, PARTS)); }

// Calls body(part) for all parts, on any thread. Passes that follow one another go to and fro: a cache still
// has the images that the one before touched last.
template <class Body>
void in_parts(int64_t images, bool backwards, Body body) {
  const int parts = parts_of(images);
  share_out(parts, [&](int turn) {
    const int place = backwards ? parts - 1 - turn : turn;
    body(Part{turn, images * place / parts, images * (place + 1) / parts, backwards});
    end_of_streams();
  });
}

// Sums of the parts, and of all.
template <class Number>
class PartSums {
 public:
  PartSums(int64_t images, size_t count) : count_(count), of_(parts_of(images)), done_(of_.size()) {}

  // Where a part adds up its own, from zeros.
  Number* of(const Part& part) {
    std::vector<Number>& own = of_[part.turn];
    if (own.empty()) own = unused();
    return own.data();
  }

  // Says that a part's are there. They are added to those of all after those of the parts before it.
  void add(const Part& part) {
    const std::lock_guard lock(mutex_);
    done_[part.turn] = true;
    for (; next_ < of_.size() && done_[next_]; ++next_) {
      std::vector<Number>& own = of_[next_];
      if (next_ == 0) {
        all_.swap(own);
        continue;
      }
      for (size_t i = 0; i < count_; ++i) {
        all_[i] += own[i];
        own[i] = 0;
      }
      unused_.push_back(std::move(own));
    }
  }

  const Number* all() const { return all_.data(); }

 private:
  // What another part has left, still in its cache, or more memory.
  std::vector<Number> unused() {
    {
      const std::lock_guard lock(mutex_);
      if (!unused_.empty()) {
        std::vector<Number> left = std::move(unused_.back());
        unused_.pop_back();
        return left;
      }
    }
    return std::vector<Number>(count_);
  }

  std::mutex mutex_;
  size_t count_, next_ = 0;
  std::vector<std::vector<Number>> of_, unused_;
  std::vector<bool> done_;
  std::vector<Number> all_;
};

}  // namespace tf_darts
