// Scores and k, against the choice of the best few.
#include "edgeward/top_k.hpp"
#include "fuzzed_outputs.hpp"

using namespace edgeward;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  std::vector<float> scores(bytes.upto(300));
  for (float& score : scores) {
    score = bytes.number();
  }
  const int k = bytes.integer(static_cast<int>(bytes.upto(20)));
  try {
    const TopK found = top_k(scores, k);
    for (std::size_t i = 1; i < found.best.size(); ++i) {
      fuzz::must(found.best[i - 1].score >= found.best[i].score, "the best come first");
    }
  } catch (const std::invalid_argument&) {
    return 0;
  }
  return 0;
}
