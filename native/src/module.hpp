// The parts of the Python module.
#pragma once

#include <nanobind/nanobind.h>

namespace edgeward {

void bind_preprocess(nanobind::module_& module);
void bind_decoders(nanobind::module_& module);

}  // namespace edgeward
