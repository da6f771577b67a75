// What `mirror --version` says: Mirror's version and those of the libraries it runs with.
#pragma once

#include <string>

namespace mirror::app {

std::string version_text();

}  // namespace mirror::app
