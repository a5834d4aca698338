#include "winograd-filter-gradient-kernels.h"

#include <stdexcept>

#if FCN_WINOGRAD
#define FCN_VECTOR_AVX512 1
#include "winograd-filter-gradient-vector.h"
#undef FCN_VECTOR_AVX512
#define FCN_VECTOR_AVX512 0
#include "winograd-filter-gradient-vector.h"
#endif

namespace fcn {
namespace winograd {

template <int M, typename T>
FilterGradientKernels<T> FilterGradientKernelsOf(InstructionSet set) {
#if FCN_WINOGRAD
  if (set == InstructionSet::kAvx512) return avx512::Kernels<M, T>();
  if (set == InstructionSet::kAvx2) return avx2::Kernels<M, T>();
#endif
  throw std::invalid_argument("this processor has no instructions for Winograd's filter gradient");
}

template FilterGradientKernels<float> FilterGradientKernelsOf<2, float>(InstructionSet);
template FilterGradientKernels<float> FilterGradientKernelsOf<4, float>(InstructionSet);
template FilterGradientKernels<Bfloat16> FilterGradientKernelsOf<2, Bfloat16>(InstructionSet);
template FilterGradientKernels<Bfloat16> FilterGradientKernelsOf<4, Bfloat16>(InstructionSet);

}  // namespace winograd
}  // namespace fcn
