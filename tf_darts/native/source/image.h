// Kernels for one image that stays in cache.
//
// Images here lie in blocks: [blocks][height][width][LANES], so that neighbouring pixels of a block are
// LANES apart whatever the number of channels. A plane is one block. TensorFlow's own images, [height]
// [width][channels], are read and written where it says so.
#pragma once

#include <algorithm>
#include <type_traits>

#include "vector.h"

namespace tf_darts {

constexpr int TILE = 8;  // pixels whose sums a depthwise convolution holds in registers

// ---- 1x1 convolutions ----

// Sums of z - shift and of its square, for each channel.
struct Sums {
  const float* shift;
  double *first, *second;
};

// Calls body(columns first, WIDE, HALF) as types for groups of so many columns: WIDE vectors each, and where
// HALF one of half the lanes. Three vectors at a time read an input less often, but leave none alone.
template <class Body>
TF_DARTS_INLINE void column_groups(int columns, Body body) {
  constexpr std::true_type half;
  constexpr std::false_type whole;
  const int blocks = (columns + LANES - 1) / LANES;
  // The last vector, if no more than half of it is wanted.
  const bool halves = HALVES && columns - (blocks - 1) * LANES <= LANES / 2;
  for (int b = 0; b < blocks;) {
    int wide = std::min(2, blocks - b);
    if (REGISTERS == 32 && b + 3 <= blocks && b + 4 != blocks) wide = 3;
    const bool last = halves && b + wide == blocks;
    const auto run = [&](auto WIDE) {
      if constexpr (HALVES)
        if (last) return body(b, std::integral_constant<int, WIDE - 1>{}, half);
      body(b, WIDE, whole);
    };
    if (wide == 3)
      run(std::integral_constant<int, 3>{});
    else if (wide == 2)
      run(std::integral_constant<int, 2>{});
    else
      run(std::integral_constant<int, 1>{});
    b += wide;
  }
}

// Multiplies PIXELS pixels of so many channels with WIDE x LANES columns of a kernel [in_channels][row], and
// half as many lanes more if HALF.
template <int PIXELS, int WIDE, bool HALF>
TF_DARTS_INLINE void pointwise_tile(const float* in, size_t in_plane, int in_channels, const float* kernel,
                                    size_t row, Vector (&sum)[PIXELS][WIDE + HALF]) {
  Half tail[PIXELS] = {};
#pragma GCC unroll 16
  for (int p = 0; p < PIXELS; ++p)
#pragma GCC unroll 4
    for (int n = 0; n < WIDE; ++n) sum[p][n] = Vector{};
  for (int c = 0; c < in_channels; c += LANES, in += in_plane) {
    const int lanes = std::min(LANES, in_channels - c);
    for (int lane = 0; lane < lanes; ++lane, kernel += row) {
      Vector k[WIDE + HALF];
#pragma GCC unroll 4
      for (int n = 0; n < WIDE; ++n) k[n] = load(kernel + n * LANES);
      const Half k_tail = HALF ? load_half(kernel + WIDE * LANES) : Half{};
#pragma GCC unroll 16
      for (int p = 0; p < PIXELS; ++p) {
        const Vector x = broadcast(in[p * LANES + lane]);
#pragma GCC unroll 4
        for (int n = 0; n < WIDE; ++n) sum[p][n] += x * k[n];
        if (HALF) tail[p] += lower(x) * k_tail;
      }
    }
  }
  if constexpr (HALF)
#pragma GCC unroll 16
    for (int p = 0; p < PIXELS; ++p) sum[p][WIDE] = widened(tail[p]);
}

// The same for as many tiles as `pixels` have, from pixel p on; SUMMED: the outputs are streamed, and summed.
template <int PIXELS, int WIDE, bool HALF, bool SUMMED>
TF_DARTS_INLINE void pointwise_tiles(const float* in, size_t in_plane, int in_channels, const float* kernel,
                                     size_t row, float* out, size_t out_plane, int pixels, int& p,
                                     const Vector (&shift)[WIDE + HALF], Vector (&first)[WIDE + HALF],
                                     Vector (&second)[WIDE + HALF], Ahead& ahead) {
  for (; p + PIXELS <= pixels; p += PIXELS) {
    if (PIXELS > 1) ahead.work(PIXELS * (WIDE + HALF) * in_channels);
    Vector sum[PIXELS][WIDE + HALF];
    pointwise_tile<PIXELS, WIDE, HALF>(in + p * LANES, in_plane, in_channels, kernel, row, sum);
#pragma GCC unroll 16
    for (int i = 0; i < PIXELS; ++i) {
#pragma GCC unroll 4
      for (int n = 0; n < WIDE + HALF; ++n) {
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

template <int WIDE, bool HALF, bool SUMMED>
inline void pointwise_columns(const float* in, size_t in_plane, int in_channels, const float* kernel,
                              size_t row, float* out, size_t out_plane, int pixels, const Sums& sums,
                              Ahead& ahead) {
  constexpr int ALL = WIDE + HALF;
  Vector shift[ALL] = {}, first[ALL] = {}, second[ALL] = {};
  if (SUMMED)
    for (int n = 0; n < ALL; ++n) shift[n] = load(sums.shift + n * LANES);
  int p = 0;
  if (ALL == 1 && REGISTERS == 32)
    pointwise_tiles<16, WIDE, HALF, SUMMED>(in, in_plane, in_channels, kernel, row, out, out_plane, pixels, p,
                                            shift, first, second, ahead);
  constexpr int PIXELS = ALL == 1 || REGISTERS == 32 ? 8 : 4;
  pointwise_tiles<PIXELS, WIDE, HALF, SUMMED>(in, in_plane, in_channels, kernel, row, out, out_plane, pixels,
                                              p, shift, first, second, ahead);
  pointwise_tiles<1, WIDE, HALF, SUMMED>(in, in_plane, in_channels, kernel, row, out, out_plane, pixels, p,
                                         shift, first, second, ahead);
  if (SUMMED)
    for (int n = 0; n < ALL; ++n) {
      add_lanes(first[n], sums.first + n * LANES);
      add_lanes(second[n], sums.second + n * LANES);
    }
}

// out [blocks of columns][pixels] = in [blocks][pixels] x kernel [in_channels][row], its first columns.
// SUMMED: adds to the sums, of few enough pixels that floats hold theirs, and streams the output, which is
// then aligned.
template <bool SUMMED>
inline void pointwise(const float* in, size_t in_plane, int in_channels, const float* kernel, size_t row,
                      float* out, size_t out_plane, int columns, int pixels, Ahead& ahead, Sums sums = {}) {
  column_groups(columns, [&](int b, auto wide, auto half) {
    const Sums of{sums.shift + b * LANES, sums.first + b * LANES, sums.second + b * LANES};
    pointwise_columns<wide, half, SUMMED>(in, in_plane, in_channels, kernel + b * LANES, row,
                                          out + b * out_plane, out_plane, pixels, of, ahead);
  });
}

template <int ROWS, int WIDE, bool HALF>
inline void pointwise_gradient_tile(const float* in, const float* dout, size_t out_plane, float* dkernel,
                                    size_t row, int pixels) {
  Vector sum[ROWS][WIDE + HALF] = {};
  Half tail[ROWS] = {};
  for (int p = 0; p < pixels; ++p) {
    Vector d[WIDE + HALF];
#pragma GCC unroll 4
    for (int n = 0; n < WIDE; ++n) d[n] = load(dout + n * out_plane + p * LANES);
    const Half d_tail = HALF ? load_half(dout + WIDE * out_plane + p * LANES) : Half{};
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
      const Vector x = broadcast(in[p * LANES + i]);
#pragma GCC unroll 4
      for (int n = 0; n < WIDE; ++n) sum[i][n] += x * d[n];
      if (HALF) tail[i] += lower(x) * d_tail;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
    if (HALF) sum[i][WIDE] = widened(tail[i]);
#pragma GCC unroll 4
    for (int n = 0; n < WIDE + HALF; ++n) {
      float* to = dkernel + i * row + n * LANES;
      store(to, load(to) + sum[i][n]);
    }
  }
}

// Adds in^T x dout to dkernel [in_channels][row], its first columns; the rows come in halves of LANES.
inline void pointwise_gradient(const float* in, size_t in_plane, int in_channels, const float* dout,
                               size_t out_plane, int columns, float* dkernel, size_t row, int pixels) {
  constexpr int ROWS = LANES / 2;
  for (int c = 0; c < in_channels; c += LANES, in += in_plane, dkernel += LANES * row) {
    const int lanes = std::min(LANES, in_channels - c);
    column_groups(columns, [&](int b, auto wide, auto half) {
      for (int lane = 0; lane < lanes; lane += ROWS)
        pointwise_gradient_tile<ROWS, wide, half>(in + lane, dout + b * out_plane, out_plane,
                                                  dkernel + lane * row + b * LANES, row, pixels);
    });
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
inline void depthwise(const float* in, size_t in_row, const float* kernel, float* out, int height, int width,
                      Ahead& ahead) {
  for (int y = 0; y < height; ++y, in += STRIDE * in_row, out += width * LANES) {
    int x = 0;
    for (; x + TILE <= width; x += TILE) {
      ahead.work(TILE * SIZE * SIZE);
      depthwise_tile<SIZE, DILATION, STRIDE, TILE, ADD>(in + x * STRIDE * LANES, in_row, kernel,
                                                        out + x * LANES);
    }
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

// The gradient with respect to a value, as a * d + b * value + c.
struct Slope {
  Vector a, b, c;

  TF_DARTS_INLINE Vector operator()(Vector d, Vector value) const { return a * d + (b * value + c); }
};

// Adds to ROWS rows of dx [width][LANES] the gradient of the windows of 3 columns over them, each at the
// first pixel that has its maximum. A column's three windows are added up in registers.
template <int ROWS>
inline void max_pool_gradient_rows(const float* x, int width, int step, int stride, const float* pooled,
                                   const float* d, int d_step, const Slope& slope, float* dx) {
  const size_t row = static_cast<size_t>(width) * step, dx_row = static_cast<size_t>(width) * LANES;
  Vector left[ROWS] = {}, middle[ROWS] = {}, right[ROWS] = {};
  const auto put = [&](const Vector(&column)[ROWS], int c) {
#pragma GCC unroll 3
    for (int i = 0; i < ROWS; ++i) {
      float* to = dx + i * dx_row + static_cast<size_t>(c) * LANES;
      store(to, load(to) + column[i]);
    }
  };
  const auto window = [&](int c, auto is_left, auto is_right) {
    const Vector most = load(pooled), here = slope(load(d), most);
    pooled += LANES;
    d += d_step;
    Lanes open = all_lanes();
    const auto take = [&](Vector& sum, const float* at) {
      const Lanes equal = equal_lanes(open, load(at), most);
      open ^= equal;
      sum = add_in(equal, sum, here);
    };
    const float* at = x + static_cast<size_t>(c) * step;
#pragma GCC unroll 3
    for (int i = 0; i < ROWS; ++i, at += row) {
      right[i] = Vector{};
      if (is_left) take(left[i], at - step);
      take(middle[i], at);
      if (is_right) take(right[i], at + step);
    }
    if (is_left) put(left, c - 1);
    if (stride == 2) put(middle, c);
#pragma GCC unroll 3
    for (int i = 0; i < ROWS; ++i) {
      left[i] = stride == 2 ? right[i] : middle[i];
      middle[i] = stride == 2 ? Vector{} : right[i];
    }
  };
  constexpr std::true_type yes;
  constexpr std::false_type no;
  int c = 0;
  if (width == 1) {
    window(0, no, no);
  } else {
    window(0, no, yes);
    for (c = stride; c + 1 < width; c += stride) window(c, yes, yes);
    if (c < width) window(c, yes, no);
  }
  const int last = stride == 2 ? (width - 1) / 2 * 2 + 1 : width - 1;
  if (last < width) put(left, last);
}

// Adds the gradient of a max pooling of a plane to dx; d is of the pooled plane, d_step floats apart.
inline void max_pool_gradient(const float* x, int height, int width, int step, int stride,
                              const float* pooled, const float* d, int d_step, const Slope& slope,
                              float* dx) {
  const size_t row = static_cast<size_t>(width) * step;
  const int out_width = (width + stride - 1) / stride;
  for (int y = 0; y < height; y += stride, pooled += out_width * LANES, d += out_width * d_step) {
    const Window high(y, height);
    const float* from = x + high.first * row;
    float* to = dx + static_cast<size_t>(high.first) * width * LANES;
    if (high.size() == 3)
      max_pool_gradient_rows<3>(from, width, step, stride, pooled, d, d_step, slope, to);
    else if (high.size() == 2)
      max_pool_gradient_rows<2>(from, width, step, stride, pooled, d, d_step, slope, to);
    else
      max_pool_gradient_rows<1>(from, width, step, stride, pooled, d, d_step, slope, to);
  }
}

// The same of an average pooling. `work` has room for the pooled plane.
inline void average_pool_gradient(int height, int width, int stride, const float* pooled, const float* d,
                                  int d_step, const Slope& slope, float* work, float* dx) {
  float* to = work;
  for (int y = 0; y < height; y += stride) {
    const float rows = static_cast<float>(Window(y, height).size());
    const float shares[] = {0.0f, 1.0f / rows, 1.0f / (2.0f * rows), 1.0f / (3.0f * rows)};
    for (int c = 0; c < width; c += stride, d += d_step, to += LANES) {
      const Vector value = pooled != nullptr ? load(pooled + (to - work)) : Vector{};
      store(to, slope(load(d), value) * shares[Window(c, width).size()]);
    }
  }
  if (stride == 1) return pool<SumPool, true>(work, height, width, LANES, 1, dx);
  const float* from = work;
  for (int y = 0; y < height; y += stride)
    for (int c = 0; c < width; c += stride, from += LANES) {
      const Window high(y, height), wide(c, width);
      const Vector v = load(from);
      for (int i = high.first; i < high.end; ++i)
        for (int j = wide.first; j < wide.end; ++j) {
          float* at = dx + (static_cast<size_t>(i) * width + j) * LANES;
          store(at, load(at) + v);
        }
    }
}

}  // namespace tf_darts
