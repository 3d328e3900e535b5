#include "decoding.hpp"
#include "scan.hpp"

using namespace edgeward;

namespace {

// What scan() must find, one score after the other.
std::vector<std::pair<std::size_t, Best>> slowly(const RowsView& scores, std::size_t classes, float floor) {
  std::vector<std::pair<std::size_t, Best>> found;
  for (std::size_t row = 0; row < scores.rows; ++row) {
    const Best best = best_class(scores, row, classes);
    if (!best.finite || best.score >= floor) {
      found.emplace_back(row, best);
    }
  }
  return found;
}

void compare(const RowsView& scores, std::size_t classes, float floor) {
  const auto expected = slowly(scores, classes, floor);
  std::size_t at = 0;
  scan(scores, classes, floor, [&](std::size_t row, const Best& best) {
    REQUIRE(at < expected.size());
    CHECK(row == expected[at].first);
    CHECK(best.label == expected[at].second.label);
    CHECK(best.score == expected[at].second.score);
    CHECK(best.finite == expected[at].second.finite);
    ++at;
  });
  CHECK(at == expected.size());
}

}  // namespace

TEST_CASE("a scan finds what passes in every layout, and what is no number") {
  std::mt19937 rng(3);
  std::uniform_real_distribution<float> unit(0.F, 1.F);
  for (const std::size_t rows : {1U, 3U, 511U, 512U, 513U, 1100U}) {
    for (const std::size_t classes : {1U, 2U, 3U, 4U, 5U, 15U, 16U, 17U, 80U}) {
      Made scores({rows, classes});
      for (float& value : scores.values) {
        value = unit(rng) < 0.002F ? not_a_number : unit(rng);
      }
      const float floor = 1.F - 1.F / static_cast<float>(4 * classes);
      compare({scores.values.data(), rows, classes, 1}, classes, floor);
      compare({scores.values.data(), rows, 1, rows}, classes, floor);
    }
  }
}

TEST_CASE("scores whose sum overflows are judged all the same") {
  Made scores({2, 20}, 3e38F);
  int found = 0;
  scan({scores.values.data(), 2, 20, 1}, 20, 0.5F, [&](std::size_t, const Best& best) {
    CHECK(best.finite);
    CHECK(best.label == 0);
    ++found;
  });
  CHECK(found == 2);
}

TEST_CASE("the logit floor rejects no logit whose sigmoid passes") {
  for (const float threshold : {0.F, 1e-6F, 0.01F, 0.25F, 0.5F, 0.75F, 0.99F, 0.999999F, 1.F}) {
    const float floor = logit_floor(threshold);
    for (float logit = -30.F; logit < 30.F; logit += 0.001F) {
      if (sigmoid(logit) >= threshold) {
        REQUIRE(logit >= floor);
      }
    }
  }
}
