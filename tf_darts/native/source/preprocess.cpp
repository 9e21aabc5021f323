#include "preprocess.h"

#include <algorithm>
#include <vector>

#include "image.h"
#include "norm.h"
#include "parts.h"
#include "vector.h"

namespace tf_darts {
namespace {

// Pixels are worked on in strips, [blocks][pixels of the strip][LANES] each: z consists of them. A strip of
// the input stays in the second cache, and is long, for kernel gradients are added up once a strip.
constexpr int STRIP_BYTES = 96 * 1024;

// What a thread works with; kept from call to call.
struct Scratch {
  Buffer input, gradient, input_gradient;
  Ahead ahead;
};

Scratch& scratch() {
  thread_local Scratch mine;
  return mine;
}

int blocks_of(int channels) { return (channels + LANES - 1) / LANES; }

// Lanes `first` to before `end` of a block are those channels of a tensor that follow `channel`.
struct Piece {
  int tensor, channel, first, end;
  bool whole() const { return end - first == LANES; }
};

// Tensors [pixels][channels] seen as one that has all their channels, in blocks without gaps.
class Joined {
 public:
  Joined(int tensors, int channels) : channels_(channels), pieces_(blocks_of(tensors * channels)) {
    for (int c = 0; c < tensors * channels;) {
      const int end = std::min((c / channels + 1) * channels, (c / LANES + 1) * LANES), lane = c % LANES;
      pieces_[c / LANES].push_back({c / channels, c % channels, lane, lane + end - c});
      c = end;
    }
  }

  int blocks() const { return static_cast<int>(pieces_.size()); }

  // Copies pixels to [blocks][pixels][LANES], what `change` makes of them; it keeps zeros.
  template <class Change>
  void read(const std::vector<const float*>& tensors, int64_t pixel, int pixels, float* out,
            Change change) const {
    for (const std::vector<Piece>& block : pieces_) {
      for (const Piece& piece : block) {
        const float* from = tensors[piece.tensor] + at(pixel, piece);
        float* to = out;
        if (piece.whole()) {
          for (int p = 0; p < pixels; ++p, from += channels_, to += LANES) store(to, change(load(from)));
          continue;
        }
        for (int p = 0; p < pixels; ++p, from += channels_, to += LANES) {
          const Vector v = change(load_some(from, piece.first, piece.end));
          store(to, piece.first == 0 ? v : load(to) + v);
        }
      }
      out += static_cast<size_t>(pixels) * LANES;
    }
  }

  // Writes pixels: value(block, p) of each vector.
  template <class Value>
  void write(const std::vector<float*>& tensors, int64_t pixel, int pixels, Value value) const {
    for (int b = 0; b < blocks(); ++b)
      for (const Piece& piece : pieces_[b]) {
        float* to = tensors[piece.tensor] + at(pixel, piece);
        if (piece.whole())
          for (int p = 0; p < pixels; ++p, to += channels_) store(to, value(b, p));
        else
          for (int p = 0; p < pixels; ++p, to += channels_)
            store_some(to, value(b, p), piece.first, piece.end);
      }
  }

  // Lets what follows these pixels be fetched while products are computed.
  template <class Data>
  void want(const std::vector<Data>& tensors, int64_t pixel, int pixels) const {
    for (const float* tensor : tensors)
      scratch().ahead.want(tensor + pixel * channels_, static_cast<size_t>(pixels) * channels_);
  }

 private:
  // Where lane 0 of the piece's block would lie.
  int64_t at(int64_t pixel, const Piece& piece) const {
    return pixel * channels_ + piece.channel - piece.first;
  }

  int channels_;
  std::vector<std::vector<Piece>> pieces_;
};

// The pixels of all images in strips.
struct Strips {
  int64_t pixels;
  int length;

  explicit Strips(const Preprocess& made) : pixels(made.pixels) {
    const int fit = STRIP_BYTES / static_cast<int>(sizeof(float)) / made.in_channels();
    length = std::clamp(fit / TILE * TILE, TILE, SUMMED);
  }

  int64_t count() const { return (pixels + length - 1) / length; }
  int64_t first(int64_t strip) const { return strip * length; }
  int size(int64_t strip) const { return static_cast<int>(std::min<int64_t>(length, pixels - first(strip))); }
};

// A vector [given] or none as [channels].
std::vector<float> widened(const float* from, int given, int channels) {
  std::vector<float> made;
  if (from == nullptr) return made;
  made.assign(from, from + given);
  made.resize(channels);
  return made;
}

const float* data_of(const std::vector<float>& vector) { return vector.empty() ? nullptr : vector.data(); }

}  // namespace

int Preprocess::channels() const { return blocks_of(given) * LANES; }

std::string Preprocess::refusal() const {
  if (pixels < 1) return "there are no pixels";
  if (part_channels < 1 || given < 1) return "there are no channels";
  return "";
}

void preprocess(const Preprocess& made, const std::vector<const float*>& parts, const float* kernel,
                const float* scale, const float* offset, float* z, float* statistics, float* y) {
  const int channels = made.channels(), in_channels = made.in_channels(), blocks = channels / LANES;
  const Joined input(made.parts, made.part_channels), output(1, made.given);
  const Strips strips(made);
  std::vector<float> wide(static_cast<size_t>(in_channels) * channels);
  for (int k = 0; k < in_channels; ++k) std::copy_n(kernel + k * made.given, made.given, &wide[k * channels]);

  std::vector<Moments> moments = {Moments(channels)};
  with_pilot(strips.count(), false, moments, [&](const Part& part, std::vector<Moments>& sums) {
    float* in = scratch().input.get(static_cast<size_t>(strips.length) * input.blocks() * LANES);
    Ahead& ahead = scratch().ahead;
    part.each([&](int64_t i) {
      const int pixels = strips.size(i);
      const size_t plane = static_cast<size_t>(pixels) * LANES;
      input.read(parts, strips.first(i), pixels, in, [](Vector v) { return relu(v); });
      ahead.expect(static_cast<size_t>(pixels) * in_channels * blocks);
      if (i + 1 < strips.count()) input.want(parts, strips.first(i + 1), strips.size(i + 1));
      pointwise<true>(in, plane, in_channels, wide.data(), channels, z + strips.first(i) * channels, plane,
                      made.given, pixels, ahead, sums[0].sums());
      sums[0].count(pixels);
    });
  });
  moments[0].write(statistics);

  const std::vector<float> own_scale = widened(scale, made.given, channels),
                           own_offset = widened(offset, made.given, channels);
  const Affine norm(statistics, channels, made.epsilon, data_of(own_scale), data_of(own_offset));
  in_parts(strips.count(), false, [&](const Part& part) {
    part.each([&](int64_t i) {
      const int pixels = strips.size(i);
      const float* from = z + strips.first(i) * channels;
      output.write({y}, strips.first(i), pixels, [&](int b, int p) {
        return load(&norm.scale[b * LANES]) * load(from + (static_cast<size_t>(b) * pixels + p) * LANES) +
               load(&norm.offset[b * LANES]);
      });
    });
  });
}

void preprocess_gradient(const Preprocess& made, const std::vector<const float*>& parts, const float* kernel,
                         const float* scale, const float* z, const float* statistics, const float* dy,
                         const std::vector<float*>& dparts, float* dkernel, float* dscale, float* doffset) {
  const int channels = made.channels(), in_channels = made.in_channels(), blocks = channels / LANES;
  const Joined input(made.parts, made.part_channels), output(1, made.given);
  const Strips strips(made);
  const int in_blocks = input.blocks();
  const auto unchanged = [](Vector v) { return v; };

  // Sums over all pixels of dy, and of its product with z - mean.
  PartSums<double> sums(strips.count(), 2 * channels);
  in_parts(strips.count(), false, [&](const Part& part) {
    float* gradient = scratch().gradient.get(static_cast<size_t>(strips.length) * channels);
    double *first = sums.of(part), *second = first + channels;
    part.each([&](int64_t i) {
      const int pixels = strips.size(i);
      output.read({dy}, strips.first(i), pixels, gradient, unchanged);
      const float *d = gradient, *at = z + strips.first(i) * channels;
      for (int b = 0; b < blocks; ++b) {
        const Vector mean = load(statistics + b * LANES);
        Vector sum = {}, product = {};
        for (int p = 0; p < pixels; ++p, d += LANES, at += LANES) {
          sum += load(d);
          product += load(d) * (load(at) - mean);
        }
        add_lanes(sum, first + b * LANES);
        add_lanes(product, second + b * LANES);
      }
    });
    sums.add(part);
  });
  const double *first = sums.all(), *second = first + channels;
  const std::vector<float> own_scale = widened(scale, made.given, channels);
  const Chain chain = Chain::of_norm(statistics, channels, made.epsilon, data_of(own_scale), first, second,
                                     static_cast<double>(made.pixels));
  if (dscale != nullptr)
    for (int c = 0; c < made.given; ++c) {
      dscale[c] = static_cast<float>(second[c] * inverse_deviation(statistics, channels, c, made.epsilon));
      doffset[c] = static_cast<float>(first[c]);
    }

  // The kernel by its columns, and its gradient in whole vectors.
  const int row = in_blocks * LANES;
  std::vector<float> transposed(static_cast<size_t>(made.given) * row);
  for (int c = 0; c < made.given; ++c)
    for (int k = 0; k < in_channels; ++k) transposed[c * row + k] = kernel[k * made.given + c];
  PartSums<float> added(strips.count(), dkernel != nullptr ? static_cast<size_t>(row) * channels : 0);
  in_parts(strips.count(), true, [&](const Part& part) {
    float* gradient = scratch().gradient.get(static_cast<size_t>(strips.length) * channels);
    float* in = scratch().input.get(static_cast<size_t>(strips.length) * row);
    float* d_in = scratch().input_gradient.get(static_cast<size_t>(strips.length) * row);
    Ahead& ahead = scratch().ahead;
    part.each([&](int64_t i) {
      const int pixels = strips.size(i);
      const size_t plane = static_cast<size_t>(pixels) * LANES;
      input.read(parts, strips.first(i), pixels, in, [](Vector v) { return relu(v); });
      output.read({dy}, strips.first(i), pixels, gradient, unchanged);
      const float* at = z + strips.first(i) * channels;
      float* d = gradient;
      for (int b = 0; b < blocks; ++b) {
        const Slope slope = chain.slope(b, 1.0f);
        for (int p = 0; p < pixels; ++p, d += LANES, at += LANES) store(d, slope(load(d), load(at)));
      }
      if (dkernel != nullptr)
        pointwise_gradient(in, plane, in_channels, gradient, plane, made.given, added.of(part), channels,
                           pixels);
      ahead.expect(static_cast<size_t>(pixels) * made.given * in_blocks);
      if (i > 0) {
        const int64_t next = strips.first(i - 1);
        input.want(parts, next, strips.size(i - 1));
        input.want(dparts, next, strips.size(i - 1));  // a write reads first
        output.want<const float*>({dy}, next, strips.size(i - 1));
        ahead.want(z + next * channels, static_cast<size_t>(strips.size(i - 1)) * channels);
      }
      pointwise<false>(gradient, plane, made.given, transposed.data(), row, d_in, plane, in_channels, pixels,
                       ahead);
      input.write(dparts, strips.first(i), pixels, [&](int b, int p) {
        const size_t vector = b * plane + static_cast<size_t>(p) * LANES;
        return through_relu(load(d_in + vector), load(in + vector));
      });
    });
    if (dkernel != nullptr) added.add(part);
  });
  if (dkernel != nullptr)
    for (int k = 0; k < in_channels; ++k)
      std::copy_n(added.all() + static_cast<size_t>(k) * channels, made.given, dkernel + k * made.given);
}

}  // namespace tf_darts
