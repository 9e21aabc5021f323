// 3x3 convolutions of stride 1 over all channels, by Winograd's F(2x2, 3x3) (Lavin and Gray, CVPR 2016).
//
// An output comes in tiles of 2x2 pixels, each from 4x4 of the input. Input and kernel are transformed so
// that at each of 16 points a tile is one product of channels with a matrix: 16 multiplications for 36. The
// transforms add and halve only, so that nearly no digits are lost.
//
// Images lie in blocks, as in image.h; an input has a border of two pixels of zeros.
#pragma once

#include <algorithm>

#include "image.h"

namespace tf_darts {

constexpr int POINTS = 16;
constexpr int WINOGRAD_BORDER = 2;  // the last tile of an odd size reads so many pixels beyond it
constexpr int WINOGRAD_TILES = 16;  // tiles that are worked on at a time, so that all stays in L1 or near

// Transforms a kernel [3][3][channels][channels] to [POINTS][channels][channels].
inline void winograd_kernel(const float* kernel, int channels, float* points) {
  const size_t size = static_cast<size_t>(channels) * channels;
  for (size_t at = 0; at < size; at += LANES) {
    Vector rows[4][3];
#pragma GCC unroll 3
    for (int x = 0; x < 3; ++x) {
      const float* from = kernel + x * size + at;
      const Vector above = load(from), here = load(from + 3 * size), below = load(from + 6 * size);
      rows[0][x] = above;
      rows[1][x] = 0.5f * (above + here + below);
      rows[2][x] = 0.5f * (above - here + below);
      rows[3][x] = below;
    }
#pragma GCC unroll 4
    for (int y = 0; y < 4; ++y) {
      float* to = points + 4 * y * size + at;
      const Vector(&row)[3] = rows[y];
      store(to, row[0]);
      store(to + size, 0.5f * (row[0] + row[1] + row[2]));
      store(to + 2 * size, 0.5f * (row[0] - row[1] + row[2]));
      store(to + 3 * size, row[2]);
    }
  }
}

// The gradient with respect to a kernel of that with respect to its points.
inline void winograd_kernel_gradient(const float* dpoints, int channels, float* dkernel) {
  const size_t size = static_cast<size_t>(channels) * channels;
  for (size_t at = 0; at < size; at += LANES) {
    Vector rows[3][4];
#pragma GCC unroll 4
    for (int x = 0; x < 4; ++x) {
      const float* from = dpoints + x * size + at;
      const Vector one = 0.5f * load(from + 4 * size), two = 0.5f * load(from + 8 * size);
      rows[0][x] = load(from) + (one + two);
      rows[1][x] = one - two;
      rows[2][x] = (one + two) + load(from + 12 * size);
    }
#pragma GCC unroll 3
    for (int y = 0; y < 3; ++y) {
      float* to = dkernel + 3 * y * size + at;
      const Vector one = 0.5f * rows[y][1], two = 0.5f * rows[y][2];
      store(to, rows[y][0] + (one + two));
      store(to + size, one - two);
      store(to + 2 * size, (one + two) + rows[y][3]);
    }
  }
}

// The points of 4x4 pixels.
TF_DARTS_INLINE void winograd_input(const float* in, size_t row, float* to, size_t point) {
  Vector rows[4][4];
#pragma GCC unroll 4
  for (int x = 0; x < 4; ++x, in += LANES) {
    const Vector a = load(in), b = load(in + row), c = load(in + 2 * row), d = load(in + 3 * row);
    rows[0][x] = a - c;
    rows[1][x] = b + c;
    rows[2][x] = c - b;
    rows[3][x] = b - d;
  }
#pragma GCC unroll 4
  for (int y = 0; y < 4; ++y, to += 4 * point) {
    const Vector(&r)[4] = rows[y];
    store(to, r[0] - r[2]);
    store(to + point, r[1] + r[2]);
    store(to + 2 * point, r[2] - r[1]);
    store(to + 3 * point, r[1] - r[3]);
  }
}

// The 2x2 pixels of points.
TF_DARTS_INLINE void winograd_output(const float* in, size_t point, Vector (&out)[2][2]) {
  Vector rows[2][4];
#pragma GCC unroll 4
  for (int x = 0; x < 4; ++x, in += point) {
    const Vector a = load(in), b = load(in + 4 * point), c = load(in + 8 * point), d = load(in + 12 * point);
    rows[0][x] = a + b + c;
    rows[1][x] = b - c - d;
  }
#pragma GCC unroll 2
  for (int y = 0; y < 2; ++y) {
    out[y][0] = rows[y][0] + rows[y][1] + rows[y][2];
    out[y][1] = rows[y][1] - rows[y][2] - rows[y][3];
  }
}

// The gradient with respect to points of that with respect to 2x2 pixels.
TF_DARTS_INLINE void winograd_output_gradient(const float* d, size_t row, float* to, size_t point) {
  Vector rows[4][2];
#pragma GCC unroll 2
  for (int x = 0; x < 2; ++x, d += LANES) {
    const Vector above = load(d), below = load(d + row);
    rows[0][x] = above;
    rows[1][x] = above + below;
    rows[2][x] = above - below;
    rows[3][x] = -below;
  }
#pragma GCC unroll 4
  for (int y = 0; y < 4; ++y, to += 4 * point) {
    store(to, rows[y][0]);
    store(to + point, rows[y][0] + rows[y][1]);
    store(to + 2 * point, rows[y][0] - rows[y][1]);
    store(to + 3 * point, -rows[y][1]);
  }
}

// The tiles of an image, WINOGRAD_TILES at a time.
struct Tiles {
  int across, number;

  Tiles(int height, int width) : across((width + 1) / 2), number((height + 1) / 2 * across) {}

  // Calls body(first, count) for all.
  template <class Body>
  void each(Body body) const {
    for (int first = 0; first < number; first += WINOGRAD_TILES)
      body(first, std::min(WINOGRAD_TILES, number - first));
  }

  // Calls body(i, y, x) for each of some, with the place of its first pixel.
  template <class Body>
  TF_DARTS_INLINE void pixels(int first, int count, Body body) const {
    int y = first / across, x = first % across;
    for (int i = 0; i < count; ++i) {
      body(i, 2 * y, 2 * x);
      if (++x == across) {
        x = 0;
        ++y;
      }
    }
  }
};

// out [blocks][height][width] = (out +) the convolution of `in`, of whose channels so many are given, and
// whose planes and rows are in_plane and in_row floats long and which begins one pixel above and to the left
// of the image. SUMMED: adds to the sums and streams the output, which is then aligned. `work` has room for 2
// * POINTS * WINOGRAD_TILES pixels.
template <bool SUMMED, bool ADD>
inline void winograd(const float* in, size_t in_row, size_t in_plane, int given, const float* points,
                     float* out, int height, int width, float* work, Ahead& ahead, Sums sums = {}) {
  const Tiles tiles(height, width);
  const int blocks = (given + LANES - 1) / LANES, channels = blocks * LANES;
  const size_t size = static_cast<size_t>(channels) * channels, out_row = static_cast<size_t>(width) * LANES;
  float* products = work + static_cast<size_t>(POINTS) * WINOGRAD_TILES * channels;
  tiles.each([&](int first, int count) {
    const size_t plane = static_cast<size_t>(count) * LANES, point = plane * blocks;
    for (int b = 0; b < blocks; ++b)
      tiles.pixels(first, count, [&](int i, int y, int x) {
        winograd_input(in + b * in_plane + y * in_row + x * LANES, in_row, work + b * plane + i * LANES,
                       point);
      });
    for (int p = 0; p < POINTS; ++p)
      pointwise<false>(work + p * point, plane, given, points + p * size, channels, products + p * point,
                       plane, given, count, ahead);
    for (int b = 0; b < blocks; ++b) {
      const Vector shift = SUMMED ? load(sums.shift + b * LANES) : Vector{};
      Vector sum = {}, square = {};
      const auto put = [&](float* to, Vector value) {
        if (SUMMED) {
          const Vector about = value - shift;
          sum += about;
          square += about * about;
          stream(to, value);
        } else {
          store(to, ADD ? load(to) + value : value);
        }
      };
      tiles.pixels(first, count, [&](int i, int y, int x) {
        Vector tile[2][2];
        winograd_output(products + b * plane + i * LANES, point, tile);
        float* to = out + (b * height + y) * out_row + x * LANES;
        const bool wide = x + 1 < width, high = y + 1 < height;
        put(to, tile[0][0]);
        if (wide) put(to + LANES, tile[0][1]);
        if (high) put(to + out_row, tile[1][0]);
        if (wide && high) put(to + out_row + LANES, tile[1][1]);
      });
      if (SUMMED) {
        add_lanes(sum, sums.first + b * LANES);
        add_lanes(square, sums.second + b * LANES);
      }
    }
  });
}

// Adds to dpoints what dout gives. Both images have rows and planes of one size; `in` begins as above, dout
// where the image does.
inline void winograd_gradient(const float* in, const float* dout, size_t row, size_t image_plane, int given,
                              float* dpoints, int height, int width, float* work) {
  const Tiles tiles(height, width);
  const int blocks = (given + LANES - 1) / LANES, channels = blocks * LANES;
  float* dproducts = work + static_cast<size_t>(POINTS) * WINOGRAD_TILES * channels;
  tiles.each([&](int first, int count) {
    const size_t plane = static_cast<size_t>(count) * LANES, point = plane * blocks;
    for (int b = 0; b < blocks; ++b)
      tiles.pixels(first, count, [&](int i, int y, int x) {
        const size_t from = b * image_plane + y * row + x * LANES, to = b * plane + i * LANES;
        winograd_input(in + from, row, work + to, point);
        winograd_output_gradient(dout + from, row, dproducts + to, point);
      });
    for (int p = 0; p < POINTS; ++p)
      pointwise_gradient(work + p * point, plane, given, dproducts + p * point, plane, given,
                         dpoints + p * static_cast<size_t>(channels) * channels, channels, count);
  });
}

}  // namespace tf_darts
