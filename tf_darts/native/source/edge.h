// A mixed edge of a supernet in training: the weighted sum of its candidate operations, and its gradient.
//
// Two steps make the output, for batch norms need sums over all images before anything can be added up:
// `compute_units` leaves the output z of every unit (ReLU, convolutions) before its batch norm, and the
// statistics; `sum_candidates` normalises, weighs and adds in one pass. A probe repeats only the second.
//
// Images of TensorFlow are [images][height][width][given]. The z are in an order of their own, see image.h.
// All else has `channels`, the next multiple of LANES; what is there of a channel that is not given is zero.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tf_darts {

// The numbers are those of KINDS in tf_darts/native/edge.py.
enum class Kind : int {
  SKIP = 0,
  MAX_POOL = 1,
  AVERAGE_POOL = 2,
  CONVOLUTION = 3,           // units of ReLU, depthwise, 1x1, batch norm; the stride is the first one's
  FACTORIZED_REDUCTION = 4,  // ReLU, two 1x1 of every second pixel, batch norm
  DENSE = 5,                 // ReLU, a convolution over all channels, batch norm
};

struct Candidate {
  Kind kind;
  int size;      // of the depthwise or dense kernels
  int dilation;  // of their pixels
  int norms;     // batch norms: one for each unit; of a pooling none or one

  int units() const { return convolves() ? norms : 0; }
  bool convolves() const {
    return kind == Kind::CONVOLUTION || kind == Kind::FACTORIZED_REDUCTION || kind == Kind::DENSE;
  }
  bool pools() const { return kind == Kind::MAX_POOL || kind == Kind::AVERAGE_POOL; }
};

struct Edge {
  int64_t images;
  int height, width;  // of the input
  int given;          // channels of TensorFlow's images
  int stride;         // 1 or 2
  float epsilon;      // of the batch norms
  float momentum;     // weight of the old running estimates
  std::vector<Candidate> candidates;

  int channels() const;
  int out_height() const { return (height + stride - 1) / stride; }
  int out_width() const { return (width + stride - 1) / stride; }
  int in_pixels() const { return height * width; }
  int out_pixels() const { return out_height() * out_width(); }
  int norms() const;
  int units() const;
  int pooled_norms() const;

  // The shapes of the kernels of all units: for each a depthwise and a 1x1, or the two 1x1 of a factorized
  // reduction, or one.
  std::vector<std::vector<int64_t>> kernel_shapes() const;

  // What these kernels cannot compute of the edge; empty: nothing.
  std::string refusal() const;
};

// Scale and offset of each batch norm, [channels]; none: 1 and 0. A candidate's last scale and offset are
// multiplied by its mixing weight.
struct Scales {
  std::vector<const float*> scales, offsets;

  const float* scale(int norm) const { return scales.empty() ? nullptr : scales[norm]; }
  const float* offset(int norm) const { return offsets.empty() ? nullptr : offsets[norm]; }
};

// The gradients with respect to them, or none.
struct ScaleGradients {
  std::vector<float*> scales, offsets;
};

// Of one pooling of x: statistics [2][channels], mean and biased variance.
void pool_statistics(const Edge& edge, Kind kind, const float* x, float* statistics);

// Args:
//   x: the input.
//   kernels: of `kernel_shapes`.
//   pooled: the statistics of each pooling with a batch norm.
//   z: one for each unit, images * out_pixels * channels floats.
//   statistics: [norms][2][channels], mean and biased variance.
void compute_units(const Edge& edge, const float* x, const std::vector<const float*>& kernels,
                   const std::vector<const float*>& pooled, const Scales& scales,
                   const std::vector<float*>& z, float* statistics);

// Moves the running estimates of each batch norm, [given], by a batch's statistics; that of the variance
// by the unbiased one.
void move_estimates(const Edge& edge, const float* statistics, const std::vector<const float*>& means,
                    const std::vector<const float*>& variances, const std::vector<float*>& moved_means,
                    const std::vector<float*>& moved_variances);

// Args:
//   weights: for each candidate its mixing weight, [channels].
//   factors: what each image's output is multiplied with, [images]; nullptr: 1.
//   y: the output.
void sum_candidates(const Edge& edge, const float* x, const std::vector<const float*>& z,
                    const float* statistics, const std::vector<const float*>& weights, const Scales& scales,
                    const float* factors, float* y);

// Args:
//   dy: the gradient with respect to the output.
//   dx: that with respect to the input.
//   dweights: [candidates][channels].
//   dkernels: as `kernels`; empty: not wanted.
//   dscales: as `scales`.
void edge_gradient(const Edge& edge, const float* x, const std::vector<const float*>& kernels,
                   const std::vector<const float*>& z, const float* statistics,
                   const std::vector<const float*>& weights, const Scales& scales, const float* factors,
                   const float* dy, float* dx, float* dweights, const std::vector<float*>& dkernels,
                   const ScaleGradients& dscales);

}  // namespace tf_darts
