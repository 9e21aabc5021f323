// Runs every kernel on edges of many sizes, in memory of just the size that each has: for sanitizers, which
// see what is read or written beside it. tests/native/test_sanitizers.py compiles and runs it. It prints how
// many edges it ran.
#include <cmath>
#include <cstdio>

#include "run.h"

using namespace tf_darts;

int main() {
  int edges = 0;
  for (int channels : {16, 32, 36})
    for (int stride : {1, 2})
      for (int height : {1, 2, 3, 17})
        for (int width : {1, 2, 5, 33}) {
          const Edge edge{2,      height, width, channels,
                          stride, 1e-5f,  0.9f,  candidates(channels, height, width, stride)};
          bool good = edge.refusal().empty();
          if (good)
            for (float value : run(edge, edges % 2 == 0)) good = good && std::isfinite(value);
          if (!good) {
            std::printf("%d channels, %dx%d, stride %d: %s\n", channels, height, width, stride,
                        edge.refusal().c_str());
            return 1;
          }
          ++edges;
        }
  std::printf("%d edges\n", edges);
  return 0;
}
