#include "edgeward/halves.hpp"

#include <stdexcept>
#include <string>

#include "kernels.hpp"

namespace edgeward {

void widen_halves(std::span<const std::byte> halves, std::span<std::byte> floats) {
  if (halves.size() % 2 != 0 || floats.size() / 2 != halves.size() || floats.size() % 4 != 0) {
    throw std::invalid_argument("floats have " + std::to_string(floats.size()) + " bytes, expected twice the " +
                                std::to_string(halves.size()) + " of the halves");
  }
  kernels().widen_halves(halves.data(), floats.data(), halves.size() / 2);
}

}  // namespace edgeward
