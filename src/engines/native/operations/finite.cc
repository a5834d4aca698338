// Whether all values of some tensors are finite: those whose exponent has all bits set are not.

#include "finite.h"

#include <algorithm>
#include <atomic>

#include "element.h"
#include "operation.h"
#include "threads.h"

namespace fcn {
namespace {

constexpr int64_t kElementsOfBlock = 65536;

template <typename Bits>
FCN_INLINE bool NoneOf(const Bits *FCN_RESTRICT values, Bits exponent, int64_t count) {
  Bits found = 0;
  for (int64_t i = 0; i < count; ++i) found |= (values[i] & exponent) == exponent ? 1 : 0;
  return found == 0;
}

FCN_CLONES bool Finite(const float *x, int64_t count) {
  return NoneOf(reinterpret_cast<const uint32_t *>(x), uint32_t{0x7f800000}, count);
}
FCN_CLONES bool Finite(const Bfloat16 *x, int64_t count) {
  return NoneOf(reinterpret_cast<const uint16_t *>(x), uint16_t{0x7f80}, count);
}

class AllFinite : public StoredKernel<AllFinite> {
 public:
  explicit AllFinite(Attributes &attributes) : StoredKernel(attributes.Type("T")), count_(attributes.Int("N")) {}

  template <typename T>
  void Run(Call &call) const {
    bool finite = true;
    for (int32_t i = 0; finite && i < count_; ++i) finite = IsFinite<T>(call.Input(i));
    *Data<bool>(call.Output(0, TF_BOOL, {})) = finite;
  }

 private:
  template <typename T>
  static bool IsFinite(TF_Tensor *input) {
    const T *x = Data<T>(input);
    const int64_t count = TF_TensorElementCount(input);
    std::atomic<bool> finite{true};
    ParallelFor((count + kElementsOfBlock - 1) / kElementsOfBlock, [&](int64_t block) {
      const int64_t at = block * kElementsOfBlock;
      if (finite && !Finite(x + at, std::min(kElementsOfBlock, count - at))) finite = false;
    });
    return finite;
  }

  int32_t count_;
};

}  // namespace

void RegisterFinite() { Register<AllFinite>({"FcnAllFinite", {"x: N * T"}, {"finite: bool"}, {"N: int >= 1", "T: {float, bfloat16}"}}); }

}  // namespace fcn
