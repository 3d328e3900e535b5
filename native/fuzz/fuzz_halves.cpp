// Counts of halves and what they hold, against every other kernel set.
#include "edgeward/halves.hpp"
#include "input.hpp"

using namespace edgeward;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto count = static_cast<std::size_t>(input.pick(0, 100));
  fuzz::Exact<std::byte> halves(2 * count);
  for (std::byte& byte : halves.span()) {
    byte = static_cast<std::byte>(input.pick(0, 255));
  }
  fuzz::must_agree(
      [&] {
        fuzz::Exact<std::byte> floats(4 * count);
        widen_halves(halves.span(), floats.span());
        return std::vector<std::byte>(floats.data(), floats.data() + floats.size);
      },
      "every kernel set widens alike");
  return 0;
}
