#include "edge.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <mutex>
#include <type_traits>

#include "image.h"
#include "norm.h"
#include "parts.h"
#include "winograd.h"

namespace tf_darts {
namespace {

constexpr int STRIP_BYTES = 16 * 1024;  // of a depthwise convolution's output that a 1x1 takes from L1
constexpr int APPLIED = 4;              // products in whose time a chain is applied to a vector

// An image's planes, wherever they lie: pixel p of plane b is at data + b * plane + p * step. A gradient may
// stand for its product with a factor.
struct View {
  const float* data;
  size_t plane;
  int step;
  float factor = 1.0f;
  int given = 0;  // channels, where the last vector may not be whole; 0: all are

  View from(int pixel) const {
    return {data + static_cast<size_t>(pixel) * step, plane, step, factor, given};
  }
  int lanes(int block) const { return given == 0 ? LANES : lanes_of(block, given); }
};

View inside(const float* images, int64_t image, int pixels, int channels) {
  return {images + image * pixels * channels, static_cast<size_t>(pixels) * LANES, LANES};
}

// What a thread works with; kept from call to call.
struct Scratch {
  Buffer source, spread, depthwise, gradient, relu_gradient, input_gradient, pooled, pooled_gradient, points;
  Buffer input, output_gradient;  // copies of TensorFlow's images
  Ahead ahead;
};

Scratch& scratch() {
  thread_local Scratch mine;
  return mine;
}

// An image in blocks with a border of zeros.
struct Bordered {
  float* data;
  int height, width, border;

  size_t row() const { return static_cast<size_t>(width + 2 * border) * LANES; }
  size_t plane() const { return row() * (height + 2 * border); }
  // Where the border is `other` pixels wide, which is no more than it is.
  const float* corner(int block, int other) const {
    return data + block * plane() + (border - other) * (row() + LANES);
  }
  float* pixels(int block, int y) const {
    return data + block * plane() + (border + y) * row() + border * LANES;
  }
};

// Images of TensorFlow, seen where they lie. If their channels do not fill whole vectors, each is copied.
class Images {
 public:
  Images(const float* data, int pixels, const Edge& edge, Buffer& buffer, const float* factors = nullptr)
      : data_(data), factors_(factors), pixels_(pixels), given_(edge.given), channels_(edge.channels()) {
    if (given_ != channels_) copy_ = buffer.get(static_cast<size_t>(pixels) * channels_);
  }

  void want(int64_t image) const {
    const size_t floats = static_cast<size_t>(pixels_) * given_;
    scratch().ahead.want(data_ + image * floats, floats);
  }

  // The ReLU of an image, read where it lies.
  void relu_to(int64_t image, const Bordered& to) const {
    for (int b = 0; b < channels_ / LANES; ++b) {
      const int lanes = lanes_of(b, given_);
      const float* from = data_ + image * pixels_ * given_ + b * LANES;
      for (int y = 0; y < to.height; ++y) {
        float* out = to.pixels(b, y);
        if (lanes == LANES)
          for (int x = 0; x < to.width; ++x, from += given_, out += LANES) store(out, relu(load(from)));
        else
          for (int x = 0; x < to.width; ++x, from += given_, out += LANES)
            store(out, relu(load_some(from, 0, lanes)));
      }
    }
  }

  // An image where it lies; its last vector may not be whole.
  View lying(int64_t image) const {
    const float factor = factors_ != nullptr ? factors_[image] : 1.0f;
    return {data_ + image * pixels_ * given_, LANES, given_, factor, copy_ != nullptr ? given_ : 0};
  }

  // The same in whole vectors.
  View of(int64_t image) const {
    const View there = lying(image);
    if (copy_ == nullptr) return there;
    const float* from = there.data;
    float* to = copy_;
    for (int b = 0; b < channels_ / LANES; ++b, from += LANES) {
      const int lanes = lanes_of(b, given_);
      const float* pixel = from;
      for (int p = 0; p < pixels_; ++p, pixel += given_, to += LANES) store(to, load_some(pixel, 0, lanes));
    }
    return {copy_, static_cast<size_t>(pixels_) * LANES, LANES, there.factor};
  }

 private:
  const float *data_, *factors_;
  int pixels_, given_, channels_;
  float* copy_ = nullptr;
};

Bordered bordered(Buffer& buffer, int height, int width, int border, int blocks) {
  Bordered made{nullptr, height, width, border};
  made.data = buffer.zeros(made.plane() * blocks);
  return made;
}

// ---- Units ----

// One unit, with its kernels as they are read.
struct Unit {
  Kind kind;
  int size, dilation, stride;
  const float* kernels[2];
  std::vector<float> depthwise;  // [blocks][size][size][LANES]
  std::vector<float> points;     // of a dense 3x3
  int norm;                      // its batch norm among those of the edge
  int kernel;                    // its first kernel among those of the edge
  int given;                     // channels that are not zeros

  int border() const {
    if (kind == Kind::CONVOLUTION) return dilation * (size / 2);
    return by_points() ? WINOGRAD_BORDER : 0;
  }
  int taps() const { return size * size; }
  // How many products of vectors its output takes, of so many.
  size_t products(size_t vectors) const {
    if (by_points()) return vectors * given * POINTS / 4;
    return vectors * (given + (kind == Kind::CONVOLUTION ? taps() : 0));
  }
  int kernel_count() const { return kind == Kind::DENSE ? 1 : 2; }
  bool by_points() const { return kind == Kind::DENSE && size == 3; }
  // How many sums the gradient of its first or second kernel takes.
  size_t sums(int kernel, int channels) const {
    const size_t all = static_cast<size_t>(channels) * channels;
    switch (kind) {
      case Kind::FACTORIZED_REDUCTION:
        return all / 2;
      case Kind::DENSE:
        if (kernel == 1) return 0;
        return by_points() ? POINTS * all : all;
      default:
        return kernel == 0 ? static_cast<size_t>(taps()) * channels : all;
    }
  }
};

// A depthwise kernel [taps][channels] by blocks, [blocks][taps][LANES], the last tap first if turned.
std::vector<float> by_blocks(const float* kernel, int taps, int channels, bool turned) {
  std::vector<float> made(static_cast<size_t>(taps) * channels);
  for (int b = 0; b < channels / LANES; ++b)
    for (int t = 0; t < taps; ++t)
      std::copy_n(kernel + (turned ? taps - 1 - t : t) * channels + b * LANES, LANES,
                  &made[(static_cast<size_t>(b) * taps + t) * LANES]);
  return made;
}

// The points of a dense kernel [3][3][channels][channels].
std::vector<float> by_points(const float* kernel, int channels) {
  std::vector<float> made(static_cast<size_t>(POINTS) * channels * channels);
  winograd_kernel(kernel, channels, made.data());
  return made;
}

// Units and first batch norms of the candidates.
struct Layout {
  std::vector<std::vector<Unit>> chains;  // for each candidate
  std::vector<int> first_unit, first_norm;

  Layout(const Edge& edge, const std::vector<const float*>& kernels) {
    int unit = 0, norm = 0, kernel = 0;
    for (const Candidate& candidate : edge.candidates) {
      first_unit.push_back(unit);
      first_norm.push_back(norm);
      chains.emplace_back();
      for (int i = 0; i < candidate.units(); ++i, ++unit) {
        Unit made{candidate.kind, candidate.size, candidate.dilation, i == 0 ? edge.stride : 1, {}, {}, {},
                  norm + i,       kernel,         edge.given};
        if (!kernels.empty()) {
          for (int k = 0; k < made.kernel_count(); ++k) made.kernels[k] = kernels[kernel + k];
          if (made.kind == Kind::CONVOLUTION)
            made.depthwise = by_blocks(made.kernels[0], made.taps(), edge.channels(), false);
          else if (made.by_points())
            made.points = by_points(made.kernels[0], edge.channels());
        }
        kernel += made.kernel_count();
        chains.back().push_back(std::move(made));
      }
      norm += candidate.norms;
    }
  }

  // The widest border that the units of this place in their chains need.
  int border(size_t place) const {
    int most = 0;
    for (const auto& chain : chains)
      if (chain.size() > place) most = std::max(most, chain[place].border());
    return most;
  }
};

template <int SIZE, int DILATION, int STRIDE>
struct Sizes {};

// Calls body with the unit's sizes as a type.
template <class Body>
void with_sizes(int size, int dilation, int stride, Body body) {
#define TF_DARTS_CASE(SIZE, DILATION)                         \
  if (size == SIZE && dilation == DILATION) {                 \
    if (stride == 1) return body(Sizes<SIZE, DILATION, 1>{}); \
    return body(Sizes<SIZE, DILATION, 2>{});                  \
  }
  TF_DARTS_CASE(3, 1)
  TF_DARTS_CASE(5, 1)
  TF_DARTS_CASE(7, 1)
  TF_DARTS_CASE(3, 2)
  TF_DARTS_CASE(5, 2)
#undef TF_DARTS_CASE
}

bool has_sizes(int size, int dilation) {
  bool found = false;
  with_sizes(size, dilation, 1, [&](auto) { found = true; });
  return found;
}

// How many rows of an image are worked on at a time: what lies between two convolutions stays in L1, and a
// float holds the sum of their pixels.
int strip_rows(int width, int channels) {
  return std::max<int>(1, std::min<int>(SUMMED, STRIP_BYTES / (channels * sizeof(float))) / width);
}

// Every stride-th pixel of the source from (offset, offset): rows y0 .. y0 + rows, [blocks][rows][width].
void gather(const Bordered& source, int blocks, int stride, int offset, int y0, int rows, int width,
            float* out) {
  for (int b = 0; b < blocks; ++b)
    for (int y = y0; y < y0 + rows; ++y) {
      const float* from = source.pixels(b, stride * y + offset) + offset * LANES;
      for (int x = 0; x < width; ++x, from += stride * LANES, out += LANES) store(out, load(from));
    }
}

// Where the transformed tiles of an image lie.
float* winograd_work(int channels) {
  return scratch().points.get(static_cast<size_t>(2) * POINTS * WINOGRAD_TILES * channels);
}

// What the 1x1 of a unit takes, rows y0 .. y0 + rows: out [blocks][rows][width].
void before_pointwise(const Unit& unit, const Bordered& source, int blocks, int y0, int rows, int width,
                      float* out) {
  if (unit.kind == Kind::DENSE) return gather(source, blocks, 1, 0, y0, rows, width, out);
  with_sizes(unit.size, unit.dilation, unit.stride,
             [&]<int SIZE, int DILATION, int STRIDE>(Sizes<SIZE, DILATION, STRIDE>) {
               for (int b = 0; b < blocks; ++b)
                 depthwise<SIZE, DILATION, STRIDE, false>(
                     source.corner(b, unit.border()) + y0 * STRIDE * source.row(), source.row(),
                     &unit.depthwise[b * unit.taps() * LANES],
                     out + static_cast<size_t>(b) * rows * width * LANES, rows, width, scratch().ahead);
             });
}

// z, an image in blocks, of a source after its ReLU; and its sums.
void unit_forward(const Unit& unit, const Bordered& source, int channels, int height, int width, float* z,
                  Moments& moments) {
  const int blocks = channels / LANES;
  const size_t plane = static_cast<size_t>(height) * width * LANES;
  if (unit.kind == Kind::FACTORIZED_REDUCTION) {
    const int strip = strip_rows(width, 2 * LANES), half = blocks / 2;
    float* every = scratch().depthwise.get(static_cast<size_t>(strip) * width * channels);
    for (int y = 0; y < height; y += strip) {
      const int rows = std::min(strip, height - y);
      const size_t every_plane = static_cast<size_t>(rows) * width * LANES;
      for (int i = 0; i < 2; ++i) {
        gather(source, blocks, 2, i, y, rows, width, every);
        pointwise<true>(every, every_plane, channels, unit.kernels[i], channels / 2,
                        z + i * half * plane + static_cast<size_t>(y) * width * LANES, plane, half * LANES,
                        rows * width, scratch().ahead, moments.sums(i * half * LANES));
      }
    }
    moments.count(height * width);
    return;
  }
  if (unit.by_points()) {
    winograd<true, false>(source.corner(0, 1), source.row(), source.plane(), unit.given, unit.points.data(),
                          z, height, width, winograd_work(channels), scratch().ahead, moments.sums());
    moments.count(height * width);
    return;
  }
  const int strip = strip_rows(width, channels);
  float* out = scratch().depthwise.get(static_cast<size_t>(strip) * width * channels);
  for (int y = 0; y < height; y += strip) {
    const int rows = std::min(strip, height - y);
    before_pointwise(unit, source, blocks, y, rows, width, out);
    pointwise<true>(out, static_cast<size_t>(rows) * width * LANES, unit.given,
                    unit.kernels[unit.kernel_count() - 1], channels,
                    z + static_cast<size_t>(y) * width * LANES, plane, unit.given, rows * width,
                    scratch().ahead, moments.sums());
  }
  moments.count(height * width);
}

// The source of later units: the ReLU of the normalised z before.
void read_normalised(const float* z, int channels, const Affine& norm, const Bordered& to) {
  for (int b = 0; b < channels / LANES; ++b) {
    const Vector scale = load(&norm.scale[b * LANES]), offset = load(&norm.offset[b * LANES]);
    for (int y = 0; y < to.height; ++y) {
      float* out = to.pixels(b, y);
      for (int i = 0; i < to.width; ++i, z += LANES, out += LANES) store(out, relu(scale * load(z) + offset));
    }
  }
}

void pool_image(const Edge& edge, Kind kind, View x, float* out) {
  const size_t plane = static_cast<size_t>(edge.out_pixels()) * LANES;
  for (int b = 0; b < edge.channels() / LANES; ++b, out += plane) {
    const float* in = x.data + b * x.plane;
    if (kind == Kind::MAX_POOL)
      pool<MaxPool, false>(in, edge.height, edge.width, x.step, edge.stride, out);
    else
      pool<AveragePool, false>(in, edge.height, edge.width, x.step, edge.stride, out);
  }
}

// Adds the pixels of an image in blocks to the sums.
void sum_image(const float* image, int channels, int pixels, Moments& moments) {
  for (int b = 0; b < channels / LANES; ++b) {
    const Sums sums = moments.sums(b * LANES);
    const Vector shift = load(sums.shift);
    for (int start = 0; start < pixels; start += SUMMED) {
      Vector first = {}, second = {};
      for (int p = start; p < std::min(start + SUMMED, pixels); ++p, image += LANES) {
        const Vector about = load(image) - shift;
        first += about;
        second += about * about;
      }
      add_lanes(first, sums.first);
      add_lanes(second, sums.second);
    }
  }
  moments.count(pixels);
}

// What each candidate adds of an image before normalising and weighing; poolings are computed here.
class Sources {
 public:
  Sources(const Edge& edge, const Layout& layout, const std::vector<const float*>& z)
      : edge_(edge), layout_(layout), z_(z), views_(edge.candidates.size()) {
    size_t pools = 0;
    for (const Candidate& candidate : edge.candidates) pools += candidate.pools();
    pooled_ = scratch().pooled.get(pools * edge.out_pixels() * edge.channels());
  }

  // Whether a candidate takes what it adds from the input.
  bool read_input() const {
    return std::any_of(edge_.candidates.begin(), edge_.candidates.end(),
                       [](const Candidate& candidate) { return !candidate.convolves(); });
  }

  // Args:
  //   x: the image's input, unless it is not read.
  //   normalised: whether only those are wanted that a batch norm follows, and maxima.
  const std::vector<View>& of(int64_t image, View x, bool normalised = false) {
    const int pixels = edge_.out_pixels(), channels = edge_.channels();
    float* pooled = pooled_;
    for (size_t m = 0; m < views_.size(); ++m) {
      const Candidate& candidate = edge_.candidates[m];
      if (normalised && candidate.norms == 0 && candidate.kind != Kind::MAX_POOL) {
        views_[m] = View{};
      } else if (candidate.kind == Kind::SKIP) {
        views_[m] = x;
      } else if (candidate.pools()) {
        pool_image(edge_, candidate.kind, x, pooled);
        views_[m] = inside(pooled, 0, pixels, channels);
        pooled += static_cast<size_t>(pixels) * channels;
      } else {
        views_[m] = inside(z_[layout_.first_unit[m] + candidate.units() - 1], image, pixels, channels);
      }
    }
    return views_;
  }

 private:
  const Edge& edge_;
  const Layout& layout_;
  const std::vector<const float*>& z_;
  std::vector<View> views_;
  float* pooled_;
};

// ---- The sum ----

// y = offset + the sum of scale[m] * source m, PIXELS pixels of so many lanes, `step` floats apart.
template <int PIXELS>
TF_DARTS_INLINE void sum_tile(const std::vector<View>& sources, int block, int pixel, const float* scale,
                              int channels, Vector offset, float* y, int step, int lanes) {
  Vector sum[PIXELS];
#pragma GCC unroll 8
  for (int p = 0; p < PIXELS; ++p) sum[p] = offset;
  for (size_t m = 0; m < sources.size(); ++m, scale += channels) {
    const View& from = sources[m];
    const Vector k = load(scale);
    const float* in = from.data + block * from.plane + static_cast<size_t>(pixel) * from.step;
#pragma GCC unroll 8
    for (int p = 0; p < PIXELS; ++p) sum[p] += k * load(in + p * from.step);
  }
#pragma GCC unroll 8
  for (int p = 0; p < PIXELS; ++p) store_first(y + static_cast<size_t>(p) * step, sum[p], lanes);
}

// ---- The gradient ----

// Writes the gradient of one block of an image.
void apply(const Chain& chain, View d, View source, size_t block, int pixels, float* out) {
  const Slope of = chain.slope(block, d.factor);
  const int lanes = d.lanes(static_cast<int>(block));
  const float *from = d.data + block * d.plane, *at = source.data + block * source.plane;
  Ahead& ahead = scratch().ahead;
  int p = 0;
  for (; p + TILE <= pixels; p += TILE) {
    ahead.work(APPLIED * TILE);
#pragma GCC unroll 8
    for (int i = 0; i < TILE; ++i, from += d.step, at += source.step, out += LANES)
      store(out, of(load_first(from, lanes), load(at)));
  }
  for (; p < pixels; ++p, from += d.step, at += source.step, out += LANES)
    store(out, of(load_first(from, lanes), load(at)));
}

// The same of all blocks.
void apply(const Chain& chain, View d, View source, int pixels, float* out) {
  for (size_t block = 0; block < chain.a.size() / LANES; ++block, out += static_cast<size_t>(pixels) * LANES)
    apply(chain, d, source, block, pixels, out);
}

// Adds the sum of each channel, of at most SUMMED pixels.
void add_values(View d, int channels, int pixels, double* sums) {
  for (int b = 0; b < channels / LANES; ++b) {
    const int lanes = d.lanes(b);
    const float* from = d.data + b * d.plane;
    Vector sum = {};
    for (int p = 0; p < pixels; ++p, from += d.step) sum += load_first(from, lanes);
    add_lanes(d.factor * sum, sums + b * LANES);
  }
}

// Adds the sum of d * (source - mean), the same; mean nullptr: 0.
void add_products(View d, View source, const float* mean, int channels, int pixels, double* sums) {
  for (int b = 0; b < channels / LANES; ++b) {
    const Vector about = mean != nullptr ? load(mean + b * LANES) : Vector{};
    const int lanes = d.lanes(b);
    const float *from = d.data + b * d.plane, *at = source.data + b * source.plane;
    Vector sum[4] = {};  // apart, for a sum waits for the one before it
    int p = 0;
    for (; p + 4 <= pixels; p += 4, from += 4 * d.step, at += 4 * source.step)
      for (int j = 0; j < 4; ++j)
        sum[j] += load_first(from + j * d.step, lanes) * (load(at + j * source.step) - about);
    for (; p < pixels; ++p, from += d.step, at += source.step)
      sum[0] += load_first(from, lanes) * (load(at) - about);
    add_lanes(d.factor * ((sum[0] + sum[1]) + (sum[2] + sum[3])), sums + b * LANES);
  }
}

// Where a part's gradients of a unit's kernels are added up, in the kernels' order: that of a depthwise
// kernel in blocks, that of a dense 3x3 by its points. nullptr: not wanted.
using KernelSums = std::array<float*, 2>;

// A unit's kernels as its gradient reads them, and their gradients as they add up.
struct UnitGradient {
  const Unit& unit;
  std::vector<float> turned;      // the depthwise kernel turned round, in blocks, or the dense one's points
  std::vector<float> transposed;  // the 1x1, or one after the other the two of a factorized reduction
  size_t first_sums;              // how many of the sums are of the first kernel
  std::unique_ptr<PartSums<float>> sums;  // of the gradients of the kernels; nullptr: not wanted
  float* dkernels[2];                     // where they go

  UnitGradient(const Unit& unit, int64_t images, int channels, float* first, float* second)
      : unit(unit), first_sums(unit.sums(0, channels)), dkernels{first, second} {
    if (first != nullptr)
      sums = std::make_unique<PartSums<float>>(images, first_sums + unit.sums(1, channels));
    const int last = unit.kernel_count() - 1;
    switch (unit.kind) {
      case Kind::FACTORIZED_REDUCTION:
        for (const float* kernel : unit.kernels) transpose(kernel, channels, channels / 2);
        break;
      case Kind::CONVOLUTION:
        turned = by_blocks(unit.kernels[0], unit.taps(), channels, true);
        [[fallthrough]];
      default:
        transposed.reserve(static_cast<size_t>(unit.by_points() ? unit.taps() : 1) * channels * channels);
        // Of a dense 3x3 all nine, the last one first.
        for (int t = unit.by_points() ? unit.taps() : 1; t-- > 0;)
          transpose(unit.kernels[last] + static_cast<size_t>(t) * channels * channels, channels, channels);
        if (unit.by_points()) turned = by_points(transposed.data(), channels);
    }
  }

  // Adds an image's part of the kernels' gradients, and writes (or adds) the gradient with respect to the
  // source.
  //
  // Args:
  //   part: the one that has the image.
  //   chain: the gradient with respect to z, of d and z.
  //   source: the unit's input after its ReLU.
  //   height, width: of the output.
  //   spread: of the source's size, with a border at least as wide as the unit's.
  //   dsource: in blocks.
  void image(const Part& part, const Chain& chain, View d, View z, const Bordered& source, int channels,
             int height, int width, const Bordered& spread, bool add, float* dsource) {
    KernelSums to = {};
    if (sums != nullptr) to = {sums->of(part), sums->of(part) + first_sums};
    if (unit.by_points()) return points_image(to, chain, d, z, source, channels, spread, add, dsource);
    const bool factorized = unit.kind == Kind::FACTORIZED_REDUCTION;
    const size_t floats = static_cast<size_t>(source.height) * source.width * channels;
    if (factorized && !add) std::fill_n(dsource, floats, 0.0f);
    const int strip = strip_rows(width, channels);
    float* dz = scratch().gradient.get(static_cast<size_t>(strip) * width * channels);
    for (int y = 0; y < height; y += strip) {
      const int rows = std::min(strip, height - y), first = y * width;
      apply(chain, d.from(first), z.from(first), rows * width, dz);
      if (factorized)
        factorized_rows(to, source, dz, channels, y, rows, width, dsource);
      else
        convolution_rows(to, source, dz, channels, y, rows, width, spread, add, dsource);
    }
    if (unit.kind == Kind::CONVOLUTION)
      depthwise_image(to, source, channels / LANES, height, width, spread, add, dsource);
  }

  // Says that all images of a part were worked on.
  void done(const Part& part) {
    if (sums != nullptr) sums->add(part);
  }

  // Brings the gradients of the kernels into TensorFlow's form.
  void finish(int channels) {
    if (sums == nullptr) return;
    const float *first = sums->all(), *second = first + first_sums;
    if (unit.by_points()) return winograd_kernel_gradient(first, channels, dkernels[0]);
    if (unit.kernel_count() == 2) std::copy_n(second, unit.sums(1, channels), dkernels[1]);
    if (unit.kind != Kind::CONVOLUTION) {
      std::copy_n(first, first_sums, dkernels[0]);
      return;
    }
    const int taps = unit.taps();
    for (int b = 0; b < channels / LANES; ++b)
      for (int t = 0; t < taps; ++t)
        std::copy_n(first + (static_cast<size_t>(b) * taps + t) * LANES, LANES,
                    dkernels[0] + static_cast<size_t>(t) * channels + b * LANES);
  }

 private:
  // Appends a kernel [rows][columns] by its columns.
  void transpose(const float* kernel, int rows, int columns) {
    const size_t start = transposed.size();
    transposed.resize(start + static_cast<size_t>(rows) * columns);
    float* to = &transposed[start];
    for (int j = 0; j < columns; ++j)
      for (int i = 0; i < rows; ++i) *to++ = kernel[static_cast<size_t>(i) * columns + j];
  }

  // A whole image of a dense 3x3.
  void points_image(const KernelSums& added, const Chain& chain, View d, View z, const Bordered& source,
                    int channels, const Bordered& spread, bool add, float* dsource) {
    const int blocks = channels / LANES, height = source.height, width = source.width;
    for (int b = 0; b < blocks; ++b)
      for (int y = 0; y < height; ++y)
        apply(chain, d.from(y * width), z.from(y * width), b, width, spread.pixels(b, y));
    float* work = winograd_work(channels);
    if (added[0] != nullptr)
      winograd_gradient(source.corner(0, 1), spread.pixels(0, 0), source.row(), source.plane(), unit.given,
                        added[0], height, width, work);
    const float* from = spread.corner(0, 1);
    if (add)
      winograd<false, true>(from, spread.row(), spread.plane(), unit.given, turned.data(), dsource, height,
                            width, work, scratch().ahead);
    else
      winograd<false, false>(from, spread.row(), spread.plane(), unit.given, turned.data(), dsource, height,
                             width, work, scratch().ahead);
  }

  // Rows y0 .. y0 + rows of dz [blocks][rows][width]: the 1x1's gradient, and what goes on to the depthwise
  // convolution, or of a dense 1x1 to dsource.
  void convolution_rows(const KernelSums& added, const Bordered& source, const float* dz, int channels,
                        int y0, int rows, int width, const Bordered& spread, bool add, float* dsource) {
    const int blocks = channels / LANES, pixels = rows * width;
    const size_t plane = static_cast<size_t>(pixels) * LANES;
    float* between = scratch().depthwise.get(plane * blocks);
    if (added[0] != nullptr) {
      before_pointwise(unit, source, blocks, y0, rows, width, between);
      pointwise_gradient(between, plane, unit.given, dz, plane, unit.given, added[unit.kernel_count() - 1],
                         channels, pixels);
    }
    if (unit.kind == Kind::CONVOLUTION && unit.stride == 1 && width % TILE == 0) {
      for (int y = 0; y < rows; ++y)
        pointwise<false>(dz + static_cast<size_t>(y) * width * LANES, plane, unit.given, transposed.data(),
                         channels, spread.pixels(0, y0 + y), spread.plane(), unit.given, width,
                         scratch().ahead);
      return;
    }
    pointwise<false>(dz, plane, unit.given, transposed.data(), channels, between, plane, unit.given, pixels,
                     scratch().ahead);
    if (unit.kind == Kind::DENSE) {
      for (int b = 0; b < blocks; ++b) {
        float* to = dsource + (static_cast<size_t>(b) * source.height + y0) * width * LANES;
        for (int p = 0; p < pixels; ++p, between += LANES, to += LANES)
          store(to, add ? load(to) + load(between) : load(between));
      }
      return;
    }
    for (int b = 0; b < blocks; ++b)
      for (int y = y0; y < y0 + rows; ++y) {
        float* to = spread.pixels(b, y * unit.stride);
        for (int x = 0; x < width; ++x, between += LANES) store(to + x * unit.stride * LANES, load(between));
      }
  }

  void depthwise_image(const KernelSums& added, const Bordered& source, int blocks, int height, int width,
                       const Bordered& spread, bool add, float* dsource) {
    const size_t plane = static_cast<size_t>(source.height) * source.width * LANES;
    with_sizes(unit.size, unit.dilation, unit.stride,
               [&]<int SIZE, int DILATION, int STRIDE>(Sizes<SIZE, DILATION, STRIDE>) {
                 for (int b = 0; b < blocks; ++b, dsource += plane) {
                   const size_t kernel = static_cast<size_t>(b) * unit.taps() * LANES;
                   if (added[0] != nullptr)
                     depthwise_gradient<SIZE, DILATION, STRIDE>(source.corner(b, unit.border()), source.row(),
                                                                spread.pixels(b, 0), spread.row(),
                                                                added[0] + kernel, height, width);
                   const float* from = spread.corner(b, unit.border());
                   if (add)
                     depthwise<SIZE, DILATION, 1, true>(from, spread.row(), &turned[kernel], dsource,
                                                        source.height, source.width, scratch().ahead);
                   else
                     depthwise<SIZE, DILATION, 1, false>(from, spread.row(), &turned[kernel], dsource,
                                                         source.height, source.width, scratch().ahead);
                 }
               });
  }

  // The same rows of dz of a factorized reduction, and their part of dsource.
  void factorized_rows(const KernelSums& added, const Bordered& source, const float* dz, int channels, int y0,
                       int rows, int width, float* dsource) {
    const int blocks = channels / LANES, pixels = rows * width;
    const size_t plane = static_cast<size_t>(pixels) * LANES;
    const size_t source_plane = static_cast<size_t>(source.height) * source.width * LANES;
    for (int i = 0; i < 2; ++i) {
      const float* half = dz + i * (blocks / 2) * plane;
      float* between = scratch().depthwise.get(plane * blocks);
      if (added[i] != nullptr) {
        gather(source, blocks, 2, i, y0, rows, width, between);
        pointwise_gradient(between, plane, channels, half, plane, channels / 2, added[i], channels / 2,
                           pixels);
      }
      pointwise<false>(half, plane, channels / 2,
                       transposed.data() + static_cast<size_t>(i) * channels * channels / 2, channels,
                       between, plane, channels, pixels, scratch().ahead);
      for (int b = 0; b < blocks; ++b)
        for (int y = y0; y < y0 + rows; ++y)
          for (int x = 0; x < width; ++x, between += LANES) {
            float* to = dsource + b * source_plane + ((2 * y + i) * source.width + 2 * x + i) * LANES;
            store(to, load(to) + load(between));
          }
    }
  }
};

// Keeps of an image d in blocks what the ReLU let through, to `out`, with its sums and those of its product
// with z - mean.
void image_through_relu(const Edge& edge, const Bordered& source, const float* d, const float* z,
                        const float* mean, float* out, double* first, double* second) {
  for (int b = 0; b < edge.channels() / LANES; ++b) {
    const Vector about = load(mean + b * LANES);
    const int strip = strip_rows(source.width, LANES);
    for (int start = 0; start < source.height; start += strip) {
      Vector sum = {}, product = {};
      for (int y = start; y < std::min(start + strip, source.height); ++y) {
        const float* after = source.pixels(b, y);
        for (int x = 0; x < source.width; ++x, d += LANES, z += LANES, out += LANES, after += LANES) {
          const Vector kept = through_relu(load(d), load(after));
          sum += kept;
          product += kept * (load(z) - about);
          stream(out, kept);
        }
      }
      add_lanes(sum, first + b * LANES);
      add_lanes(product, second + b * LANES);
    }
  }
}

// Adds to dx, in blocks, the gradient of an image's pooling.
void pool_gradient(const Edge& edge, Kind kind, const Chain& chain, View d, View pooled, View x, float* dx) {
  for (int b = 0; b < edge.channels() / LANES; ++b, dx += static_cast<size_t>(edge.in_pixels()) * LANES) {
    const Slope slope = chain.slope(b, d.factor);
    const float* from = d.data + b * d.plane;
    const float* value = pooled.data != nullptr ? pooled.data + b * pooled.plane : nullptr;
    if (kind == Kind::MAX_POOL)
      max_pool_gradient(x.data + b * x.plane, edge.height, edge.width, x.step, edge.stride, value, from,
                        d.step, slope, dx);
    else
      average_pool_gradient(edge.height, edge.width, edge.stride, value, from, d.step, slope,
                            scratch().pooled_gradient.get(static_cast<size_t>(edge.out_pixels()) * LANES),
                            dx);
  }
}

// The gradients of all units but the first of each candidate.
//
// Args:
//   chains: of each candidate, the gradient with respect to its last z, of dy; then to its first z, of
//   `before`. before: for each candidate with several units, images * pixels * channels floats: becomes the
//   gradient with respect
//     to the first unit's normalised output, in blocks.
void later_units(const Edge& edge, const Layout& layout, std::vector<std::vector<UnitGradient>>& units,
                 const std::vector<const float*>& z, const float* statistics, const Scales& scales,
                 const float* factors, const float* dy, std::vector<Chain>& chains,
                 const std::vector<float*>& before, const ScaleGradients& dscales) {
  const int channels = edge.channels(), height = edge.out_height(), width = edge.out_width(),
            pixels = edge.out_pixels();
  const int blocks = channels / LANES;
  size_t longest = 0;
  for (const auto& chain : units) longest = std::max(longest, chain.size());
  for (size_t place = longest; place-- > 1;) {
    const int border = layout.border(place);
    PartSums<double> sums(edge.images, 2 * units.size() * channels);
    const auto norm_before = [&](size_t m) { return units[m][place - 1].unit.norm; };
    const auto statistics_before = [&](size_t m) {
      return statistics + static_cast<size_t>(norm_before(m)) * 2 * channels;
    };
    std::vector<Affine> norms;
    for (size_t m = 0; m < units.size(); ++m) {
      if (units[m].size() > place)
        norms.emplace_back(statistics_before(m), channels, edge.epsilon, scales.scale(norm_before(m)),
                           scales.offset(norm_before(m)));
      else
        norms.emplace_back();
    }
    const size_t floats = static_cast<size_t>(pixels) * channels;
    size_t products = 0, begins = units.size();
    for (size_t m = units.size(); m-- > 0;)
      if (units[m].size() > place) {
        products += units[m][place].unit.products(floats / LANES) + APPLIED * floats / LANES;
        begins = m;
      }
    in_parts(edge.images, true, [&](const Part& part) {
      const Bordered source = bordered(scratch().source, height, width, border, blocks);
      const Bordered spread = bordered(scratch().spread, height, width, border, blocks);
      const Images d_outputs(dy, pixels, edge, scratch().output_gradient, factors);
      double* first = sums.of(part);
      Ahead& ahead = scratch().ahead;
      const auto want = [&](size_t m, int64_t i) {
        if (units[m].size() <= place) return;
        const int unit = layout.first_unit[m] + static_cast<int>(place);
        ahead.want(z[unit - 1] + i * floats, floats);
        if (units[m].size() > place + 1) ahead.want(before[m] + i * floats, floats);
        ahead.want(z[unit] + i * floats, floats);
      };
      part.each([&](int64_t i) {
        const View d_output = d_outputs.lying(i);
        ahead.expect(products);
        for (size_t m = begins + 1; m < units.size(); ++m) want(m, i);
        if (i > 0) {
          d_outputs.want(i - 1);
          want(begins, i - 1);
        }
        for (size_t m = 0; m < units.size(); ++m) {
          if (units[m].size() <= place) continue;
          const bool last = units[m].size() == place + 1;
          const int unit = layout.first_unit[m] + static_cast<int>(place);
          const float* input = z[unit - 1] + i * floats;
          float* out = before[m] + i * floats;
          float* d = scratch().relu_gradient.get(floats);
          read_normalised(input, channels, norms[m], source);
          units[m][place].image(part, chains[m], last ? d_output : inside(out, 0, pixels, channels),
                                inside(z[unit], i, pixels, channels), source, channels, height, width, spread,
                                false, d);
          image_through_relu(edge, source, d, input, statistics_before(m), out, first + 2 * m * channels,
                             first + (2 * m + 1) * channels);
        }
      });
      for (auto& chain : units)
        if (chain.size() > place) chain[place].done(part);
      sums.add(part);
    });
    for (size_t m = 0; m < units.size(); ++m) {
      if (units[m].size() <= place) continue;
      units[m][place].finish(channels);
      const double *first = sums.all() + 2 * m * channels, *second = first + channels;
      const int norm = norm_before(m);
      chains[m] = Chain::of_norm(statistics_before(m), channels, edge.epsilon, scales.scale(norm), first,
                                 second, static_cast<double>(edge.images) * pixels);
      if (dscales.scales.empty()) continue;
      for (int c = 0; c < channels; ++c) {
        const double inverse = inverse_deviation(statistics_before(m), channels, c, edge.epsilon);
        dscales.scales[norm][c] = static_cast<float>(second[c] * inverse);
        dscales.offsets[norm][c] = static_cast<float>(first[c]);
      }
    }
  }
}

}  // namespace

int Edge::norms() const {
  int sum = 0;
  for (const Candidate& candidate : candidates) sum += candidate.norms;
  return sum;
}

int Edge::units() const {
  int sum = 0;
  for (const Candidate& candidate : candidates) sum += candidate.units();
  return sum;
}

int Edge::pooled_norms() const {
  int sum = 0;
  for (const Candidate& candidate : candidates) sum += candidate.pools() ? candidate.norms : 0;
  return sum;
}

int Edge::channels() const { return (given + LANES - 1) / LANES * LANES; }

std::vector<std::vector<int64_t>> Edge::kernel_shapes() const {
  std::vector<std::vector<int64_t>> made;
  const int64_t c = given;
  for (const Candidate& candidate : candidates) {
    const int64_t size = candidate.size;
    for (int i = 0; i < candidate.units(); ++i) {
      switch (candidate.kind) {
        case Kind::FACTORIZED_REDUCTION:
          made.insert(made.end(), 2, {1, 1, c, c / 2});
          break;
        case Kind::DENSE:
          made.push_back({size, size, c, c});
          break;
        default:
          made.push_back({size, size, c, 1});
          made.push_back({1, 1, c, c});
      }
    }
  }
  return made;
}

std::string Edge::refusal() const {
  if (candidates.empty()) return "an edge has no candidates";
  if (given < 2) return "there are fewer than two channels";
  if (stride != 1 && stride != 2) return "the stride is neither 1 nor 2";
  if (images < 1 || height < 1 || width < 1) return "there are no pixels";
  for (const Candidate& candidate : candidates) {
    switch (candidate.kind) {
      case Kind::SKIP:
        if (stride != 1 || candidate.norms != 0) return "a skip connection has a stride or a batch norm";
        break;
      case Kind::MAX_POOL:
      case Kind::AVERAGE_POOL:
        if (candidate.norms < 0 || candidate.norms > 1) return "a pooling has more than one batch norm";
        break;
      case Kind::CONVOLUTION:
        if (candidate.norms < 1) return "a convolution has no batch norm";
        if (!has_sizes(candidate.size, candidate.dilation))
          return "no depthwise convolution of this size and dilation";
        break;
      case Kind::FACTORIZED_REDUCTION:
        if (candidate.norms != 1 || stride != 2)
          return "a factorized reduction has one batch norm and stride 2";
        if (height % 2 != 0 || width % 2 != 0) return "a factorized reduction needs even height and width";
        if (given % (2 * LANES) != 0) return "half the channels are no multiple of " + std::to_string(LANES);
        break;
      case Kind::DENSE:
        if (candidate.norms != 1 || stride != 1) return "a dense convolution has one batch norm and stride 1";
        if (candidate.size != 1 && candidate.size != 3) return "no dense convolution of this size";
        break;
      default:
        return "there is no such kind of candidate";
    }
  }
  return "";
}

void pool_statistics(const Edge& edge, Kind kind, const float* x, float* statistics) {
  const int pixels = edge.out_pixels(), channels = edge.channels();
  std::vector<Moments> moments = {Moments(channels)};
  with_pilot(edge.images, false, moments, [&](const Part& part, std::vector<Moments>& sums) {
    float* pooled = scratch().pooled.get(static_cast<size_t>(pixels) * channels);
    const Images inputs(x, edge.in_pixels(), edge, scratch().input);
    part.each([&](int64_t i) {
      pool_image(edge, kind, inputs.of(i), pooled);
      sum_image(pooled, channels, pixels, sums[0]);
    });
  });
  moments[0].write(statistics);
}

void compute_units(const Edge& edge, const float* x, const std::vector<const float*>& kernels,
                   const std::vector<const float*>& pooled, const Scales& scales,
                   const std::vector<float*>& z, float* statistics) {
  const Layout layout(edge, kernels);
  const int channels = edge.channels(), height = edge.out_height(), width = edge.out_width(),
            pixels = edge.out_pixels();
  const int blocks = channels / LANES;
  const auto statistics_of = [&](int norm) { return statistics + static_cast<size_t>(norm) * 2 * channels; };

  // The first unit of every candidate, all from one copy of an image.
  std::vector<Moments> moments(layout.chains.size(), Moments(channels));
  size_t pool = 0, longest = 0;
  for (size_t m = 0; m < layout.chains.size(); ++m) {
    longest = std::max(longest, layout.chains[m].size());
    if (layout.chains[m].empty() && edge.candidates[m].norms > 0)
      std::copy_n(pooled[pool++], 2 * channels, statistics_of(layout.first_norm[m]));
  }
  if (longest == 0) return;
  const size_t vectors = static_cast<size_t>(pixels) * blocks;
  size_t products = 0;
  for (const auto& chain : layout.chains)
    if (!chain.empty()) products += chain[0].products(vectors);
  with_pilot(edge.images, false, moments, [&](const Part& part, std::vector<Moments>& sums) {
    const Bordered source = bordered(scratch().source, edge.height, edge.width, layout.border(0), blocks);
    const Images inputs(x, edge.in_pixels(), edge, scratch().input);
    Ahead& ahead = scratch().ahead;
    part.each([&](int64_t i) {
      inputs.relu_to(i, source);
      ahead.expect(products);
      if (i + 1 < edge.images) inputs.want(i + 1);
      for (size_t m = 0; m < layout.chains.size(); ++m) {
        if (layout.chains[m].empty()) continue;
        unit_forward(layout.chains[m][0], source, channels, height, width,
                     z[layout.first_unit[m]] + i * pixels * channels, sums[m]);
      }
    });
  });
  for (size_t m = 0; m < layout.chains.size(); ++m)
    if (!layout.chains[m].empty()) moments[m].write(statistics_of(layout.first_norm[m]));

  // Then one unit after the other, each from the one before it.
  for (size_t place = 1; place < longest; ++place) {
    for (size_t m = 0; m < layout.chains.size(); ++m) {
      if (layout.chains[m].size() <= place) continue;
      const Unit& unit = layout.chains[m][place];
      const Affine norm(statistics_of(unit.norm - 1), channels, edge.epsilon, scales.scale(unit.norm - 1),
                        scales.offset(unit.norm - 1));
      const float* input = z[layout.first_unit[m] + place - 1];
      float* output = z[layout.first_unit[m] + place];
      std::vector<Moments> moved = {Moments(channels)};
      const bool backwards = place % 2 == 1;
      with_pilot(edge.images, backwards, moved, [&](const Part& part, std::vector<Moments>& sums) {
        const Bordered between = bordered(scratch().source, height, width, unit.border(), blocks);
        Ahead& ahead = scratch().ahead;
        part.each([&](int64_t i) {
          const int64_t next = backwards ? i - 1 : i + 1;
          ahead.expect(unit.products(vectors));
          if (next >= 0 && next < edge.images) ahead.want(input + next * pixels * channels, vectors * LANES);
          read_normalised(input + i * pixels * channels, channels, norm, between);
          unit_forward(unit, between, channels, height, width, output + i * pixels * channels, sums[0]);
        });
      });
      moved[0].write(statistics_of(unit.norm));
    }
  }
}

void move_estimates(const Edge& edge, const float* statistics, const std::vector<const float*>& means,
                    const std::vector<const float*>& variances, const std::vector<float*>& moved_means,
                    const std::vector<float*>& moved_variances) {
  const int channels = edge.channels();
  for (int i = 0; i < edge.norms(); ++i, statistics += 2 * channels)
    move_estimates(edge.momentum, static_cast<double>(edge.images) * edge.out_pixels(), edge.given, channels,
                   statistics, means[i], variances[i], moved_means[i], moved_variances[i]);
}

void sum_candidates(const Edge& edge, const float* x, const std::vector<const float*>& z,
                    const float* statistics, const std::vector<const float*>& weights, const Scales& scales,
                    const float* factors, float* y) {
  const Layout layout(edge, {});
  const int channels = edge.channels(), pixels = edge.out_pixels();
  std::vector<float> scale(edge.candidates.size() * channels), offset(channels);
  for (size_t m = 0; m < edge.candidates.size(); ++m) {
    const int norms = edge.candidates[m].norms;
    if (norms == 0) {
      std::copy_n(weights[m], channels, &scale[m * channels]);
      continue;
    }
    const int norm = layout.first_norm[m] + norms - 1;
    const float* last = statistics + static_cast<size_t>(norm) * 2 * channels;
    const float *own_scale = scales.scale(norm), *own_offset = scales.offset(norm);
    for (int c = 0; c < channels; ++c) {
      float k = weights[m][c] * inverse_deviation(last, channels, c, edge.epsilon);
      if (own_scale != nullptr) k *= own_scale[c];
      scale[m * channels + c] = k;
      offset[c] -= k * last[c];
      if (own_offset != nullptr) offset[c] += weights[m][c] * own_offset[c];
    }
  }
  in_parts(edge.images, false, [&](const Part& part) {
    Sources sources(edge, layout, z);
    const Images inputs(x, edge.in_pixels(), edge, scratch().input);
    std::vector<float> scale_here = scale, offset_here = offset;
    part.each([&](int64_t i) {
      const std::vector<View>& views = sources.of(i, sources.read_input() ? inputs.of(i) : View{});
      if (factors != nullptr) {
        for (size_t c = 0; c < scale.size(); ++c) scale_here[c] = factors[i] * scale[c];
        for (int c = 0; c < channels; ++c) offset_here[c] = factors[i] * offset[c];
      }
      for (int b = 0; b < channels / LANES; ++b) {
        const Vector start = load(&offset_here[b * LANES]);
        const float* k = &scale_here[b * LANES];
        int p = 0;
        float* to = y + i * pixels * edge.given + b * LANES;
        const int lanes = lanes_of(b, edge.given);
        for (; p + TILE <= pixels; p += TILE, to += static_cast<size_t>(TILE) * edge.given)
          sum_tile<TILE>(views, b, p, k, channels, start, to, edge.given, lanes);
        for (; p < pixels; ++p, to += edge.given)
          sum_tile<1>(views, b, p, k, channels, start, to, edge.given, lanes);
      }
    });
  });
}

void edge_gradient(const Edge& edge, const float* x, const std::vector<const float*>& kernels,
                   const std::vector<const float*>& z, const float* statistics,
                   const std::vector<const float*>& weights, const Scales& scales, const float* factors,
                   const float* dy, float* dx, float* dweights, const std::vector<float*>& dkernels,
                   const ScaleGradients& dscales) {
  const Layout layout(edge, kernels);
  const int channels = edge.channels(), height = edge.out_height(), width = edge.out_width(),
            pixels = edge.out_pixels();
  const int blocks = channels / LANES;
  const size_t candidates = edge.candidates.size();
  const double n = static_cast<double>(edge.images) * pixels;
  const auto mean_of_last = [&](size_t m) -> const float* {
    const int norms = edge.candidates[m].norms;
    if (norms == 0) return nullptr;
    return statistics + static_cast<size_t>(layout.first_norm[m] + norms - 1) * 2 * channels;
  };

  // Sums over all pixels of dy, and of its product with what each candidate adds.
  PartSums<double> sums(edge.images, (1 + candidates) * channels);
  in_parts(edge.images, false, [&](const Part& part) {
    Sources sources(edge, layout, z);
    const Images inputs(x, edge.in_pixels(), edge, scratch().input);
    const Images d_outputs(dy, pixels, edge, scratch().output_gradient, factors);
    double *first = sums.of(part), *second = first + channels;
    part.each([&](int64_t i) {
      const View d = d_outputs.lying(i);
      const std::vector<View>& views = sources.of(i, sources.read_input() ? inputs.of(i) : View{});
      for (int p = 0; p < pixels; p += SUMMED) {
        const int count = std::min(SUMMED, pixels - p);
        add_values(d.from(p), channels, count, first);
        for (size_t m = 0; m < candidates; ++m)
          add_products(d.from(p), views[m].from(p), mean_of_last(m), channels, count, second + m * channels);
      }
    });
    sums.add(part);
  });
  const double *first = sums.all(), *second = first + channels;
  std::vector<Chain> chains;
  for (size_t m = 0; m < candidates; ++m) {
    const float* last = mean_of_last(m);
    const int norm = layout.first_norm[m] + edge.candidates[m].norms - 1;
    const float* own_scale = last != nullptr ? scales.scale(norm) : nullptr;
    std::vector<float> scale(weights[m], weights[m] + channels);
    for (int c = 0; c < channels; ++c) {
      const double inverse =
          last ? 1.0 / std::sqrt(static_cast<double>(last[channels + c]) + edge.epsilon) : 1.0;
      const double of_scale = second[m * channels + c] * inverse;
      float& dweight = dweights[m * channels + c];
      dweight = static_cast<float>(of_scale);
      if (own_scale == nullptr) continue;
      scale[c] *= own_scale[c];
      dweight = static_cast<float>(of_scale * own_scale[c] + first[c] * scales.offset(norm)[c]);
      dscales.scales[norm][c] = static_cast<float>(of_scale * weights[m][c]);
      dscales.offsets[norm][c] = static_cast<float>(first[c] * weights[m][c]);
    }
    chains.push_back(last != nullptr ? Chain::of_norm(last, channels, edge.epsilon, scale.data(), first,
                                                      second + m * channels, n)
                                     : Chain::of_weight(weights[m], channels));
  }

  // Back to the first unit of each candidate.
  std::vector<std::vector<UnitGradient>> units(candidates);
  std::vector<Buffer> buffers(candidates);
  std::vector<float*> before(candidates);
  for (size_t m = 0; m < candidates; ++m) {
    for (size_t j = 0; j < layout.chains[m].size(); ++j) {
      float* d[2] = {nullptr, nullptr};
      if (!dkernels.empty())
        for (int k = 0; k < layout.chains[m][j].kernel_count(); ++k)
          d[k] = dkernels[layout.chains[m][j].kernel + k];
      units[m].emplace_back(layout.chains[m][j], edge.images, channels, d[0], d[1]);
    }
    if (units[m].size() > 1) before[m] = buffers[m].get(static_cast<size_t>(edge.images) * pixels * channels);
  }
  later_units(edge, layout, units, z, statistics, scales, factors, dy, chains, before, dscales);

  // All first units, poolings and the skip connection of an image.
  const int border = layout.border(0);
  const size_t in_plane = static_cast<size_t>(edge.in_pixels()) * LANES,
               in_floats = static_cast<size_t>(edge.in_pixels()) * edge.given;
  // A skip connection's part is a multiple of dy. Where all candidates have later units, dy was read there.
  bool pools = false, skips = false, reads_dy = false;
  std::vector<float> skip(channels);
  for (size_t m = 0; m < candidates; ++m) {
    pools = pools || edge.candidates[m].pools();
    reads_dy = reads_dy || units[m].size() < 2;
    if (edge.candidates[m].kind != Kind::SKIP) continue;
    skips = true;
    for (int c = 0; c < channels; ++c) skip[c] += chains[m].a[c];
  }
  const size_t floats = static_cast<size_t>(pixels) * channels;
  size_t products = 0, begins = candidates;
  for (size_t m = candidates; m-- > 0;)
    if (!units[m].empty()) {
      products += units[m][0].unit.products(floats / LANES) + APPLIED * floats / LANES;
      begins = m;
    }
  in_parts(edge.images, true, [&](const Part& part) {
    Sources sources(edge, layout, z);
    const Images inputs(x, edge.in_pixels(), edge, scratch().input);
    const Images d_outputs(dy, pixels, edge, scratch().output_gradient, factors);
    const Bordered source = bordered(scratch().source, edge.height, edge.width, border, blocks);
    const Bordered spread = bordered(scratch().spread, edge.height, edge.width, border, blocks);
    Ahead& ahead = scratch().ahead;
    const auto want = [&](size_t m, int64_t i) {
      if (m >= candidates || units[m].empty()) return;
      if (units[m].size() > 1) ahead.want(before[m] + i * floats, floats);
      ahead.want(z[layout.first_unit[m]] + i * floats, floats);
    };
    part.each([&](int64_t i) {
      const View input = sources.read_input() ? inputs.of(i) : View{};
      const View d_output = pools || skips ? d_outputs.of(i) : reads_dy ? d_outputs.lying(i) : View{};
      ahead.expect(products);
      for (size_t m = begins + 1; m < candidates; ++m) want(m, i);
      if (i > 0) {
        inputs.want(i - 1);
        if (reads_dy) d_outputs.want(i - 1);
        ahead.want(dx + (i - 1) * in_floats, in_floats);  // a write reads first
        want(begins, i - 1);
      }
      const std::vector<View>& views = sources.of(i, input, true);
      float* through = scratch().relu_gradient.get(in_plane * blocks);
      float* direct = pools ? scratch().input_gradient.zeros(in_plane * blocks) : nullptr;
      inputs.relu_to(i, source);
      bool add = false;
      for (size_t m = 0; m < candidates; ++m) {
        if (edge.candidates[m].convolves()) {
          const View d = units[m].size() > 1 ? inside(before[m], i, pixels, channels) : d_output;
          units[m][0].image(part, chains[m], d, inside(z[layout.first_unit[m]], i, pixels, channels), source,
                            channels, height, width, spread, add, through);
          add = true;
        } else if (edge.candidates[m].pools()) {
          pool_gradient(edge, edge.candidates[m].kind, chains[m], d_output, views[m], input, direct);
        }
      }
      const bool skipped = skips;  // in a register
      for (int b = 0; b < blocks; ++b) {
        const float* r = through + b * in_plane;
        const float* a = direct != nullptr ? direct + b * in_plane : r;
        const float* d = d_output.data + b * d_output.plane;
        const Vector k = d_output.factor * load(&skip[b * LANES]);
        float* to = dx + i * in_floats + b * LANES;
        const int lanes = lanes_of(b, edge.given);
        for (int y = 0; y < edge.height; ++y) {
          const float* after = source.pixels(b, y);
          for (int c = 0; c < edge.width; ++c, a += LANES, r += LANES, after += LANES, to += edge.given) {
            Vector sum = add ? through_relu(load(r), load(after)) : Vector{};
            if (direct != nullptr) sum += load(a);
            if (skipped) {
              sum += k * load(d);
              d += d_output.step;
            }
            store_first(to, sum, lanes);
          }
        }
      }
    });
    for (auto& chain : units)
      if (!chain.empty()) chain[0].done(part);
  });
  for (auto& chain : units)
    if (!chain.empty()) chain[0].finish(channels);
}

}  // namespace tf_darts
