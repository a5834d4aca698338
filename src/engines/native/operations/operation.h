// What an operation needs of TensorFlow's C interface: its inputs, outputs, attributes, and how it is registered.

#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"
#include "threads.h"

// One function compiled for several instruction sets, the best one chosen when the library is loaded. A level such as x86-64-v4 is
// chosen by the processor's instructions, the name of a processor only on that very one: not on AMD's, nor on later ones.
// Compilers that do not know levels get the names.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define FCN_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#elif defined(__x86_64__) && defined(__linux__) && defined(__GNUC__)
#define FCN_CLONES __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define FCN_CLONES
#endif
#define FCN_INLINE inline __attribute__((always_inline))
// Without it, loops over more arrays than the compiler checks for overlap are not vectorised.
#define FCN_RESTRICT __restrict__

namespace fcn {

// One execution of an operation. What fails throws, and becomes the operation's error.
class Call {
 public:
  explicit Call(TF_OpKernelContext *context) : context_(context), status_(TF_NewStatus()) {}
  Call(const Call &) = delete;
  ~Call() {
    for (TF_Tensor *tensor : tensors_) TF_DeleteTensor(tensor);
    TF_DeleteStatus(status_);
  }

  TF_Tensor *Input(int index) {
    TF_Tensor *tensor = nullptr;
    TF_GetInput(context_, index, &tensor, status_);
    Check();
    tensors_.push_back(tensor);
    return tensor;
  }

  TF_Tensor *Output(int index, TF_DataType type, const std::vector<int64_t> &shape) {
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    TF_Tensor *tensor = TF_AllocateOutput(context_, index, type, shape.data(), static_cast<int>(shape.size()),
                                          static_cast<size_t>(count) * TF_DataTypeSize(type), status_);
    Check();
    tensors_.push_back(tensor);
    return tensor;
  }

  // Hands an input or output over to the caller, who deletes it.
  TF_Tensor *Keep(TF_Tensor *tensor) {
    tensors_.erase(std::find(tensors_.begin(), tensors_.end(), tensor));
    return tensor;
  }

 private:
  void Check() {
    if (TF_GetCode(status_) != TF_OK) throw std::runtime_error(TF_Message(status_));
  }

  TF_OpKernelContext *context_;
  TF_Status *status_;
  std::vector<TF_Tensor *> tensors_;
};

template <typename T>
T *Data(TF_Tensor *tensor) {
  return static_cast<T *>(TF_TensorData(tensor));
}

inline std::vector<int64_t> Shape(const TF_Tensor *tensor) {
  std::vector<int64_t> shape;
  for (int i = 0; i < TF_NumDims(tensor); ++i) shape.push_back(TF_Dim(tensor, i));
  return shape;
}

inline void Require(bool condition, const char *message) {
  if (!condition) throw std::invalid_argument(message);
}

// Attributes of an operation, read once when its kernel is made.
class Attributes {
 public:
  explicit Attributes(TF_OpKernelConstruction *construction) : construction_(construction), status_(TF_NewStatus()) {}
  Attributes(const Attributes &) = delete;
  ~Attributes() { TF_DeleteStatus(status_); }

  float Float(const char *name) {
    float value = 0;
    TF_OpKernelConstruction_GetAttrFloat(construction_, name, &value, status_);
    Check();
    return value;
  }

  bool Bool(const char *name) {
    TF_Bool value = 0;
    TF_OpKernelConstruction_GetAttrBool(construction_, name, &value, status_);
    Check();
    return value != 0;
  }

  int32_t Int(const char *name) {
    int32_t value = 0;
    TF_OpKernelConstruction_GetAttrInt32(construction_, name, &value, status_);
    Check();
    return value;
  }

  TF_DataType Type(const char *name) {
    TF_DataType value = TF_FLOAT;
    TF_OpKernelConstruction_GetAttrType(construction_, name, &value, status_);
    Check();
    return value;
  }

 private:
  void Check() {
    if (TF_GetCode(status_) != TF_OK) throw std::runtime_error(TF_Message(status_));
  }

  TF_OpKernelConstruction *construction_;
  TF_Status *status_;
};

// An operation's name, and its inputs, outputs and attributes as TensorFlow spells them.
struct Signature {
  const char *name;
  std::vector<const char *> inputs;
  std::vector<const char *> outputs;
  std::vector<const char *> attributes;
};

// Registers an operation and its kernel for CPUs: a class that is made from Attributes and has Compute(Call &).
template <typename Kernel>
void Register(const Signature &signature) {
  TF_OpDefinitionBuilder *definition = TF_NewOpDefinitionBuilder(signature.name);
  for (const char *input : signature.inputs) TF_OpDefinitionBuilderAddInput(definition, input);
  for (const char *output : signature.outputs) TF_OpDefinitionBuilderAddOutput(definition, output);
  for (const char *attribute : signature.attributes) TF_OpDefinitionBuilderAddAttr(definition, attribute);

  const auto create = [](TF_OpKernelConstruction *construction) -> void * {
    try {
      Attributes attributes(construction);
      return new Kernel(attributes);
    } catch (const std::exception &error) {
      TF_Status *status = TF_NewStatus();
      TF_SetStatus(status, TF_INVALID_ARGUMENT, error.what());
      TF_OpKernelConstruction_Failure(construction, status);
      TF_DeleteStatus(status);
      return nullptr;
    }
  };
  const auto compute = [](void *kernel, TF_OpKernelContext *context) {
    try {
      Call call(context);
      const ThreadsAwake awake;
      static_cast<const Kernel *>(kernel)->Compute(call);
    } catch (const std::exception &error) {
      TF_Status *status = TF_NewStatus();
      TF_SetStatus(status, TF_INVALID_ARGUMENT, error.what());
      TF_OpKernelContext_Failure(context, status);
      TF_DeleteStatus(status);
    }
  };
  const auto destroy = [](void *kernel) { delete static_cast<Kernel *>(kernel); };

  TF_Status *status = TF_NewStatus();
  TF_RegisterOpDefinition(definition, status);
  if (TF_GetCode(status) == TF_OK) {
    TF_KernelBuilder *builder = TF_NewKernelBuilder(signature.name, "CPU", create, compute, destroy);
    TF_RegisterKernelBuilder(signature.name, builder, status);
  }
  const std::string message = TF_GetCode(status) == TF_OK ? "" : TF_Message(status);
  TF_DeleteStatus(status);
  if (!message.empty()) throw std::runtime_error(message);
}

}  // namespace fcn
