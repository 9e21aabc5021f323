// Runs every kernel on edges and inputs of cells of many sizes, in memory of just the size that each has: for
// sanitizers, which see what is read or written beside it. tests/native/test_sanitizers.py compiles and runs
// it. It prints how many it ran.
#include <cmath>
#include <cstdio>

#include "run.h"

using namespace tf_darts;

namespace {

bool finite(const std::vector<float>& values) {
  for (float value : values)
    if (!std::isfinite(value)) return false;
  return true;
}

}  // namespace

int main() {
  int edges = 0, inputs = 0;
  for (int channels : {16, 32, 36})
    for (int stride : {1, 2})
      for (int height : {1, 2, 3, 17})
        for (int width : {1, 2, 5, 33}) {
          const Edge edge{2,      height, width, channels,
                          stride, 1e-5f,  0.9f,  candidates(channels, height, width, stride)};
          if (!edge.refusal().empty() || !finite(run(edge, edges % 2 == 0))) {
            std::printf("%d channels, %dx%d, stride %d: %s\n", channels, height, width, stride,
                        edge.refusal().c_str());
            return 1;
          }
          ++edges;
        }
  for (int64_t pixels : {1, 7, 300, 1030})
    for (int parts : {1, 3, 4})
      for (int channels : {1, 16, 36})
        for (int given : {1, 16, 24, 36, 100}) {
          const Preprocess input{pixels, parts, channels, given, 1e-5f, 0.9f};
          if (!input.refusal().empty() || !finite(run(input, inputs % 2 == 0))) {
            std::printf("%d pixels, %d parts of %d channels to %d\n", static_cast<int>(pixels), parts,
                        channels, given);
            return 1;
          }
          ++inputs;
        }
  std::printf("%d edges, %d inputs of cells\n", edges, inputs);
  return 0;
}
