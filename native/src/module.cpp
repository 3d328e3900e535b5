#include "module.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "edgeward/simd.hpp"

namespace nb = nanobind;

NB_MODULE(_core, module) {
  module.doc() = "C++ kernels of edgeward; use the package `native`.";
  module.def(
      "available_simd",
      [] {
        std::vector<std::string> names;
        for (const auto name : edgeward::available_simd()) {
          names.emplace_back(name);
        }
        return names;
      },
      "Kernel sets that this CPU can run, slowest first; \"scalar\" is always there.");
  module.def(
      "simd", [] { return std::string(edgeward::simd()); },
      "The kernel set in use: \"scalar\", \"sse4\", \"avx2\", \"avx512\" or \"neon\".");
  module.def(
      "set_simd", [](const std::string& name) { edgeward::set_simd(name); }, nb::arg("name"),
      "Take another kernel set, for the whole process: a name of available_simd(), or \"auto\" for the fastest.\n\n"
      "Raises:\n    ValueError: this CPU or this build does not have it.");
  edgeward::bind_preprocess(module);
  edgeward::bind_decoders(module);
}
