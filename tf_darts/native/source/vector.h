// Vectors of floats, one channel a lane, by the vector types that GCC and Clang share.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace tf_darts {

#if defined(__AVX512F__)
constexpr int LANES = 16;
constexpr int REGISTERS = 32;
#else
constexpr int LANES = 8;
constexpr int REGISTERS = 16;
#endif

typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));

// The same in memory, at any address.
typedef float Unaligned __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

// Half a vector, for channels that fill no more of the last one. Where vectors are of 8 it saves nothing.
constexpr bool HALVES = LANES == 16;
typedef float Half __attribute__((vector_size(LANES / 2 * sizeof(float))));
typedef float UnalignedHalf __attribute__((vector_size(LANES / 2 * sizeof(float)), aligned(4), may_alias));

#define TF_DARTS_INLINE inline __attribute__((always_inline))

TF_DARTS_INLINE Vector load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }

// In all lanes; a difference, for 0 + -0 is not -0.
TF_DARTS_INLINE Vector broadcast(float x) { return x - Vector{}; }

TF_DARTS_INLINE void store(float* p, Vector v) { *reinterpret_cast<Unaligned*>(p) = v; }

TF_DARTS_INLINE Half load_half(const float* p) { return *reinterpret_cast<const UnalignedHalf*>(p); }

TF_DARTS_INLINE Half lower(Vector v) {
#if defined(__AVX512F__)
  return _mm512_castps512_ps256(v);
#else
  return _mm256_castps256_ps128(v);
#endif
}

// To zeros.
TF_DARTS_INLINE Vector widened(Half v) {
#if defined(__AVX512F__)
  return _mm512_zextps256_ps512(v);
#else
  return _mm256_zextps128_ps256(v);
#endif
}

// What the processor takes for the lanes from `first` to before `end`.
#if defined(__AVX512F__)
TF_DARTS_INLINE __mmask16 lanes_between(int first, int end) {
  return static_cast<__mmask16>((1u << end) - (1u << first));
}
#else
TF_DARTS_INLINE __m256i lanes_between(int first, int end) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(first), lanes),
                             _mm256_cmpgt_epi32(_mm256_set1_epi32(end), lanes));
}
#endif

// The lanes from `first` to before `end` of what would lie at p; zeros in the others, which are not read.
TF_DARTS_INLINE Vector load_some(const float* p, int first, int end) {
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(lanes_between(first, end), p);
#else
  return _mm256_maskload_ps(p, lanes_between(first, end));
#endif
}

TF_DARTS_INLINE void store_some(float* p, Vector v, int first, int end) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, lanes_between(first, end), v);
#else
  _mm256_maskstore_ps(p, lanes_between(first, end), v);
#endif
}

// The first `lanes`, or all.
TF_DARTS_INLINE Vector load_first(const float* p, int lanes) {
  return lanes == LANES ? load(p) : load_some(p, 0, lanes);
}

TF_DARTS_INLINE void store_first(float* p, Vector v, int lanes) {
  if (lanes == LANES)
    store(p, v);
  else
    store_some(p, v, 0, lanes);
}

// Stores past the caches what is not read again soon: memory then need not be read to be written. The address
// is aligned to a vector. `end_of_streams` makes it visible to other threads.
TF_DARTS_INLINE void stream(float* p, Vector v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(p, v);
#else
  _mm256_stream_ps(p, v);
#endif
}

inline void end_of_streams() { _mm_sfence(); }

// NaN stays NaN, so that a step that is not finite is seen as one.
TF_DARTS_INLINE Vector relu(Vector v) {
  const Vector zero = {};
  return zero > v ? zero : v;
}

// Keeps of a gradient what the ReLU let through.
TF_DARTS_INLINE Vector through_relu(Vector d, Vector after) {
  const Vector zero = {};
  return after > zero ? d : zero;
}

// Some of the lanes.
#if defined(__AVX512F__)
typedef __mmask16 Lanes;
TF_DARTS_INLINE Lanes all_lanes() { return 0xffff; }
TF_DARTS_INLINE Lanes equal_lanes(Lanes among, Vector a, Vector b) {
  return _mm512_mask_cmp_ps_mask(among, a, b, _CMP_EQ_OQ);
}
TF_DARTS_INLINE Vector add_in(Lanes lanes, Vector sum, Vector v) {
  return _mm512_mask_add_ps(sum, lanes, sum, v);
}
#else
typedef decltype(Vector{} == Vector{}) Lanes;
TF_DARTS_INLINE Lanes all_lanes() { return Vector{} == Vector{}; }
TF_DARTS_INLINE Lanes equal_lanes(Lanes among, Vector a, Vector b) { return among & (a == b); }
TF_DARTS_INLINE Vector add_in(Lanes lanes, Vector sum, Vector v) { return sum + (lanes ? v : Vector{}); }
#endif

// How many channels of a block there are.
inline int lanes_of(int block, int given) { return std::min(LANES, given - block * LANES); }

// Adds the lanes to doubles: sums over many pixels would lose digits in floats.
TF_DARTS_INLINE void add_lanes(Vector v, double* sums) {
  for (int i = 0; i < LANES; ++i) sums[i] += v[i];
}

// What is read soon, in the order of its use: it is brought into the second cache while products are
// computed, so that memory and arithmetic overlap.
class Ahead {
 public:
  // Forgets what was wanted; about so many products of vectors are computed from now on.
  void expect(size_t products) {
    ranges_.clear();
    next_ = 0;
    at_ = end_ = nullptr;
    wanted_ = 0;
    expected_ = products;
    credit_ = 0;
    cost_ = 0;
  }

  void want(const float* data, size_t floats) {
    ranges_.push_back({data, data + floats});
    wanted_ += floats / LINE;
    cost_ = static_cast<int>(expected_ / std::max<size_t>(wanted_, 1));
  }

  // Asks for a part of it, by the products that are computed next.
  TF_DARTS_INLINE void work(int products) {
    int credit = credit_ + products;
    const float* at = at_;
    for (; credit > 0; credit -= cost_, at += LINE) {
      if (at >= end_) {
        if (next_ == ranges_.size()) {
          credit = 0;
          break;
        }
        at = ranges_[next_].first;
        end_ = ranges_[next_++].second;
      }
      _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T1);
    }
    credit_ = credit;
    at_ = at;
  }

 private:
  static constexpr int LINE = 64 / sizeof(float);  // of a cache

  std::vector<std::pair<const float*, const float*>> ranges_;
  size_t next_ = 0, wanted_ = 0, expected_ = 0;
  const float *at_ = nullptr, *end_ = nullptr;
  int credit_ = 0, cost_ = 0;
};

// Memory that is not set, aligned to cache lines; it grows and is kept for the next time.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  float* get(size_t floats) {
    if (floats > size_) {
      std::free(data_);
      const size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
      data_ = static_cast<float*>(std::aligned_alloc(64, bytes));
      if (data_ == nullptr) std::abort();
      size_ = floats;
    }
    return data_;
  }

  float* zeros(size_t floats) {
    float* p = get(floats);
    std::memset(p, 0, floats * sizeof(float));
    return p;
  }

 private:
  float* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace tf_darts
