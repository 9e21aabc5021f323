// Kernels for one image that stays in cache.
//
// Images here lie in blocks: [blocks][height][width][LANES], so that neighbouring pixels of a block are
// LANES apart whatever the number of channels. A plane is one block. TensorFlow's own images, [height]
// [width][channels], are read and written where it says so.
#pragma once

#include <algorithm>

#include "vector.h"

namespace tf_darts {

constexpr int TILE = 8;  // pixels whose sums a depthwise convolution holds in registers

// ---- 1x1 convolutions ----

// Sums of z - shift and of its square, for each channel.
struct Sums {
  const float* shift;
  double *first, *second;
};

// Multiplies PIXELS pixels of so many channels with WIDE x LANES columns of a kernel [in_channels][row].
template <int PIXELS, int WIDE>
TF_DARTS_INLINE void pointwise_tile(const float* in, size_t in_plane, int in_channels, const float* kernel,
                                    size_t row, Vector (&sum)[PIXELS][WIDE]) {
#pragma GCC unroll 16
  for (int p = 0; p < PIXELS; ++p)
#pragma GCC unroll 4
    for (int n = 0; n < WIDE; ++n) sum[p][n] = Vector{};
  for (int c = 0; c < in_channels; c += LANES, in += in_plane) {
    const int lanes = std::min(LANES, in_channels - c);
    for (int lane = 0; lane < lanes; ++lane, kernel += row) {
      Vector k[WIDE];
#pragma GCC unroll 4
      for (int n = 0; n < WIDE; ++n) k[n] = load(kernel + n * LANES);
#pragma GCC unroll 16
      for (int p = 0; p < PIXELS; ++p) {
#pragma GCC unroll 4
        for (int n = 0; n < WIDE; ++n) sum[p][n] += in[p * LANES + lane] * k[n];
      }
    }
  }
}

// The same for as many tiles as `pixels` have, from pixel p on; SUMMED: the outputs are streamed, and summed.
template <int PIXELS, int WIDE, bool SUMMED>
TF_DARTS_INLINE void pointwise_tiles(const float* in, size_t in_plane, int in_channels, const float* kernel,
                                     size_t row, float* out, size_t out_plane, int pixels, int& p,
                                     const Vector (&shift)[WIDE], Vector (&first)[WIDE],
                                     Vector (&second)[WIDE]) {
  for (; p + PIXELS <= pixels; p += PIXELS) {
    Vector sum[PIXELS][WIDE];
    pointwise_tile<PIXELS, WIDE>(in + p * LANES, in_plane, in_channels, kernel, row, sum);
#pragma GCC unroll 16
    for (int i = 0; i < PIXELS; ++i) {
#pragma GCC unroll 4
      for (int n = 0; n < WIDE; ++n) {
        float* to = out + n * out_plane + (p + i) * LANES;
        if (SUMMED) {
          const Vector about = sum[i][n] - shift[n];
          first[n] += about;
          second[n] += about * about;
          stream(to, sum[i][n]);
        } else {
          store(to, sum[i][n]);
        }
      }
    }
  }
}

template <int WIDE, bool SUMMED>
inline void pointwise_columns(const float* in, size_t in_plane, int in_channels, const float* kernel,
                              size_t row, float* out, size_t out_plane, int pixels, const Sums& sums) {
  Vector shift[WIDE] = {}, first[WIDE] = {}, second[WIDE] = {};
  if (SUMMED)
    for (int n = 0; n < WIDE; ++n) shift[n] = load(sums.shift + n * LANES);
  int p = 0;
  if (WIDE == 1 && REGISTERS == 32)
    pointwise_tiles<16, WIDE, SUMMED>(in, in_plane, in_channels, kernel, row, out, out_plane, pixels, p, shift,
                                      first, second);
  constexpr int PIXELS = WIDE == 1 || REGISTERS == 32 ? 8 : 4;
  pointwise_tiles<PIXELS, WIDE, SUMMED>(in, in_plane, in_channels, kernel, row, out, out_plane, pixels, p,
                                        shift, first, second);
  pointwise_tiles<1, WIDE, SUMMED>(in, in_plane, in_channels, kernel, row, out, out_plane, pixels, p, shift,
                                   first, second);
  if (SUMMED)
    for (int n = 0; n < WIDE; ++n) {
      add_lanes(first[n], sums.first + n * LANES);
      add_lanes(second[n], sums.second + n * LANES);
    }
}

// out [out_blocks][pixels] = in [blocks][pixels] x kernel [in_channels][row], its first columns.
// SUMMED: adds to the sums, of few enough pixels that floats hold theirs, and streams the output, which is
// then aligned.
template <bool SUMMED>
inline void pointwise(const float* in, size_t in_plane, int in_channels, const float* kernel, size_t row,
                      float* out, size_t out_plane, int out_blocks, int pixels, Sums sums = {}) {
  for (int b = 0; b < out_blocks;) {
    const float* k = kernel + b * LANES;
    float* to = out + b * out_plane;
    const Sums of{sums.shift + b * LANES, sums.first + b * LANES, sums.second + b * LANES};
    // Three at a time read an input less often, but leave none alone.
    if (REGISTERS == 32 && b + 3 <= out_blocks && b + 4 != out_blocks) {
      pointwise_columns<3, SUMMED>(in, in_plane, in_channels, k, row, to, out_plane, pixels, of);
      b += 3;
    } else if (b + 2 <= out_blocks) {
      pointwise_columns<2, SUMMED>(in, in_plane, in_channels, k, row, to, out_plane, pixels, of);
      b += 2;
    } else {
      pointwise_columns<1, SUMMED>(in, in_plane, in_channels, k, row, to, out_plane, pixels, of);
      b += 1;
    }
  }
}

template <int ROWS, int WIDE>
inline void pointwise_gradient_tile(const float* in, const float* dout, size_t out_plane, float* dkernel,
                                    size_t row, int pixels) {
  Vector sum[ROWS][WIDE] = {};
  for (int p = 0; p < pixels; ++p) {
    Vector d[WIDE];
#pragma GCC unroll 4
    for (int n = 0; n < WIDE; ++n) d[n] = load(dout + n * out_plane + p * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
      for (int n = 0; n < WIDE; ++n) sum[i][n] += in[p * LANES + i] * d[n];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
    for (int n = 0; n < WIDE; ++n) {
      float* to = dkernel + i * row + n * LANES;
      store(to, load(to) + sum[i][n]);
    }
}

// Adds in^T x dout to dkernel [in_channels][row], its first columns; the rows come in halves of LANES.
inline void pointwise_gradient(const float* in, size_t in_plane, int in_channels, const float* dout,
                               size_t out_plane, int out_blocks, float* dkernel, size_t row, int pixels) {
  constexpr int HALF = LANES / 2;
  for (int c = 0; c < in_channels; c += LANES, in += in_plane, dkernel += LANES * row) {
    const int lanes = std::min(LANES, in_channels - c);
    int b = 0;
    for (; REGISTERS == 32 && b + 3 <= out_blocks && b + 4 != out_blocks; b += 3)
      for (int lane = 0; lane < lanes; lane += HALF)
        pointwise_gradient_tile<HALF, 3>(in + lane, dout + b * out_plane, out_plane,
                                         dkernel + lane * row + b * LANES, row, pixels);
    for (; b + 2 <= out_blocks; b += 2)
      for (int lane = 0; lane < lanes; lane += HALF)
        pointwise_gradient_tile<HALF, 2>(in + lane, dout + b * out_plane, out_plane,
                                         dkernel + lane * row + b * LANES, row, pixels);
    if (b < out_blocks)
      for (int lane = 0; lane < lanes; lane += HALF)
        pointwise_gradient_tile<HALF, 1>(in + lane, dout + b * out_plane, out_plane,
                                         dkernel + lane * row + b * LANES, row, pixels);
  }
}

// ---- Depthwise convolutions of one plane, from an input with a border ----

template <int SIZE, int DILATION, int STRIDE, int PIXELS, bool ADD>
TF_DARTS_INLINE void depthwise_tile(const float* in, size_t in_row, const float* kernel, float* out) {
  Vector sum[PIXELS];
#pragma GCC unroll 8
  for (int p = 0; p < PIXELS; ++p) sum[p] = ADD ? load(out + p * LANES) : Vector{};
#pragma GCC unroll 8
  for (int y = 0; y < SIZE; ++y, in += DILATION * in_row, kernel += SIZE * LANES) {
#pragma GCC unroll 8
    for (int x = 0; x < SIZE; ++x) {
      const Vector k = load(kernel + x * LANES);
#pragma GCC unroll 8
      for (int p = 0; p < PIXELS; ++p) sum[p] += k * load(in + (p * STRIDE + x * DILATION) * LANES);
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < PIXELS; ++p) store(out + p * LANES, sum[p]);
}

// out [height][width] = (out +) the convolution of `in`, whose rows are in_row floats long, with kernel
// [SIZE][SIZE][LANES]. in[0] is the pixel under the kernel's first corner for out[0].
template <int SIZE, int DILATION, int STRIDE, bool ADD>
inline void depthwise(const float* in, size_t in_row, const float* kernel, float* out, int height,
                      int width) {
  for (int y = 0; y < height; ++y, in += STRIDE * in_row, out += width * LANES) {
    int x = 0;
    for (; x + TILE <= width; x += TILE)
      depthwise_tile<SIZE, DILATION, STRIDE, TILE, ADD>(in + x * STRIDE * LANES, in_row, kernel,
                                                        out + x * LANES);
    for (; x < width; ++x)
      depthwise_tile<SIZE, DILATION, STRIDE, 1, ADD>(in + x * STRIDE * LANES, in_row, kernel,
                                                     out + x * LANES);
  }
}

template <int SIZE, int DILATION, int STRIDE, int ROWS>
inline void depthwise_gradient_rows(const float* in, size_t in_row, const float* dout, size_t dout_row,
                                    float* dkernel, int height, int width) {
  Vector sum[ROWS][SIZE] = {};
  for (int y = 0; y < height; ++y, in += STRIDE * in_row, dout += STRIDE * dout_row) {
    for (int x = 0; x < width; ++x) {
      const Vector d = load(dout + x * STRIDE * LANES);
      const float* at = in + x * STRIDE * LANES;
#pragma GCC unroll 8
      for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 8
        for (int j = 0; j < SIZE; ++j)
          sum[i][j] += d * load(at + i * DILATION * in_row + j * DILATION * LANES);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < SIZE; ++j) {
      float* to = dkernel + (i * SIZE + j) * LANES;
      store(to, load(to) + sum[i][j]);
    }
  }
}

// Adds to dkernel [SIZE][SIZE][LANES] what dout gives; `in` as for `depthwise`. Of dout's rows, dout_row
// floats long, and of their pixels each STRIDE-th is one of the output's.
template <int SIZE, int DILATION, int STRIDE>
inline void depthwise_gradient(const float* in, size_t in_row, const float* dout, size_t dout_row,
                               float* dkernel, int height, int width) {
  // As many rows of the kernel at once as registers hold.
  constexpr int ROWS = std::max(1, std::min(SIZE, (REGISTERS - 3) / SIZE));
  int y = 0;
  for (; y + ROWS <= SIZE; y += ROWS)
    depthwise_gradient_rows<SIZE, DILATION, STRIDE, ROWS>(in + y * DILATION * in_row, in_row, dout, dout_row,
                                                          dkernel + y * SIZE * LANES, height, width);
  for (; y < SIZE; ++y)
    depthwise_gradient_rows<SIZE, DILATION, STRIDE, 1>(in + y * DILATION * in_row, in_row, dout, dout_row,
                                                       dkernel + y * SIZE * LANES, height, width);
}

// ---- Poolings of 3x3, by which padding is left out ----

// The pixels of a line that lie under a window centred on one of them.
struct Window {
  int first, end;
  Window(int centre, int size) : first(std::max(centre - 1, 0)), end(std::min(centre + 2, size)) {}
  int size() const { return end - first; }
};

// Pools a plane by columns of three pixels, each of which up to three windows use. `Pool` has
//   column(above, here, below, is_above, is_below): of the pixels over each other; one that is not there
//   stands for
//     itself as the one here,
//   window(left, here, right, is_left, is_right, rows): of columns, likewise.
// Pixels of x [height][width] are `step` floats apart. ADD: the outputs are added to what is in `out`.
template <class Pool, bool ADD>
inline void pool(const float* x, int height, int width, int step, int stride, float* out) {
  const size_t row = static_cast<size_t>(width) * step;
  for (int y = 0; y < height; y += stride, x += stride * row) {
    const bool is_above = y > 0, is_below = y + 1 < height;
    const float *above = is_above ? x - row : x, *below = is_below ? x + row : x;
    const auto column = [&](int c) {
      const size_t at = static_cast<size_t>(c) * step;
      return Pool::column(load(above + at), load(x + at), load(below + at), is_above, is_below);
    };
    const auto put = [&](Vector value) {
      store(out, ADD ? load(out) + value : value);
      out += LANES;
    };
    const int rows = 1 + is_above + is_below;
    Vector middle = column(0), left = middle;
    bool is_left = false;
    int c = 0;
    for (; c + 1 < width; c += stride, is_left = true) {
      const Vector right = column(c + 1);
      put(Pool::window(left, middle, right, is_left, true, rows));
      if (stride == 1) {
        left = middle;
        middle = right;
      } else {
        left = right;
        if (c + 2 < width) middle = column(c + 2);
      }
    }
    if (c < width) put(Pool::window(left, middle, middle, is_left, false, rows));
  }
}

struct MaxPool {
  static TF_DARTS_INLINE Vector larger(Vector a, Vector b) { return a > b ? a : b; }
  static TF_DARTS_INLINE Vector column(Vector above, Vector here, Vector below, bool, bool) {
    return larger(larger(above, here), below);
  }
  static TF_DARTS_INLINE Vector window(Vector left, Vector here, Vector right, bool, bool, int) {
    return larger(larger(left, here), right);
  }
};

struct AveragePool {
  static TF_DARTS_INLINE Vector column(Vector above, Vector here, Vector below, bool is_above,
                                       bool is_below) {
    if (is_above) here += above;
    if (is_below) here += below;
    return here;
  }
  static TF_DARTS_INLINE Vector window(Vector left, Vector here, Vector right, bool is_left, bool is_right,
                                       int rows) {
    if (is_left) here += left;
    if (is_right) here += right;
    // A product, for a division takes several times as long.
    return here * (1.0f / static_cast<float>(rows * (1 + is_left + is_right)));
  }
};

// Sums instead of averages: the gradient of AveragePool is of that kind.
struct SumPool : AveragePool {
  static TF_DARTS_INLINE Vector window(Vector left, Vector here, Vector right, bool is_left, bool is_right,
                                       int) {
    if (is_left) here += left;
    if (is_right) here += right;
    return here;
  }
};

// Adds to dx [height][width][LANES] the gradient of a window's maximum, at the first pixel that has it.
TF_DARTS_INLINE void max_pool_gradient_window(const float* x, size_t row, int step, Window high, Window wide,
                                              Vector d, float* dx, int width) {
  const Vector zero = {};
  x += high.first * row + static_cast<size_t>(wide.first) * step;
  dx += (static_cast<size_t>(high.first) * width + wide.first) * LANES;
  Vector most = load(x);
  for (int i = 0; i < high.size(); ++i)
    for (int j = 0; j < wide.size(); ++j) most = MaxPool::larger(most, load(x + i * row + j * step));
  for (int i = 0; i < high.size(); ++i)
    for (int j = 0; j < wide.size(); ++j) {
      const auto here = load(x + i * row + j * step) == most;
      float* to = dx + (static_cast<size_t>(i) * width + j) * LANES;
      store(to, load(to) + (here ? d : zero));
      d = here ? zero : d;
    }
}

// Adds the gradient of a max pooling of a plane to dx; dout is of the pooled plane.
inline void max_pool_gradient(const float* x, int height, int width, int step, int stride, const float* dout,
                              float* dx) {
  const size_t row = static_cast<size_t>(width) * step;
  for (int y = 0; y < height; y += stride) {
    const Window high(y, height);
    for (int c = 0; c < width; c += stride, dout += LANES) {
      const Window wide(c, width);
      if (high.size() == 3 && wide.size() == 3) {
        Window whole_high = high, whole_wide = wide;
        whole_high.end = high.first + 3;  // so that the compiler knows both sizes
        whole_wide.end = wide.first + 3;
        max_pool_gradient_window(x, row, step, whole_high, whole_wide, load(dout), dx, width);
      } else {
        max_pool_gradient_window(x, row, step, high, wide, load(dout), dx, width);
      }
    }
  }
}

// The same of an average pooling; dout is divided by the windows' sizes.
inline void average_pool_gradient(int height, int width, int stride, float* dout, float* dx) {
  float* d = dout;
  for (int y = 0; y < height; y += stride)
    for (int c = 0; c < width; c += stride, d += LANES)
      store(d, load(d) * (1.0f / static_cast<float>(Window(y, height).size() * Window(c, width).size())));
  if (stride == 1) {
    pool<SumPool, true>(dout, height, width, LANES, 1, dx);
    return;
  }
  d = dout;
  for (int y = 0; y < height; y += stride)
    for (int c = 0; c < width; c += stride, d += LANES) {
      const Window high(y, height), wide(c, width);
      const Vector v = load(d);
      for (int i = high.first; i < high.end; ++i)
        for (int j = wide.first; j < wide.end; ++j) {
          float* to = dx + (static_cast<size_t>(i) * width + j) * LANES;
          store(to, load(to) + v);
        }
    }
}

}  // namespace tf_darts
