#include "transcode/cuda.h"

#include <dlfcn.h>

#include <array>
#include <cstddef>

namespace mirror::transcode::cuda {
namespace {

// The driver API's types (cuda.h), as far as we need them.
using Status_ = int;  // CUresult; 0 is CUDA_SUCCESS
using Device = int;
using Context = struct Opaque*;

constexpr Status_ kNoDevice = 100;  // CUDA_ERROR_NO_DEVICE

struct Driver {
  Status_ (*init)(unsigned flags) = nullptr;
  Status_ (*version)(int* version) = nullptr;
  Status_ (*count)(int* count) = nullptr;
  Status_ (*get)(Device* device, int ordinal) = nullptr;
  Status_ (*name)(char* name, int bytes, Device device) = nullptr;
  Status_ (*error_text)(Status_ error, const char** text) = nullptr;
  Status_ (*retain)(Context* context, Device device) = nullptr;
  Status_ (*release)(Device device) = nullptr;
  Status_ (*push)(Context context) = nullptr;
  Status_ (*pop)(Context* context) = nullptr;
  Status_ (*memory)(std::size_t* free, std::size_t* total) = nullptr;
};

template <class F>
bool find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(::dlsym(library, name));
  return function != nullptr;
}

std::string text_of(const Driver& driver, Status_ error) {
  const char* text = nullptr;
  if (driver.error_text(error, &text) != 0 || text == nullptr) return fmt::format("{}", error);
  return text;
}

Result<Driver> load() {
  void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return fail("no NVIDIA driver: libcuda.so.1 is not there");
  Driver driver;
  const bool complete =
      find(library, "cuInit", driver.init) && find(library, "cuDriverGetVersion", driver.version) &&
      find(library, "cuDeviceGetCount", driver.count) && find(library, "cuDeviceGet", driver.get) &&
      find(library, "cuDeviceGetName", driver.name) &&
      find(library, "cuGetErrorString", driver.error_text) &&
      find(library, "cuDevicePrimaryCtxRetain", driver.retain) &&
      find(library, "cuDevicePrimaryCtxRelease_v2", driver.release) &&
      find(library, "cuCtxPushCurrent_v2", driver.push) &&
      find(library, "cuCtxPopCurrent_v2", driver.pop) &&
      find(library, "cuMemGetInfo_v2", driver.memory);
  if (!complete) return fail("the NVIDIA driver is too old: libcuda.so.1 lacks calls of CUDA 11");
  if (const Status_ error = driver.init(0); error == kNoDevice) {
    return fail("an NVIDIA driver, but no GPU that it may use");
  } else if (error != 0) {
    return fail("the NVIDIA driver does not start: {}", text_of(driver, error));
  }
  return driver;
}

const Result<Driver>& driver() {
  static const Result<Driver> loaded = load();
  return loaded;
}

}  // namespace

Result<int> count_devices() {
  if (!driver()) return std::unexpected(driver().error());
  int count = 0;
  if (const Status_ error = driver()->count(&count); error != 0) {
    return fail("the NVIDIA driver does not count its GPUs: {}", text_of(*driver(), error));
  }
  return count;
}

std::string name_of(int device) {
  if (!driver()) return {};
  std::array<char, 128> name{};
  Device handle = 0;
  if (driver()->get(&handle, device) != 0) return {};
  if (driver()->name(name.data(), static_cast<int>(name.size()) - 1, handle) != 0) return {};
  return name.data();
}

std::optional<Memory> memory_of(int device) {
  if (!driver()) return std::nullopt;
  Device handle = 0;
  Context context = nullptr;
  if (driver()->get(&handle, device) != 0) return std::nullopt;
  if (driver()->retain(&context, handle) != 0) return std::nullopt;
  std::optional<Memory> memory;
  if (driver()->push(context) == 0) {
    std::size_t free = 0;
    std::size_t total = 0;
    if (driver()->memory(&free, &total) == 0) memory = Memory{total, free};
    driver()->pop(&context);
  }
  driver()->release(handle);
  return memory;
}

std::string driver_version() {
  int version = 0;
  if (!driver() || driver()->version(&version) != 0) return {};
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

Result<av::BufferRef> open(int device) {
  av::take_over_log();
  AVDictionary* options = nullptr;
  av_dict_set(&options, "primary_ctx", "1", 0);
  AVBufferRef* reference = nullptr;
  const int error = av_hwdevice_ctx_create(&reference, AV_HWDEVICE_TYPE_CUDA,
                                           std::to_string(device).c_str(), options, 0);
  av_dict_free(&options);
  if (error < 0) return fail("{}", av::describe(error));
  return av::BufferRef(reference);
}

}  // namespace mirror::transcode::cuda
