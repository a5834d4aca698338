// A tensor whose memory must live until an exchange is complete, although TensorFlow.js may dispose it before.

#pragma once

#include "../operations/operation.h"

namespace fcn {

class HeldTensor {
 public:
  explicit HeldTensor(TF_Tensor *tensor) : tensor_(tensor) {}
  HeldTensor(const HeldTensor &) = delete;
  HeldTensor(HeldTensor &&other) noexcept : tensor_(other.tensor_) { other.tensor_ = nullptr; }
  ~HeldTensor() {
    if (tensor_ != nullptr) TF_DeleteTensor(tensor_);
  }

  int64_t Count() const { return TF_TensorElementCount(tensor_); }
  template <typename T>
  T *Values() const {
    return Data<T>(tensor_);
  }

 private:
  TF_Tensor *tensor_;
};

}  // namespace fcn
