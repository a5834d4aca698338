// A Vulkan driver that is Mesa's lavapipe, which computes on the processor, but reports two features more. Dawn refuses a driver that
// cannot index arrays of images by a variable, as lavapipe cannot before Mesa 23. The programs of the webgpu engine use no images.
// scripts/software-adapter.mjs compiles it; LAVAPIPE is the path of Mesa's library. The few structures of Vulkan that are read here are
// declared in place, as vulkan_core.h has them, so that no headers are needed.
#include <cstdint>
#include <cstring>
#include <dlfcn.h>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

using Function = void (*)();
using Lookup = Function (*)(void* instance, const char* name);

/** VkPhysicalDeviceFeatures: 55 booleans of 32 bits. */
struct Features {
  uint32_t values[55];
};
/** shaderSampledImageArrayDynamicIndexing and shaderStorageImageArrayDynamicIndexing, by their places. */
constexpr int ADDED[] = {34, 36};

/** How every extending structure begins; VkPhysicalDeviceFeatures2 holds features after it. */
struct Chained {
  uint32_t type;
  void* next;
};
struct Features2 {
  Chained head;
  Features features;
};
constexpr uint32_t FEATURES_2 = 1000059000;

/** VkDeviceCreateInfo. */
struct DeviceRequest {
  uint32_t type;
  void* next;
  uint32_t flags;
  uint32_t queueCount;
  const void* queues;
  uint32_t layerCount;
  const char* const* layers;
  uint32_t extensionCount;
  const char* const* extensions;
  const Features* features;
};

void* library() {
  static void* const opened = dlopen(LAVAPIPE, RTLD_NOW | RTLD_LOCAL);
  return opened;
}

template <typename Type>
Type symbol(const char* name) {
  return library() == nullptr ? nullptr : reinterpret_cast<Type>(dlsym(library(), name));
}

/** The driver's own functions; set when the loader asks for them, before it can call ours. */
void (*ownFeatures)(void* device, Features* features) = nullptr;
void (*ownFeatures2)(void* device, Features2* features) = nullptr;
int32_t (*ownCreateDevice)(void* device, const DeviceRequest* request, const void* allocator, void** created) = nullptr;

void features(void* device, Features* result) {
  ownFeatures(device, result);
  for (const int place : ADDED) result->values[place] = 1;
}

void features2(void* device, Features2* result) {
  ownFeatures2(device, result);
  for (const int place : ADDED) result->features.values[place] = 1;
}

void remove(Features& features) {
  for (const int place : ADDED) features.values[place] = 0;
}

/** The driver refuses a device with features that it lacks, so they are taken out of the request: nobody reads it again. */
int32_t createDevice(void* device, const DeviceRequest* request, const void* allocator, void** created) {
  DeviceRequest changed = *request;
  Features copy;
  if (request->features != nullptr) {
    copy = *request->features;
    remove(copy);
    changed.features = &copy;
  }
  for (auto* each = static_cast<Chained*>(changed.next); each != nullptr; each = static_cast<Chained*>(each->next)) {
    if (each->type == FEATURES_2) remove(reinterpret_cast<Features2*>(each)->features);
  }
  return ownCreateDevice(device, &changed, allocator, created);
}

/** Keeps the driver's function and gives ours in its place; null if the driver has none. */
template <typename Type>
Function replaced(Function own, Type& kept, Type ours) {
  if (own == nullptr) return nullptr;
  kept = reinterpret_cast<Type>(own);
  return reinterpret_cast<Function>(ours);
}

Function replace(const char* name, Function own) {
  if (std::strcmp(name, "vkGetPhysicalDeviceFeatures") == 0) return replaced(own, ownFeatures, features);
  if (std::strcmp(name, "vkGetPhysicalDeviceFeatures2") == 0 || std::strcmp(name, "vkGetPhysicalDeviceFeatures2KHR") == 0) {
    return replaced(own, ownFeatures2, features2);
  }
  if (std::strcmp(name, "vkCreateDevice") == 0) return replaced(own, ownCreateDevice, createDevice);
  return own;
}

Function lookUp(const char* entry, void* instance, const char* name) {
  const auto look = symbol<Lookup>(entry);
  return look == nullptr ? nullptr : replace(name, look(instance, name));
}

}  // namespace

// What the Vulkan loader calls of a driver: https://github.com/KhronosGroup/Vulkan-Loader/blob/main/docs/LoaderDriverInterface.md.

EXPORTED Function vk_icdGetInstanceProcAddr(void* instance, const char* name) {
  return lookUp("vk_icdGetInstanceProcAddr", instance, name);
}

EXPORTED Function vk_icdGetPhysicalDeviceProcAddr(void* instance, const char* name) {
  return lookUp("vk_icdGetPhysicalDeviceProcAddr", instance, name);
}

EXPORTED int32_t vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t* version) {
  constexpr int32_t INITIALIZATION_FAILED = -3;
  const auto negotiate = symbol<int32_t (*)(uint32_t*)>("vk_icdNegotiateLoaderICDInterfaceVersion");
  return negotiate == nullptr ? INITIALIZATION_FAILED : negotiate(version);
}
