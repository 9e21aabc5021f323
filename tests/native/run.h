// What the programs for sanitizers have in common: an edge with all candidates, and what comes before a cell,
// run forwards and backwards.
#pragma once

#include <cstdlib>
#include <memory>
#include <vector>

#include "edge.h"
#include "preprocess.h"
#include "vector.h"

using namespace tf_darts;

namespace {

struct Free {
  void operator()(float* p) const { std::free(p); }
};

// Aligned as TensorFlow's tensors are.
using Floats = std::unique_ptr<float, Free>;

thread_local unsigned state;

Floats floats(size_t count) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 64, count * sizeof(float)) != 0) std::abort();
  Floats made(static_cast<float*>(memory));
  for (size_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    made.get()[i] = static_cast<float>(state >> 8) / (1 << 24) - 0.5f;
  }
  return made;
}

// Keeps what a run reads and writes.
class Memory {
 public:
  float* own(size_t size) {
    owned_.push_back(floats(size));
    return owned_.back().get();
  }

  float* result(size_t size) {
    results_.emplace_back(own(size), size);
    return owned_.back().get();
  }

  // All results, one after the other.
  std::vector<float> results() const {
    std::vector<float> all;
    for (const auto& [data, size] : results_) all.insert(all.end(), data, data + size);
    return all;
  }

 private:
  std::vector<Floats> owned_;
  std::vector<std::pair<const float*, size_t>> results_;
};

std::vector<Candidate> candidates(int given, int height, int width, int stride) {
  std::vector<Candidate> made = {
      {Kind::MAX_POOL, 0, 0, 1},     {Kind::AVERAGE_POOL, 0, 0, 0}, {Kind::MAX_POOL, 0, 0, 0},
      {Kind::AVERAGE_POOL, 0, 0, 1}, {Kind::CONVOLUTION, 3, 1, 2},  {Kind::CONVOLUTION, 5, 1, 2},
      {Kind::CONVOLUTION, 7, 1, 3},  {Kind::CONVOLUTION, 3, 2, 1},  {Kind::CONVOLUTION, 5, 2, 1}};
  if (stride == 1) {
    made.push_back({Kind::SKIP, 0, 0, 0});
    made.push_back({Kind::DENSE, 1, 1, 1});
    made.push_back({Kind::DENSE, 3, 1, 1});
  }
  if (stride == 2 && height % 2 == 0 && width % 2 == 0 && given % (2 * LANES) == 0)
    made.push_back({Kind::FACTORIZED_REDUCTION, 0, 0, 1});
  return made;
}

// Runs an edge forwards and backwards and returns all results.
//
// Args:
//   scaled: whether batch norms have a scale and an offset.
std::vector<float> run(const Edge& edge, bool scaled) {
  state = 1;
  const size_t channels = edge.channels(), count = edge.candidates.size();
  const size_t in = edge.images * edge.in_pixels() * edge.given,
               out = edge.images * edge.out_pixels() * edge.given,
               blocks = edge.images * edge.out_pixels() * channels;
  Memory memory;
  const auto own = [&](size_t size) { return memory.own(size); };
  const auto result = [&](size_t size) { return memory.result(size); };
  const float *x = own(in), *dy = own(out), *factors = own(edge.images);
  float *y = result(out), *dx = result(in), *dweights = result(count * channels),
        *statistics = result(2 * edge.norms() * channels);
  std::vector<const float*> kernels, pooled, z_read, weights, means, variances;
  std::vector<float*> dkernels, z, moved_means, moved_variances;
  for (const Candidate& candidate : edge.candidates) {
    weights.push_back(own(channels));
    if (candidate.pools() && candidate.norms > 0) {
      float* found = result(2 * channels);
      pool_statistics(edge, candidate.kind, x, found);
      pooled.push_back(found);
    }
    for (int i = 0; i < candidate.units(); ++i) {
      z.push_back(result(blocks));
      z_read.push_back(z.back());
    }
  }
  for (auto shape : edge.kernel_shapes()) {
    size_t size = 1;
    for (int64_t& side : shape) {
      if (side == edge.given) side = edge.channels();
      size *= side;
    }
    kernels.push_back(own(size));
    dkernels.push_back(result(size));
  }
  Scales scales;
  ScaleGradients dscales;
  for (int i = 0; i < edge.norms(); ++i) {
    means.push_back(own(edge.given));
    variances.push_back(own(edge.given));
    moved_means.push_back(result(edge.given));
    moved_variances.push_back(result(edge.given));
    if (!scaled) continue;
    scales.scales.push_back(own(channels));
    scales.offsets.push_back(own(channels));
    dscales.scales.push_back(result(channels));
    dscales.offsets.push_back(result(channels));
  }
  compute_units(edge, x, kernels, pooled, scales, z, statistics);
  move_estimates(edge, statistics, means, variances, moved_means, moved_variances);
  sum_candidates(edge, x, z_read, statistics, weights, scales, factors, y);
  for (const auto& wanted : {std::vector<float*>(), dkernels})
    edge_gradient(edge, x, kernels, z_read, statistics, weights, scales, factors, dy, dx, dweights, wanted,
                  dscales);
  return memory.results();
}

// The same of what comes before a cell.
std::vector<float> run(const Preprocess& given, bool scaled) {
  state = 1;
  const size_t in = given.pixels * given.part_channels, out = given.pixels * given.given,
               weights = static_cast<size_t>(given.in_channels()) * given.given;
  Memory memory;
  const auto own = [&](size_t size) { return memory.own(size); };
  const auto result = [&](size_t size) { return memory.result(size); };
  std::vector<const float*> parts;
  std::vector<float*> dparts;
  for (int i = 0; i < given.parts; ++i) {
    parts.push_back(own(in));
    dparts.push_back(result(in));
  }
  const float *kernel = own(weights), *dy = own(out);
  const float *scale = scaled ? own(given.given) : nullptr, *offset = scaled ? own(given.given) : nullptr;
  float *z = result(given.z_floats()), *statistics = result(2 * given.channels()), *y = result(out);
  float* dkernel = result(weights);
  float *dscale = scaled ? result(given.given) : nullptr, *doffset = scaled ? result(given.given) : nullptr;
  preprocess(given, parts, kernel, scale, offset, z, statistics, y);
  for (float* wanted : {static_cast<float*>(nullptr), dkernel})
    preprocess_gradient(given, parts, kernel, scale, z, statistics, dy, dparts, wanted, dscale, doffset);
  return memory.results();
}

}  // namespace
