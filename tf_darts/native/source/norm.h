// Batch norms: sums over many pixels, and their gradients.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "image.h"
#include "parts.h"
#include "vector.h"

namespace tf_darts {

constexpr int SUMMED = 256;  // pixels whose sum may be a float

// Mean and variance per channel. Sums are taken about a shift near the mean: the difference of two large
// sums of squares would lose the digits of a small variance.
class Moments {
 public:
  explicit Moments(int channels) : shift_(channels), first_(channels), second_(channels) {}

  // Where sums of `pixels` more are added, of the channels from `first` on.
  Sums sums(int first = 0) { return {&shift_[first], &first_[first], &second_[first]}; }
  void count(int pixels) { pixels_ += pixels; }

  // Adds the sums of others, about the same shift.
  void add(const Moments& other) {
    for (size_t c = 0; c < shift_.size(); ++c) {
      first_[c] += other.first_[c];
      second_[c] += other.second_[c];
    }
    pixels_ += other.pixels_;
  }

  // Shifts by the mean of what was added, and forgets it.
  void settle() {
    if (pixels_ == 0) return;
    for (size_t c = 0; c < shift_.size(); ++c) shift_[c] += static_cast<float>(first_[c] / pixels_);
    std::fill(first_.begin(), first_.end(), 0.0);
    std::fill(second_.begin(), second_.end(), 0.0);
    pixels_ = 0;
  }

  // Writes mean and biased variance, [2][channels].
  void write(float* statistics) const {
    const size_t channels = shift_.size();
    for (size_t c = 0; c < channels; ++c) {
      const double mean = first_[c] / pixels_, variance = second_[c] / pixels_ - mean * mean;
      statistics[c] = static_cast<float>(shift_[c] + mean);
      // NaN stays.
      statistics[channels + c] = static_cast<float>(variance < 0 ? 0.0 : variance);
    }
  }

 private:
  std::vector<float> shift_;
  std::vector<double> first_, second_;
  int64_t pixels_ = 0;
};

// Calls body(part, moments) for all parts, with sums of theirs; first for one image alone, whose mean the
// sums of all are then taken about.
template <class Body>
void with_pilot(int64_t images, bool backwards, std::vector<Moments>& moments, Body body) {
  const int64_t pilot = backwards ? images - 1 : 0;
  body(Part{0, pilot, pilot + 1, backwards}, moments);
  for (Moments& m : moments) m.settle();
  std::vector<std::vector<Moments>> sums(parts_of(images), moments);
  in_parts(images, backwards, [&](const Part& part) { body(part, sums[part.turn]); });
  for (const auto& part : sums)
    for (size_t m = 0; m < moments.size(); ++m) moments[m].add(part[m]);
}

// Moves running estimates, [given], by statistics [2][channels] of n pixels; that of the variance by the
// unbiased one. `momentum` is the weight of the old ones.
inline void move_estimates(float momentum, double n, int given, int channels, const float* statistics,
                           const float* mean, const float* variance, float* moved_mean,
                           float* moved_variance) {
  const float now = 1.0f - momentum, unbiased = static_cast<float>(n / std::max(n - 1.0, 1.0));
  for (int c = 0; c < given; ++c) {
    moved_mean[c] = momentum * mean[c] + now * statistics[c];
    moved_variance[c] = momentum * variance[c] + now * unbiased * statistics[channels + c];
  }
}

inline float inverse_deviation(const float* statistics, int channels, int c, float epsilon) {
  return 1.0f / std::sqrt(statistics[channels + c] + epsilon);
}

// The batch norm, and its own scale and offset if there are, as scale * z + offset.
struct Affine {
  std::vector<float> scale, offset;

  Affine() = default;
  Affine(const float* statistics, int channels, float epsilon, const float* own_scale,
         const float* own_offset)
      : scale(channels), offset(channels) {
    for (int c = 0; c < channels; ++c) {
      scale[c] = inverse_deviation(statistics, channels, c, epsilon);
      if (own_scale != nullptr) scale[c] *= own_scale[c];
      offset[c] = (own_offset != nullptr ? own_offset[c] : 0.0f) - scale[c] * statistics[c];
    }
  }
};

// A gradient with respect to a source as a * d + b * source + c, d that with respect to the batch norm's
// output times a weight.
struct Chain {
  std::vector<float> a, b, c;

  explicit Chain(int channels) : a(channels), b(channels), c(channels) {}

  // Args:
  //   weight: of the normalised value, [channels]; nullptr: 1.
  //   first, second: sums of d and of d * (source - mean), over n pixels.
  static Chain of_norm(const float* statistics, int channels, float epsilon, const float* weight,
                       const double* first, const double* second, double n) {
    Chain made(channels);
    for (int i = 0; i < channels; ++i) {
      const double inverse = 1.0 / std::sqrt(static_cast<double>(statistics[channels + i]) + epsilon);
      const double scale = (weight != nullptr ? weight[i] : 1.0) * inverse;
      const double slope = -scale * inverse * inverse * second[i] / n;
      made.a[i] = static_cast<float>(scale);
      made.b[i] = static_cast<float>(slope);
      made.c[i] = static_cast<float>(-scale * first[i] / n - slope * statistics[i]);
    }
    return made;
  }

  static Chain of_weight(const float* weight, int channels) {
    Chain made(channels);
    std::copy_n(weight, channels, made.a.begin());
    return made;
  }

  Slope slope(size_t block, float factor) const {
    return {factor * load(&a[block * LANES]), load(&b[block * LANES]), load(&c[block * LANES])};
  }
};

}  // namespace tf_darts
