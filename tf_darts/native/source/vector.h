// Vectors of floats, one channel a lane, by the vector types that GCC and Clang share.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

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

#define TF_DARTS_INLINE inline __attribute__((always_inline))

TF_DARTS_INLINE Vector load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }

TF_DARTS_INLINE void store(float* p, Vector v) { *reinterpret_cast<Unaligned*>(p) = v; }

// The first `count` lanes at p, of which there are fewer than LANES or all; zeros in the others.
TF_DARTS_INLINE Vector load_some(const float* p, int count) {
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p);
#else
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lanes));
#endif
}

TF_DARTS_INLINE void store_some(float* p, Vector v, int count) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), v);
#else
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lanes), v);
#endif
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

// Adds the lanes to doubles: sums over many pixels would lose digits in floats.
TF_DARTS_INLINE void add_lanes(Vector v, double* sums) {
  for (int i = 0; i < LANES; ++i) sums[i] += v[i];
}

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
