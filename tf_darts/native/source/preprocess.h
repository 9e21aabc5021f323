// What brings the output of an earlier cell to the width of a later one: ReLU, a 1x1 convolution over all
// channels, a batch norm in training; and its gradient.
//
// The earlier cell's output is read as the nodes that it consists of: nobody has to write them side by side.
// Images of TensorFlow are rows of pixels here, for a 1x1 does not ask where a pixel lies. z is in an order
// of its own, see preprocess.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tf_darts {

struct Preprocess {
  int64_t pixels;     // of all images
  int parts;          // tensors that the input consists of
  int part_channels;  // of each of them
  int given;          // channels of the output
  float epsilon;      // of the batch norm
  float momentum;     // weight of the old running estimates

  int in_channels() const { return parts * part_channels; }
  int channels() const;  // the next multiple of LANES
  int64_t z_floats() const { return pixels * channels(); }

  // What these kernels cannot compute of it; empty: nothing.
  std::string refusal() const;
};

// Args:
//   parts: of the input, [pixels][part_channels].
//   kernel: [in_channels][given].
//   scale, offset: of the batch norm, [given]; nullptr: 1 and 0.
//   z: what the batch norm takes, z_floats; in whole vectors.
//   statistics: [2][channels], mean and biased variance.
//   y: the output, [pixels][given].
void preprocess(const Preprocess& made, const std::vector<const float*>& parts, const float* kernel,
                const float* scale, const float* offset, float* z, float* statistics, float* y);

// Args:
//   dy: the gradient with respect to the output.
//   dparts: those with respect to the parts of the input.
//   dkernel, dscale, doffset: as `kernel` and so on; nullptr: not wanted.
void preprocess_gradient(const Preprocess& made, const std::vector<const float*>& parts, const float* kernel,
                         const float* scale, const float* z, const float* statistics, const float* dy,
                         const std::vector<float*>& dparts, float* dkernel, float* dscale, float* doffset);

}  // namespace tf_darts
