// Threads of the kernels' own: through its C API TensorFlow gives an operation none.
#pragma once

#include <functional>

namespace tf_darts {

// How many threads may be at work at a time, those that call included. 1, as at the start: none but they.
void set_threads(int count);

// Calls body(i) for each i from 0 to count - 1: on the calling thread, and side by side on others that are
// free. Several threads may call at once. With one thread, or in a process that was forked off, it is a loop.
void share_out(int count, const std::function<void(int)>& body);

}  // namespace tf_darts
