#include <cerrno>
#include <cstdio>
#include <cstring>

#include "output.h"

namespace mirror::source {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

class FileOutput final : public Output {
 public:
  explicit FileOutput(std::FILE* file) : file_(file) {}

  Status write(std::span<const std::uint8_t> bytes) override {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) {
      return fail("the output file: {}", std::strerror(errno));
    }
    return {};
  }

 private:
  std::unique_ptr<std::FILE, CloseFile> file_;
};

}  // namespace

Result<std::unique_ptr<Output>> open_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return fail("{}: {}", path, std::strerror(errno));
  return std::make_unique<FileOutput>(file);
}

}  // namespace mirror::source
