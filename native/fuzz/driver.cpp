// Runs a fuzzer without libFuzzer, on bytes from a generator that starts anew with each execution: a failure is
// told with the number that repeats it.
#include <sanitizer/common_interface_defs.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::uint64_t current = 0;

void tell_current() { std::fprintf(stderr, "\nrepeat with: --only %llu\n", static_cast<unsigned long long>(current)); }

void on_abort(int) { tell_current(); }

// Most inputs are short: a fuzzer's first choices are its sizes.
std::vector<std::uint8_t> input(std::uint64_t number) {
  std::mt19937_64 random(number);
  std::vector<std::uint8_t> bytes(random() % 8 == 0 ? random() % 4096 : random() % 192);
  for (auto& byte : bytes) {
    byte = static_cast<std::uint8_t>(random());
  }
  return bytes;
}

void execute(std::vector<std::uint8_t> bytes) {
  bytes.shrink_to_fit();
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

int usage(const char* name) {
  std::fprintf(stderr, "%s [--seconds N] [--seed N] | --only NUMBER | FILE...\n", name);
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  std::uint64_t seconds = 10;
  std::uint64_t seed = 1;
  bool ran = false;
  for (int i = 1; i < count; ++i) {
    const bool option = std::strncmp(arguments[i], "--", 2) == 0;
    if (!option) {
      std::ifstream file(arguments[i], std::ios::binary);
      execute({std::istreambuf_iterator<char>(file), {}});
      ran = true;
      continue;
    }
    if (i + 1 == count) {
      return usage(arguments[0]);
    }
    const std::uint64_t value = std::strtoull(arguments[i + 1], nullptr, 10);
    if (std::strcmp(arguments[i], "--seconds") == 0) {
      seconds = value;
    } else if (std::strcmp(arguments[i], "--seed") == 0) {
      seed = value;
    } else if (std::strcmp(arguments[i], "--only") == 0) {
      execute(input(value));
      ran = true;
    } else {
      return usage(arguments[0]);
    }
    ++i;
  }
  if (ran) {
    return 0;
  }
  __sanitizer_set_death_callback(tell_current);
  std::signal(SIGABRT, on_abort);
  const std::time_t end = std::time(nullptr) + static_cast<std::time_t>(seconds);
  std::uint64_t executions = 0;
  // Seeds lie so far apart that their runs do not meet.
  for (current = seed << 32; std::time(nullptr) < end; ++current, ++executions) {
    execute(input(current));
  }
  std::printf("%llu executions in %llu s, seed %llu\n", static_cast<unsigned long long>(executions),
              static_cast<unsigned long long>(seconds), static_cast<unsigned long long>(seed));
  return 0;
}
