// The operations that TensorFlow sees, through its C API alone: it does not change between versions.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "edge.h"
#include "norm.h"
#include "preprocess.h"
#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_datatype.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"
#include "vector.h"

namespace tf_darts {
namespace {

struct StatusDeleter {
  void operator()(TF_Status* status) const { TF_DeleteStatus(status); }
};
using Status = std::unique_ptr<TF_Status, StatusDeleter>;

// What an operation is told when it is made: an edge without its sizes.
struct Attributes {
  Edge edge;
  int64_t scales = 0;   // batch norms with a scale and an offset
  int64_t factors = 0;  // 1: each image has a factor
  bool kernel_gradients = false;
};

// Names of attributes, which also stand in the definitions below.
constexpr char STRIDE[] = "stride", CANDIDATES[] = "candidates", EPSILON[] = "epsilon",
               MOMENTUM[] = "momentum";

void* make(TF_OpKernelConstruction* construction) {
  auto made = std::make_unique<Attributes>();
  Status status(TF_NewStatus());
  int32_t count = 0, bytes = 0;
  std::vector<int32_t> numbers;
  TF_OpKernelConstruction_GetAttrInt32(construction, STRIDE, &made->edge.stride, status.get());
  if (TF_GetCode(status.get()) == TF_OK)
    TF_OpKernelConstruction_GetAttrFloat(construction, EPSILON, &made->edge.epsilon, status.get());
  if (TF_GetCode(status.get()) == TF_OK)
    TF_OpKernelConstruction_GetAttrFloat(construction, MOMENTUM, &made->edge.momentum, status.get());
  if (TF_GetCode(status.get()) == TF_OK)
    TF_OpKernelConstruction_GetAttrSize(construction, CANDIDATES, &count, &bytes, status.get());
  if (TF_GetCode(status.get()) == TF_OK) {
    numbers.resize(count);
    TF_OpKernelConstruction_GetAttrInt32List(construction, CANDIDATES, numbers.data(), count, status.get());
  }
  if (TF_GetCode(status.get()) == TF_OK && (count == 0 || count % 4 != 0))
    TF_SetStatus(status.get(), TF_INVALID_ARGUMENT, "candidates: four numbers each");
  if (TF_GetCode(status.get()) != TF_OK) {
    TF_OpKernelConstruction_Failure(construction, status.get());
    return nullptr;
  }
  for (int32_t i = 0; i < count; i += 4)
    made->edge.candidates.push_back(
        {static_cast<Kind>(numbers[i]), numbers[i + 1], numbers[i + 2], numbers[i + 3]});
  return made.release();
}

void* make_scaled(TF_OpKernelConstruction* construction) {
  auto* made = static_cast<Attributes*>(make(construction));
  if (made == nullptr) return nullptr;
  Status status(TF_NewStatus());
  TF_OpKernelConstruction_GetAttrInt64(construction, "scale_count", &made->scales, status.get());
  if (TF_GetCode(status.get()) == TF_OK && made->scales != 0 && made->scales != made->edge.norms())
    TF_SetStatus(status.get(), TF_INVALID_ARGUMENT, "tf_darts: scales: one for each batch norm or none");
  if (TF_GetCode(status.get()) != TF_OK) TF_OpKernelConstruction_Failure(construction, status.get());
  return made;
}

void* make_sum(TF_OpKernelConstruction* construction) {
  auto* made = static_cast<Attributes*>(make_scaled(construction));
  if (made == nullptr) return nullptr;
  Status status(TF_NewStatus());
  unsigned char wanted = 0;
  TF_OpKernelConstruction_GetAttrBool(construction, "kernel_gradients", &wanted, status.get());
  if (TF_GetCode(status.get()) == TF_OK)
    TF_OpKernelConstruction_GetAttrInt64(construction, "factor_count", &made->factors, status.get());
  if (TF_GetCode(status.get()) != TF_OK) TF_OpKernelConstruction_Failure(construction, status.get());
  made->kernel_gradients = wanted != 0;
  return made;
}

void destroy(void* attributes) { delete static_cast<Attributes*>(attributes); }

// The same of what comes before a cell.
struct PreprocessAttributes {
  Preprocess made;
  int64_t parts = 0, scales = 0;  // scales: 1 if the batch norm has a scale and an offset
  bool kernel_gradients = false;
};

void* make_preprocess(TF_OpKernelConstruction* construction) {
  auto made = std::make_unique<PreprocessAttributes>();
  Status status(TF_NewStatus());
  unsigned char wanted = 0;
  TF_OpKernelConstruction_GetAttrFloat(construction, EPSILON, &made->made.epsilon, status.get());
  if (TF_GetCode(status.get()) == TF_OK)
    TF_OpKernelConstruction_GetAttrFloat(construction, MOMENTUM, &made->made.momentum, status.get());
  if (TF_GetCode(status.get()) == TF_OK)
    TF_OpKernelConstruction_GetAttrInt64(construction, "part_count", &made->parts, status.get());
  if (TF_GetCode(status.get()) == TF_OK)
    TF_OpKernelConstruction_GetAttrInt64(construction, "scale_count", &made->scales, status.get());
  if (TF_GetCode(status.get()) == TF_OK)
    TF_OpKernelConstruction_GetAttrBool(construction, "kernel_gradients", &wanted, status.get());
  if (TF_GetCode(status.get()) == TF_OK && made->scales > 1)
    TF_SetStatus(status.get(), TF_INVALID_ARGUMENT, "tf_darts: scales: one or none");
  if (TF_GetCode(status.get()) != TF_OK) {
    TF_OpKernelConstruction_Failure(construction, status.get());
    return nullptr;
  }
  made->kernel_gradients = wanted != 0;
  return made.release();
}

void destroy_preprocess(void* attributes) { delete static_cast<PreprocessAttributes*>(attributes); }

// Matrices of which TensorFlow has fewer rows and columns than the kernels.
struct Extent {
  int64_t matrices, given_rows, rows, given_columns, columns;

  static Extent of_vectors(const Edge& edge, int64_t count) {
    return {count, 1, 1, edge.given, edge.channels()};
  }

  // Of a kernel [high][wide][channels][channels or 1]; only where all of them are given it has fewer columns.
  static Extent of_kernel(const Edge& edge, const std::vector<int64_t>& shape) {
    if (shape[3] == 1) return of_vectors(edge, shape[0] * shape[1]);
    const int64_t columns = shape[3] == edge.given ? edge.channels() : shape[3];
    return {shape[0] * shape[1], edge.given, edge.channels(), shape[3], columns};
  }

  bool fits() const { return given_columns == columns; }
  int64_t given_floats() const { return matrices * given_rows * given_columns; }
  int64_t floats() const { return matrices * rows * columns; }

  // To zeros.
  void widen(const float* from, float* to) const {
    for (int64_t m = 0; m < matrices; ++m, to += (rows - given_rows) * columns)
      for (int64_t i = 0; i < given_rows; ++i, from += given_columns, to += columns)
        std::copy_n(from, given_columns, to);
  }

  void narrow(const float* from, float* to) const {
    for (int64_t m = 0; m < matrices; ++m, from += (rows - given_rows) * columns)
      for (int64_t i = 0; i < given_rows; ++i, from += columns, to += given_columns)
        std::copy_n(from, given_columns, to);
  }
};

// Inputs and outputs of one call, in their order. After a failure nothing more is read or made.
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {}

  ~Call() {
    for (TF_Tensor* tensor : held_) TF_DeleteTensor(tensor);
  }

  // The next input; its number of elements has to be `floats` unless that is negative.
  const float* input(int64_t floats = -1) {
    TF_Tensor* tensor = next();
    if (tensor == nullptr) return nullptr;
    if (floats >= 0 && TF_TensorElementCount(tensor) != floats) {
      fail("an input has " + std::to_string(TF_TensorElementCount(tensor)) + " elements instead of " +
           std::to_string(floats));
      return nullptr;
    }
    return static_cast<const float*>(TF_TensorData(tensor));
  }

  std::vector<const float*> inputs(int count, int64_t floats) {
    std::vector<const float*> made;
    for (int i = 0; i < count; ++i) made.push_back(input(floats));
    return made;
  }

  // The next inputs as vectors [channels], of [given].
  std::vector<const float*> vectors(const Edge& edge, int64_t count) {
    std::vector<const float*> made;
    for (int64_t i = 0; i < count; ++i) made.push_back(widened(Extent::of_vectors(edge, 1)));
    return made;
  }

  // The next input as the edge's x, whose sizes it gives.
  const float* image_input(Edge* edge) {
    TF_Tensor* tensor = next();
    if (tensor == nullptr) return nullptr;
    if (TF_NumDims(tensor) != 4) {
      fail("x is not [images, height, width, channels]");
      return nullptr;
    }
    edge->images = TF_Dim(tensor, 0);
    edge->height = static_cast<int>(TF_Dim(tensor, 1));
    edge->width = static_cast<int>(TF_Dim(tensor, 2));
    edge->given = static_cast<int>(TF_Dim(tensor, 3));
    const std::string refusal = edge->refusal();
    if (!refusal.empty()) fail(refusal);
    return static_cast<const float*>(TF_TensorData(tensor));
  }

  // The next inputs as the parts of what comes before a cell; they and the kernel after them give its sizes.
  std::vector<const float*> parts(Preprocess* made, int64_t count, std::vector<int64_t>* shape) {
    std::vector<const float*> found;
    made->parts = static_cast<int>(count);
    for (int64_t i = 0; i < count; ++i) {
      TF_Tensor* tensor = next();
      if (tensor == nullptr) return {};
      std::vector<int64_t> own(TF_NumDims(tensor));
      for (size_t d = 0; d < own.size(); ++d) own[d] = TF_Dim(tensor, static_cast<int>(d));
      if (own.size() != 4 || (i > 0 && own != *shape)) {
        fail("parts are not all [images, height, width, channels], of one size");
        return {};
      }
      *shape = own;
      found.push_back(static_cast<const float*>(TF_TensorData(tensor)));
    }
    made->pixels = (*shape)[0] * (*shape)[1] * (*shape)[2];
    made->part_channels = static_cast<int>((*shape)[3]);
    return found;
  }

  // The next input as the kernel after these parts.
  const float* kernel(Preprocess* made) {
    TF_Tensor* kernel = next();
    if (kernel == nullptr) return nullptr;
    if (TF_NumDims(kernel) != 4 || TF_Dim(kernel, 0) != 1 || TF_Dim(kernel, 1) != 1 ||
        TF_Dim(kernel, 2) != made->in_channels()) {
      fail("the kernel is not [1, 1, channels of all parts, channels]");
      return nullptr;
    }
    made->given = static_cast<int>(TF_Dim(kernel, 3));
    const std::string refusal = made->refusal();
    if (!refusal.empty()) fail(refusal);
    return static_cast<const float*>(TF_TensorData(kernel));
  }

  // The kernels of all units, of all channels.
  std::vector<const float*> kernels(const Edge& edge) {
    std::vector<const float*> made;
    for (const auto& shape : edge.kernel_shapes()) made.push_back(widened(Extent::of_kernel(edge, shape)));
    return made;
  }

  float* output(const std::vector<int64_t>& shape) {
    if (!ok()) return nullptr;
    int64_t floats = 1;
    for (int64_t size : shape) floats *= size;
    TF_Tensor* tensor =
        TF_AllocateOutput(context_, outputs_++, TF_FLOAT, shape.data(), static_cast<int>(shape.size()),
                          floats * sizeof(float), status_.get());
    if (!settle(tensor)) return nullptr;
    auto* data = static_cast<float*>(TF_TensorData(tensor));
    if (reinterpret_cast<uintptr_t>(data) % (LANES * sizeof(float)) != 0)
      fail("an output is not aligned to vectors");
    return data;
  }

  std::vector<float*> outputs(int count, const std::vector<int64_t>& shape) {
    std::vector<float*> made;
    for (int i = 0; i < count; ++i) made.push_back(output(shape));
    return made;
  }

  // An output of this shape, as all channels of it; `narrow` brings it there.
  float* output(const std::vector<int64_t>& shape, const Extent& extent) {
    float* data = output(shape);
    if (!ok() || extent.fits()) return data;
    owned_.emplace_back(extent.floats());
    narrowed_.push_back({extent, owned_.back().data(), data});
    return owned_.back().data();
  }

  std::vector<float*> vector_outputs(const Edge& edge, int64_t count) {
    std::vector<float*> made;
    for (int64_t i = 0; i < count; ++i) made.push_back(output({edge.given}, Extent::of_vectors(edge, 1)));
    return made;
  }

  void narrow() const {
    for (const auto& [extent, from, to] : narrowed_) extent.narrow(from, to);
  }

  void fail(const std::string& message) {
    if (!ok()) return;
    TF_SetStatus(status_.get(), TF_INVALID_ARGUMENT, ("tf_darts: " + message).c_str());
    TF_OpKernelContext_Failure(context_, status_.get());
  }

  bool ok() const { return TF_GetCode(status_.get()) == TF_OK; }

 private:
  const float* widened(const Extent& extent) {
    const float* data = input(extent.given_floats());
    if (!ok() || extent.fits()) return data;
    owned_.emplace_back(extent.floats());
    extent.widen(data, owned_.back().data());
    return owned_.back().data();
  }

  struct Narrowed {
    Extent extent;
    const float* from;
    float* to;
  };

  TF_Tensor* next() {
    if (!ok()) return nullptr;
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context_, inputs_++, &tensor, status_.get());
    return settle(tensor) ? tensor : nullptr;
  }

  bool settle(TF_Tensor* tensor) {
    if (tensor != nullptr) held_.push_back(tensor);
    if (ok()) return true;
    TF_OpKernelContext_Failure(context_, status_.get());
    return false;
  }

  TF_OpKernelContext* context_;
  Status status_;
  std::vector<TF_Tensor*> held_;
  std::vector<std::vector<float>> owned_;
  std::vector<Narrowed> narrowed_;
  int inputs_ = 0, outputs_ = 0;
};

std::vector<int64_t> output_shape(const Edge& edge, int channels) {
  return {edge.images, edge.out_height(), edge.out_width(), channels};
}

int64_t output_floats(const Edge& edge, int channels) { return edge.images * edge.out_pixels() * channels; }

Scales scales_of(Call& call, const Edge& edge, const Attributes& attributes) {
  Scales made;
  made.scales = call.vectors(edge, attributes.scales);
  made.offsets = call.vectors(edge, attributes.scales);
  return made;
}

void run_pool_statistics(void* attributes, TF_OpKernelContext* context) {
  Edge edge = static_cast<Attributes*>(attributes)->edge;
  Call call(context);
  const float* x = call.image_input(&edge);
  if (!call.ok()) return;
  float* statistics = call.output({2, edge.channels()});
  if (call.ok()) pool_statistics(edge, edge.candidates[0].kind, x, statistics);
}

void run_units(void* attributes, TF_OpKernelContext* context) {
  const auto& made = *static_cast<Attributes*>(attributes);
  Edge edge = made.edge;
  Call call(context);
  const float* x = call.image_input(&edge);
  if (!call.ok()) return;
  const auto kernels = call.kernels(edge);
  const auto pooled = call.inputs(edge.pooled_norms(), 2 * edge.channels());
  const Scales scales = scales_of(call, edge, made);
  const auto means = call.inputs(edge.norms(), edge.given);
  const auto variances = call.inputs(edge.norms(), edge.given);
  const auto z = call.outputs(edge.units(), output_shape(edge, edge.channels()));
  float* statistics = call.output({edge.norms(), 2, edge.channels()});
  const auto moved_means = call.outputs(edge.norms(), {edge.given});
  const auto moved_variances = call.outputs(edge.norms(), {edge.given});
  if (!call.ok()) return;
  compute_units(edge, x, kernels, pooled, scales, z, statistics);
  move_estimates(edge, statistics, means, variances, moved_means, moved_variances);
}

// What the sum and its gradient have in common.
struct SumInputs {
  const float* x;
  std::vector<const float*> kernels, z;
  const float* statistics;
  std::vector<const float*> weights;
  Scales scales;
  const float* factors = nullptr;

  SumInputs(Call& call, Edge& edge, const Attributes& attributes) : x(call.image_input(&edge)) {
    if (!call.ok()) return;
    kernels = call.kernels(edge);
    z = call.inputs(edge.units(), output_floats(edge, edge.channels()));
    statistics = call.input(int64_t{2} * edge.norms() * edge.channels());
    weights = call.vectors(edge, static_cast<int64_t>(edge.candidates.size()));
    scales = scales_of(call, edge, attributes);
    if (attributes.factors != 0) factors = call.input(edge.images);
  }
};

void run_sum(void* attributes, TF_OpKernelContext* context) {
  const auto& made = *static_cast<Attributes*>(attributes);
  Edge edge = made.edge;
  Call call(context);
  const SumInputs given(call, edge, made);
  if (!call.ok()) return;
  float* y = call.output(output_shape(edge, edge.given));
  if (call.ok())
    sum_candidates(edge, given.x, given.z, given.statistics, given.weights, given.scales, given.factors, y);
}

void run_gradient(void* attributes, TF_OpKernelContext* context) {
  const auto& made = *static_cast<Attributes*>(attributes);
  Edge edge = made.edge;
  Call call(context);
  const SumInputs given(call, edge, made);
  if (!call.ok()) return;
  const int64_t count = static_cast<int64_t>(edge.candidates.size());
  const float* dy = call.input(output_floats(edge, edge.given));
  float* dx = call.output({edge.images, edge.height, edge.width, edge.given});
  float* dweights = call.output({count, edge.given}, Extent::of_vectors(edge, count));
  std::vector<float*> dkernels;
  for (const auto& shape : edge.kernel_shapes()) {
    if (made.kernel_gradients)
      dkernels.push_back(call.output(shape, Extent::of_kernel(edge, shape)));
    else
      call.output({0});
  }
  ScaleGradients dscales;
  dscales.scales = call.vector_outputs(edge, made.scales);
  dscales.offsets = call.vector_outputs(edge, made.scales);
  if (!call.ok()) return;
  edge_gradient(edge, given.x, given.kernels, given.z, given.statistics, given.weights, given.scales,
                given.factors, dy, dx, dweights, dkernels, dscales);
  call.narrow();
}

// What both operations of what comes before a cell begin with, its sizes and those of the parts.
struct PreprocessInputs {
  Preprocess made;
  std::vector<int64_t> shape;
  std::vector<const float*> parts;
  const float* kernel;

  PreprocessInputs(Call& call, const PreprocessAttributes& given)
      : made(given.made), parts(call.parts(&made, given.parts, &shape)), kernel(call.kernel(&made)) {}
};

void run_preprocess(void* attributes, TF_OpKernelContext* context) {
  const auto& given = *static_cast<PreprocessAttributes*>(attributes);
  Call call(context);
  const PreprocessInputs in(call, given);
  if (!call.ok()) return;
  const Preprocess& made = in.made;
  const float* scale = given.scales ? call.input(made.given) : nullptr;
  const float* offset = given.scales ? call.input(made.given) : nullptr;
  const float *mean = call.input(made.given), *variance = call.input(made.given);
  std::vector<int64_t> shape = in.shape;
  shape[3] = made.given;
  float* y = call.output(shape);
  shape[3] = made.channels();
  float *z = call.output(shape), *statistics = call.output({2, made.channels()});
  float *moved_mean = call.output({made.given}), *moved_variance = call.output({made.given});
  if (!call.ok()) return;
  preprocess(made, in.parts, in.kernel, scale, offset, z, statistics, y);
  move_estimates(made.momentum, static_cast<double>(made.pixels), made.given, made.channels(), statistics,
                 mean, variance, moved_mean, moved_variance);
}

void run_preprocess_gradient(void* attributes, TF_OpKernelContext* context) {
  const auto& given = *static_cast<PreprocessAttributes*>(attributes);
  Call call(context);
  const PreprocessInputs in(call, given);
  if (!call.ok()) return;
  const Preprocess& made = in.made;
  const float *z = call.input(made.z_floats()), *statistics = call.input(int64_t{2} * made.channels());
  const float* scale = given.scales ? call.input(made.given) : nullptr;
  const float* dy = call.input(made.pixels * made.given);
  const std::vector<float*> dparts = call.outputs(made.parts, in.shape);
  float* dkernel = nullptr;
  if (given.kernel_gradients)
    dkernel = call.output({1, 1, made.in_channels(), made.given});
  else
    call.output({0});
  float* dscale = given.scales ? call.output({made.given}) : nullptr;
  float* doffset = given.scales ? call.output({made.given}) : nullptr;
  if (!call.ok()) return;
  preprocess_gradient(made, in.parts, in.kernel, scale, z, statistics, dy, dparts, dkernel, dscale, doffset);
}

void unknown_shapes(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
}

struct Definition {
  const char* name;
  std::vector<const char*> attributes, inputs, outputs;
  void* (*make)(TF_OpKernelConstruction*);
  void (*run)(void*, TF_OpKernelContext*);
  void (*destroy)(void*) = destroy;
};

bool define(const Definition& definition) {
  Status status(TF_NewStatus());
  TF_OpDefinitionBuilder* builder = TF_NewOpDefinitionBuilder(definition.name);
  TF_OpDefinitionBuilderAddAttr(builder, "epsilon: float");
  TF_OpDefinitionBuilderAddAttr(builder, "momentum: float");
  for (const char* attribute : definition.attributes) TF_OpDefinitionBuilderAddAttr(builder, attribute);
  for (const char* input : definition.inputs) TF_OpDefinitionBuilderAddInput(builder, input);
  for (const char* output : definition.outputs) TF_OpDefinitionBuilderAddOutput(builder, output);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(builder, unknown_shapes);
  TF_RegisterOpDefinition(builder, status.get());
  if (TF_GetCode(status.get()) != TF_OK) return false;
  TF_RegisterKernelBuilder(
      definition.name,
      TF_NewKernelBuilder(definition.name, "CPU", definition.make, definition.run, definition.destroy),
      status.get());
  return TF_GetCode(status.get()) == TF_OK;
}

const std::vector<Definition>& definitions() {
  static const std::vector<Definition> all = {
      {"TfDartsPoolStatistics",
       {"stride: int", "candidates: list(int)"},
       {"x: float"},
       {"statistics: float"},
       make,
       run_pool_statistics},
      {"TfDartsUnits",
       {"stride: int", "candidates: list(int)", "kernel_count: int >= 0", "pooled_count: int >= 0",
        "unit_count: int >= 0", "norm_count: int >= 0", "scale_count: int >= 0"},
       {"x: float", "kernels: kernel_count * float", "pooled: pooled_count * float",
        "scales: scale_count * float", "offsets: scale_count * float", "means: norm_count * float",
        "variances: norm_count * float"},
       {"z: unit_count * float", "statistics: float", "moved_means: norm_count * float",
        "moved_variances: norm_count * float"},
       make_scaled,
       run_units},
      // The kernels are there for the gradient.
      {"TfDartsSum",
       {"stride: int", "candidates: list(int)", "kernel_count: int >= 0", "unit_count: int >= 0",
        "candidate_count: int >= 1", "scale_count: int >= 0", "factor_count: int >= 0",
        "kernel_gradients: bool"},
       {"x: float", "kernels: kernel_count * float", "z: unit_count * float", "statistics: float",
        "weights: candidate_count * float", "scales: scale_count * float", "offsets: scale_count * float",
        "factors: factor_count * float"},
       {"y: float"},
       make_sum,
       run_sum},
      {"TfDartsGradient",
       {"stride: int", "candidates: list(int)", "kernel_count: int >= 0", "unit_count: int >= 0",
        "candidate_count: int >= 1", "scale_count: int >= 0", "factor_count: int >= 0",
        "kernel_gradients: bool"},
       {"x: float", "kernels: kernel_count * float", "z: unit_count * float", "statistics: float",
        "weights: candidate_count * float", "scales: scale_count * float", "offsets: scale_count * float",
        "factors: factor_count * float", "dy: float"},
       {"dx: float", "dweights: float", "dkernels: kernel_count * float", "dscales: scale_count * float",
        "doffsets: scale_count * float"},
       make_sum,
       run_gradient},
      // z, statistics and moved estimates have no gradients.
      {"TfDartsPreprocess",
       {"part_count: int >= 1", "scale_count: int >= 0", "kernel_gradients: bool"},
       {"parts: part_count * float", "kernel: float", "scales: scale_count * float",
        "offsets: scale_count * float", "mean: float", "variance: float"},
       {"y: float", "z: float", "statistics: float", "moved_mean: float", "moved_variance: float"},
       make_preprocess,
       run_preprocess,
       destroy_preprocess},
      {"TfDartsPreprocessGradient",
       {"part_count: int >= 1", "scale_count: int >= 0", "kernel_gradients: bool"},
       {"parts: part_count * float", "kernel: float", "z: float", "statistics: float",
        "scales: scale_count * float", "dy: float"},
       {"dparts: part_count * float", "dkernel: float", "dscales: scale_count * float",
        "doffsets: scale_count * float"},
       make_preprocess,
       run_preprocess_gradient,
       destroy_preprocess},
  };
  return all;
}

// What TensorFlow would not have fails where the operation is looked up, by its name.
const bool defined = [] {
  bool all = true;
  for (const Definition& definition : definitions()) all = define(definition) && all;
  return all;
}();

}  // namespace
}  // namespace tf_darts
