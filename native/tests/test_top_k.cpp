#include <algorithm>
#include <stdexcept>

#include "decoding.hpp"
#include "edgeward/top_k.hpp"

using namespace edgeward;

TEST_CASE("top k: the best first, equal scores by index, and no more than there are") {
  const std::vector<float> scores{0.1F, 0.7F, 0.7F, 0.9F, 0.F};
  const auto three = top_k(scores, 3).best;
  REQUIRE(three.size() == 3);
  CHECK(three[0].index == 3);
  CHECK(three[1].index == 1);
  CHECK(three[2].index == 2);
  CHECK(three[0].score == 0.9F);
  CHECK(top_k(scores, 100).best.size() == 5);
  CHECK(top_k({}, 1).best.empty());
  CHECK_THROWS_AS(top_k(scores, 0), std::invalid_argument);
}

TEST_CASE("top k: what is no number is counted and left out") {
  const std::vector<float> scores{0.1F, not_a_number, std::numeric_limits<float>::infinity(), 0.2F};
  const auto found = top_k(scores, 4);
  CHECK(found.broken == 2);
  REQUIRE(found.best.size() == 2);
  CHECK(found.best[0].index == 3);
}

TEST_CASE("top k equals sorting") {
  std::mt19937 rng(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<float> scores(200);
    for (float& score : scores) {
      score = static_cast<float>(rng() % 50);
    }
    std::vector<int> order(scores.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      order[i] = static_cast<int>(i);
    }
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
    });
    const auto found = top_k(scores, 7).best;
    REQUIRE(found.size() == 7);
    for (std::size_t i = 0; i < 7; ++i) {
      CHECK(found[i].index == order[i]);
    }
  }
}
