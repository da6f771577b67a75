// What the user reads: a line per second and a table for people, NDJSON for programs.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "base/result.h"
#include "options.h"
#include "stats.h"

namespace mirror::load {

enum class Phase { kJoining, kMeasured };

// One line: the interval that ends `seconds` after the first viewer began.
std::string line_of(const Stats& interval, Phase phase, double seconds);
// What was measured, and every fault of the whole run.
std::string table_of(const Stats& measured, const Stats& whole_run, const Options& options);

// A file of one JSON object per line: {"type":"interval",…} each second, {"type":"summary",…} last.
// Times are milliseconds; the README names the keys.
class Ndjson {
 public:
  // An empty name writes nothing; "-" is standard output.
  static Result<Ndjson> open(const std::string& name);

  void interval(const Stats& stats, Phase phase, double seconds);
  void summary(const Stats& measured, const Stats& whole_run, const Options& options);
  Status close();

 private:
  struct Closer {
    void operator()(std::FILE* file) const {
      if (file != stdout) std::fclose(file);
    }
  };
  void write(const std::string& line);

  std::unique_ptr<std::FILE, Closer> file_;
  bool failed_ = false;
};

}  // namespace mirror::load
