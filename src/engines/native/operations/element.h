// The element types that images are stored in. Arithmetic is in float32 whatever the storage.

#pragma once

#include <cstdint>
#include <cstring>

#include "operation.h"

namespace fcn {

// The upper half of a float32.
struct Bfloat16 {
  uint16_t bits;
};

FCN_INLINE float Load(const float *at) { return *at; }

FCN_INLINE float Load(const Bfloat16 *at) {
  const uint32_t bits = static_cast<uint32_t>(at->bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

FCN_INLINE void Store(float *at, float value) { *at = value; }

// Rounds to nearest, ties to even. A NaN stays one.
FCN_INLINE void Store(Bfloat16 *at, float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  at->bits = static_cast<uint16_t>(value != value ? 0x7fc0u : rounded);
}

// A kernel that has a Run<T>(Call &) for each storage type T, and chooses by an attribute.
template <typename Kernel>
class StoredKernel {
 public:
  explicit StoredKernel(TF_DataType type) : type_(type) {}

  void Compute(Call &call) const {
    const Kernel &kernel = static_cast<const Kernel &>(*this);
    if (type_ == TF_FLOAT) {
      kernel.template Run<float>(call);
    } else {
      kernel.template Run<Bfloat16>(call);
    }
  }

 protected:
  TF_DataType type_;
};

}  // namespace fcn
